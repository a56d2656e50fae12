"""``emoclass predict``: texts, lines and tables in any format, through files and pipes."""

import csv
import gzip
import io
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoclass.cli import _console
from emoclass.cli.predict import predict
from tests.conftest import until
from tests.disks import largest_file

Run = Callable[..., Any]
ROWS = [
    {"id": "007", "text": "a happy day", "note": 'say "hi", twice'},
    {"id": "008", "text": "so afraid\nof the dark", "note": "tab\there"},
    {"id": "009", "text": "", "note": "\rodd"},
]


@pytest.fixture
def run(trained_model: Path, cli: Run) -> Run:
    def predict(*arguments: object, code: int = 0, **options: Any) -> Any:
        result = cli("predict", *arguments, **options)
        assert result.exit_code == code, result.output
        return result

    return predict


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROWS[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def csv_rows(content: str, **options: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content, newline=""), **options))


def test_a_table_keeps_its_fields_and_gets_two_more(run: Run, table: Path) -> None:
    result = run("--input", table)
    rows = csv_rows(result.stdout)
    assert [{name: row[name] for name in ROWS[0]} for row in rows] == ROWS
    assert [bool(row["label"]) for row in rows] == [True, True, False]
    assert 0 < float(rows[0]["confidence"]) <= 1
    assert "3 records" in result.stderr
    assert "1 empty" in result.stderr


def test_several_inputs_and_formats_make_one_output(run: Run, table: Path, tmp_path: Path) -> None:
    lines = tmp_path / "more.jsonl"
    lines.write_text('{"text": "so mad", "tags": ["x", {"y": 1}], "big": 12345678901234567890}\n{"text": "glad"}\n')
    result = run("-i", table, "-i", lines, "--output-format", "jsonl")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["text"] for record in records] == [row["text"] for row in ROWS] + ["so mad", "glad"]
    assert records[3]["tags"] == ["x", {"y": 1}]
    assert records[3]["big"] == 12345678901234567890
    assert list(records[4]) == ["text", "label", "confidence"]
    message = run("-i", table, "-i", lines, code=1).stderr
    assert "--output-format jsonl" in message


@pytest.mark.parametrize(
    ("second", "content", "arguments", "words"),
    [
        ("missing.csv", None, [], "missing.csv: no such file"),
        ("b.csv", "", [], "b.csv: is empty"),
        ("b.csv", "id,what\n1,2\n", ["-f", "jsonl"], "b.csv: no column looks like text"),
        ("b.csv", "id,review\n1,so happy\n", ["--text-column", "text", "-f", "jsonl"], "b.csv: no column 'text'"),
        ("b.csv", "PK\x03\x04", [], "b.csv: looks like an Excel"),
        ("b.data", "text\n", [], "b.data: neither name nor content tells the format"),
        ("b.csv", "text\nso happy\n", [], "b.csv: has the fields text, but "),
        ("b.jsonl", '{"text": "so happy"}\n', ["-f", "tsv"], "tsv needs the same in all; use --output-format jsonl"),
        ("b.txt", "so happy\n", ["-f", "parquet"], "parquet needs the same in all"),
        ("b.txt", "so happy\n", ["--text-column", "text", "-f", "text"], "b.txt: lines have no columns"),
    ],
)
def test_all_inputs_are_checked_before_the_first_is_read(
    run: Run, table: Path, tmp_path: Path, second: str, content: str | None, arguments: list[str], words: str
) -> None:
    if content is not None:
        (tmp_path / second).write_text(content)
    result = run("-i", table, "-i", tmp_path / second, *arguments, code=1)
    assert result.stdout == ""
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_notes_on_several_inputs_are_given_once(run: Run, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("id;what was said\n1;a happy day it is\n")
    result = run("-i", tmp_path / "a.csv", "-i", tmp_path / "b.csv")
    assert len(csv_rows(result.stdout, delimiter=";")) == 2
    assert [result.stderr.count(f"{name}: column 'what was said' taken") for name in ("a.csv", "b.csv")] == [1, 1]


def test_standard_input_is_read_once(run: Run) -> None:
    assert "only once" in run("-i", "-", "-i", "-", input="so happy\n", code=2).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_a_pipe_among_several_inputs_is_read_only_once(run: Run, table: Path, tmp_path: Path) -> None:
    pipe, nameless = tmp_path / "pipe.jsonl", tmp_path / "pipe"
    os.mkfifo(pipe)
    os.mkfifo(nameless)
    message = run("-i", table, "-i", nameless, "-f", "jsonl", code=1).stderr
    assert f"{nameless}: neither name nor content tells the format" in message
    writer = threading.Thread(target=pipe.write_text, args=('{"text": "so mad"}\n',), daemon=True)
    writer.start()
    lines = run("-i", table, "-i", pipe, "-f", "jsonl").stdout.splitlines()
    writer.join(timeout=60)
    assert [json.loads(line)["text"] for line in lines] == [row["text"] for row in ROWS] + ["so mad"]


def test_a_broken_record_is_reported_once_and_in_its_place(run: Run, table: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text('id,text,note\n1,"so"x,\n2,"so, happy",\n')
    result = run("-i", table, "-i", tmp_path / "b.csv", "--on-error", "skip")
    assert [row["id"] for row in csv_rows(result.stdout)] == ["007", "008", "009", "2"]
    assert result.stderr.count("b.csv: row 1") == 1
    assert "1 skipped" in result.stderr
    assert len(csv_rows(run("-i", table, "-i", tmp_path / "b.csv", code=1).stdout)) == 3


def test_the_error_for_different_fields_names_those_of_both_records(run: Run) -> None:
    lines = '{"note": "a happy day it is"}\n{"note": "so afraid of the dark", "more": 1}\n'
    message = run("--input-format", "jsonl", "-f", "csv", input=lines, code=1).stderr
    assert "a record has the fields note, but the output has note, more: csv needs the same in all" in message


def test_the_delimiter_of_a_table_is_kept(run: Run) -> None:
    result = run("--input-format", "csv", input="id;text\n1;a happy day\n")
    assert result.stdout.splitlines()[0] == "id;text;label;confidence"
    result = run("--input-format", "tsv", "-f", "csv", input="id\ttext\n1\ta happy day\n")
    assert result.stdout.splitlines()[0] == "id,text,label,confidence"


def test_parquet_keeps_its_types(run: Run, tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["happy", None, "sad"],
            "when": pa.array([datetime(2024, 1, 2, 3), None, None], pa.timestamp("ns")),
            "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
            "tags": [["x"], [], None],
            "small": pa.array([1, 2, 3], pa.int8()),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    run("-i", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", "--top-k", 2, "--probabilities")
    result = pq.read_table(tmp_path / "out.parquet")
    assert result.select(table.column_names).equals(table)
    assert result.column_names[5:9] == ["label", "confidence", "label_2", "confidence_2"]
    assert result.column_names[9:] == ["probability_anger", "probability_fear", "probability_joy"]
    sums = sum(result[name].to_numpy(zero_copy_only=False)[0] for name in result.column_names[9:])
    assert sums == pytest.approx(1, abs=1e-5)
    assert result["label"].to_pylist()[1] == ""


def test_texts_of_binary_columns_are_texts_in_every_format(run: Run, tmp_path: Path) -> None:
    table = pa.table({"text": pa.array([b"a happy day"]), "note": [b"caf\xc3\xa9"], "tags": [[b"x"]]})
    pq.write_table(table, tmp_path / "in.parquet")
    record = json.loads(run("-i", tmp_path / "in.parquet", "-f", "jsonl").stdout)
    assert (record["text"], record["note"], record["tags"]) == ("a happy day", "café", ["x"])
    (row,) = csv_rows(run("-i", tmp_path / "in.parquet", "-f", "csv").stdout)
    assert (row["text"], row["note"]) == ("a happy day", "café")
    pq.write_table(pa.table({"text": ["happy"], "photo": [b"\xff\xd8"]}), tmp_path / "in.parquet")
    for format_ in ("jsonl", "csv"):
        assert "only parquet" in run("-i", tmp_path / "in.parquet", "-f", format_, code=1).stderr


def test_names_that_exist_get_a_prefix_and_a_note(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\thappy day\n".replace("happy day", "predicted_label") + "happy\tx\ty\n")
    result = run("-i", path)
    assert result.stdout.splitlines()[0] == "text\tlabel\tpredicted_label\tpredicted_predicted_label\tconfidence"
    assert "'predicted_predicted_label'" in result.stderr


def test_text_output_of_a_table_is_a_line_per_record(run: Run, table: Path) -> None:
    lines = run("-i", table, "-f", "text", "--top-k", 2).stdout.splitlines()
    assert [len(line.split("\t")) for line in lines] == [4, 4, 2]


def test_below_the_minimum_confidence_the_label_is_uncertain(run: Run) -> None:
    result = run("--min-confidence", "0.999", "-f", "jsonl", "--top-k", 2, input="a happy day\n\n")
    sure, empty = (json.loads(line) for line in result.stdout.splitlines())
    assert sure["label"] == "uncertain"
    assert sure["top_k"][0]["confidence"] == sure["confidence"] < 0.999
    assert empty["label"] == ""
    assert "1 below confidence 0.999" in result.stderr
    assert run("x", "--min-confidence", "1", "--uncertain-label", "?").stdout.startswith("?\t")
    assert "--min-confidence 2" in run("x", "--min-confidence", "2", code=2).stderr


BROKEN = 'text,id\na happy day,1\n"so afraid"x,2\nso mad\nglad,4\n'


def test_a_broken_record_stops_after_all_before_it(run: Run, tmp_path: Path) -> None:
    result = run("--input-format", "csv", input=BROKEN, code=1)
    assert [row["id"] for row in csv_rows(result.stdout)] == ["1"]
    assert "row 2" in result.stderr
    assert "--on-error skip" in result.stderr
    out = tmp_path / "out.csv"
    out.write_text("before")
    (tmp_path / "in.csv").write_text(BROKEN)
    message = run("-i", tmp_path / "in.csv", "-o", out, code=1).stderr
    assert out.read_text() == "before"
    assert "out.csv.partial" in message
    assert [row["id"] for row in csv_rows((tmp_path / "out.csv.partial").read_text())] == ["1"]
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out.csv", "out.csv.partial"]


def test_parquet_before_a_broken_record_is_kept(run: Run, tmp_path: Path) -> None:
    arguments = ["--input-format", "csv", "-o", tmp_path / "out.parquet"]
    message = run(*arguments, input=BROKEN, code=1).stderr
    assert message.startswith("error: standard input: row 2")
    assert pq.read_table(tmp_path / "out.parquet.partial")["id"].to_pylist() == ["1"]
    (tmp_path / "out.parquet.partial").unlink()
    message = run(*arguments, input='text,id\n"so afraid"x,2\n', code=1).stderr
    assert ".partial" not in message
    assert list(tmp_path.glob("*out*")) == []


def test_parquet_before_a_value_of_another_type_is_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emoclass.data.tables.writing._GROUP_ROWS", 2)
    lines = "".join(f'{{"text": "a happy day", "id": {id_}}}\n' for id_ in (1, 2, '"three"', 4))
    arguments = ["--input-format", "jsonl", "-o", tmp_path / "out.parquet"]
    message = run(*arguments, input=lines, code=1).stderr
    assert message.startswith("error: column 'id' cannot be stored as parquet (after row 2)")
    assert pq.read_table(tmp_path / "out.parquet.partial")["id"].to_pylist() == [1, 2]


def test_broken_records_can_be_skipped(run: Run) -> None:
    result = run("--input-format", "csv", "--on-error", "skip", input=BROKEN)
    assert [row["id"] for row in csv_rows(result.stdout)] == ["1", "4"]
    assert "row 2" in result.stderr
    assert "row 3" in result.stderr
    assert "2 skipped" in result.stderr
    lines = '{"text": "happy"}\n{"text": \n[1]\n' + "nonsense\n" * 20 + '{"text": "sad"}\n'
    result = run("--input-format", "jsonl", "--on-error", "skip", input=lines)
    assert len(result.stdout.splitlines()) == 2
    assert len(result.stderr.splitlines()) < 10
    assert "22 skipped" in result.stderr


def test_invalid_bytes_are_replaced_and_counted(run: Run) -> None:
    result = run("-f", "jsonl", input=b"a happy day\ncaf\xe9 \xff\n")
    assert json.loads(result.stdout.splitlines()[1])["text"] == "caf\ufffd \ufffd"
    assert "2 places" in result.stderr
    result = run("-f", "jsonl", "--encoding", "cp1252", input="café\n".encode("cp1252"))
    assert json.loads(result.stdout)["text"] == "café"


def test_gzip_is_read_and_written(run: Run, tmp_path: Path) -> None:
    result = run(input=gzip.compress(b"a happy day\nso mad\n"))
    assert len(result.stdout.splitlines()) == 2
    run("-o", tmp_path / "out.jsonl.gz", input="a happy day\n")
    with gzip.open(tmp_path / "out.jsonl.gz", "rt") as file:
        assert json.loads(file.read())["text"] == "a happy day"


def test_the_extension_of_the_output_sets_the_format(run: Run, table: Path, tmp_path: Path) -> None:
    run("-i", table, "-o", tmp_path / "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    run("-i", table, "-o", tmp_path / "out.csv", "-f", "tsv")
    assert (tmp_path / "out.csv").read_text().startswith("id\ttext\t")


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_an_output_that_is_a_link_stays_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "out.jsonl", tmp_path / "latest.jsonl"
    real.write_text("before")
    link.symlink_to(real)
    run("-o", link, input="a happy day\n")
    assert link.is_symlink()
    assert json.loads(real.read_text())["text"] == "a happy day"
    run("-o", link, "-f", "csv", "--input-format", "csv", input=BROKEN, code=1)
    assert [path.name for path in real.parent.iterdir() if path != real] == ["out.jsonl.partial"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_an_output_that_is_a_pipe_is_written_to(run: Run, tmp_path: Path) -> None:
    pipe, seen = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: seen.append(pipe.read_bytes()), daemon=True)
    reader.start()
    run("-o", pipe, "-f", "jsonl", input="a happy day\n")
    reader.join(timeout=60)
    assert pipe.is_fifo()
    assert json.loads(seen[0])["text"] == "a happy day"
    assert [path.name for path in tmp_path.iterdir() if "pipe" in path.name] == ["pipe"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_an_output_that_cannot_be_written_is_named(run: Run, tmp_path: Path, name: str) -> None:
    words = [secrets.token_hex(40) for _ in range(200)]  # more than 4096 bytes, however compressed
    with largest_file(4096):
        message = run("-o", tmp_path / name, input="\n".join(words), code=1).stderr
    assert message.startswith(f"error: {tmp_path / name}: File too large")
    assert message.endswith(f"the output so far is in {tmp_path / name}.partial\n")


class Terminal(io.TextIOWrapper):
    """A stream that claims to be a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        return cast(io.BytesIO, self.buffer).getvalue().decode()


HIDDEN_CURSOR = "\x1b[?25l"


def test_progress_is_shown_unless_the_terminal_shows_the_records(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, status = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", status)
    monkeypatch.setenv("TERM", "xterm")
    predict(input_=[str(table)])
    assert "a happy day" in out.shown
    assert HIDDEN_CURSOR not in status.shown
    predict(input_=[str(table)], output=str(tmp_path / "out.csv"))
    assert HIDDEN_CURSOR in status.shown


def test_a_note_goes_above_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    status = Terminal()
    monkeypatch.setattr(sys, "stderr", status)
    monkeypatch.setenv("TERM", "xterm")
    with _console.record_progress(shown=True) as advance:
        advance(5)
        until(lambda: "5 records" in status.shown)
        _console.note("look here")
    before, _, after = re.sub(r"\x1b\[[0-9;]*m", "", status.shown).partition("note: look here")
    assert before.endswith(("\n", "\r\x1b[2K"))
    assert after.startswith("\n")


def test_an_empty_input_gives_an_empty_output(run: Run) -> None:
    assert run(input="").stdout == ""
    assert run("--input-format", "csv", input="text,id\n").stdout == "text,id,label,confidence\n"
    assert "is empty" in run("--input-format", "csv", input="", code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["x", "--input", "y.csv"], "not both", 2),
        (["--on-error", "ignore"], "stop or skip", 2),
        (["--output-format", "xlsx"], "text, csv, tsv, jsonl, parquet", 2),
        (["-i", "missing.csv"], "missing.csv", 1),
        (["-i", "odd.name"], "--format text|csv", 1),
        (["-o", "/no/such/place/out.csv"], "error: /no/such/place/out.csv: No such file", 1),
        (["-o", "."], "directory", 1),
    ],
)
def test_misuse_is_an_error_of_one_line(
    run: Run, arguments: list[str], words: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.name").write_text("x")
    message = run(*arguments, code=code, input="a\n").stderr
    assert words in message
    assert len([line for line in message.splitlines() if line.startswith("error:")]) == 1


@pytest.mark.parametrize(
    "option",
    [
        ["--input-format", "csv"],
        ["--format", "csv"],
        ["--text-column", "x"],
        ["--encoding", "cp1252"],
        ["--delimiter", ";"],
    ],
)
def test_reading_options_are_rejected_with_texts(cli: Run, option: list[str]) -> None:
    result = cli("predict", "a happy day", *option)
    assert result.exit_code == 2
    name = option[0].replace("--format", "--input-format")
    assert (
        result.stderr == f"error: {name} says how to read --input or standard input: leave it out with TEXT arguments\n"
    )


def test_formulas_are_escaped_on_request(run: Run) -> None:
    table = "text,id\n=1+1,-5\n@home,x\n"
    plain = run("--input-format", "csv", input=table).stdout.splitlines()
    assert plain[1].startswith("=1+1,-5,")
    escaped = run("--input-format", "csv", "--escape-formulas", input=table).stdout.splitlines()
    assert escaped[1].startswith("'=1+1,'-5,")
    assert escaped[2].startswith("'@home,x,")


def test_formulas_are_escaped_in_names_and_binary_values_too(run: Run, tmp_path: Path) -> None:
    table = 'text,"=cmd|x"\na happy day,1\n'
    assert run("--input-format", "csv", "--escape-formulas", input=table).stdout.startswith("text,'=cmd|x,label,")
    pq.write_table(pa.table({"text": [b"a happy day"], "note": [b"=1+1"]}), tmp_path / "in.parquet")
    escaped = run("-i", tmp_path / "in.parquet", "-f", "csv", "--escape-formulas").stdout.splitlines()
    assert escaped[1].startswith("a happy day,'=1+1,")


def test_records_before_one_that_does_not_fit_are_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        "".join(f'{{"text": "a day {n}"}}\n' for n in range(40)) + '{"text": "b", "x": 1}\n'
    )
    message = run("-i", tmp_path / "in.jsonl", "-o", tmp_path / "out.csv", code=1).stderr
    assert "out.csv.partial" in message
    assert len(csv_rows((tmp_path / "out.csv.partial").read_text())) == 40


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_an_output_that_is_replaced_keeps_its_permissions(run: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("private")
    out.chmod(0o600)
    run("-i", table, "-o", out)
    assert out.stat().st_mode & 0o777 == 0o600
    assert len(csv_rows(out.read_text())) == 3


def test_a_text_column_of_lines_is_rejected(run: Run) -> None:
    message = run("--text-column", "review", input="id,review\n1,so happy\n", code=1).stderr
    assert "--input-format csv" in message


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_closed_standard_input_is_an_error(run: Run) -> None:
    command = f"{sys.executable} -m emoclass predict <&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "standard input: is closed" in done.stderr


def test_a_name_means_the_same_in_all_objects(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": "b", "label": "gold"}\n{"text": "c"}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "d"}\n')
    result = run("-i", tmp_path / "a.jsonl", "-i", tmp_path / "b.jsonl")
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each.get("label") for each in objects] == [None, "gold", None, None]
    assert all("predicted_label" in each for each in objects)
    assert result.stderr.count("'predicted_label'") == 1


def test_a_text_column_that_the_first_object_lacks_is_found(run: Run) -> None:
    lines = '{"id": "x1 y"}\n{"id": "x2 y", "text": "so happy"}\n{"text": "so sad"}\n'
    for option in ([], ["--text-column", "text"]):
        result = run("--input-format", "jsonl", *option, input=lines)
        objects = [json.loads(line) for line in result.stdout.splitlines()]
        assert [bool(each["label"]) for each in objects] == [False, True, True]
        assert objects[0] == {"id": "x1 y", "label": "", "confidence": 0.0}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([1]), pa.array([1.5])),
        (pa.array([1], pa.int32()), pa.array([1 << 40])),
        (pa.array([1.0], pa.float32()), pa.array([16777217.0])),
        (pa.array([1], pa.timestamp("s")), pa.array([1], pa.timestamp("us"))),
        (pa.nulls(1), pa.array([1.5])),
        (pa.array([{"a": 1}]), pa.array([{"a": 1, "b": 2}])),
        (pa.array([[{"a": 1}]]), pa.array([[{"a": 1, "b": 2}]])),
    ],
)
def test_parquet_inputs_of_different_types_keep_all_values(run: Run, tmp_path: Path, first: Any, second: Any) -> None:
    for name, values in (("a", first), ("b", second)):
        pq.write_table(pa.table({"text": ["so happy"], "more": values}), tmp_path / f"{name}.parquet")
    run("-i", tmp_path / "a.parquet", "-i", tmp_path / "b.parquet", "-o", tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")["more"]
    assert written.to_pylist()[1] == second.to_pylist()[0]


@pytest.mark.parametrize(("first", "second"), [(True, 1), ("a", 1), (date(2026, 1, 1), datetime(2026, 1, 1, 12, 30))])
def test_parquet_inputs_without_a_common_type_are_refused_at_the_start(
    run: Run, tmp_path: Path, first: object, second: object
) -> None:
    for name, value in (("a", first), ("b", second)):
        pq.write_table(pa.table({"text": ["so happy"], "more": [value]}), tmp_path / f"{name}.parquet")
    inputs = ["-i", tmp_path / "a.parquet", "-i", tmp_path / "b.parquet"]
    message = run(*inputs, "-o", tmp_path / "out.parquet", code=1).stderr
    assert "b.parquet: column 'more' is" in message
    assert not list(tmp_path.glob("out.parquet*"))


def test_a_fraction_below_whole_numbers_is_not_cut(run: Run, tmp_path: Path) -> None:
    from emoclass.data.tables import writing

    lines = "".join(f'{{"text": "so happy {n}", "n": {n if n < 6 else n + 0.5}}}\n' for n in range(8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "_GROUP_ROWS", 4)
        result = run("--input-format", "jsonl", "-o", tmp_path / "out.parquet", input=lines, code=1)
    assert "6.5 in row 7 has a fraction" in result.stderr


@pytest.mark.usefixtures("trained_model")
def test_json_writes_json_lines(cli: Run) -> None:
    lines = cli("predict", "--json", "a happy day", "so afraid").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["a happy day", "so afraid"]
    refused = cli("predict", "--json", "--output-format", "csv", "a happy day")
    assert refused.exit_code == 2
    assert "leave out one" in refused.stderr


@pytest.mark.usefixtures("trained_model")
@pytest.mark.parametrize("text", ["-oh no", "-oh", "-im so sad", "-happy", "-very sad", "-5 stars"])
def test_a_text_with_a_dash_is_no_option(cli: Run, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h no").write_text("precious")
    refused = cli("predict", text)
    assert refused.exit_code == 2
    assert "if it is a text, put -- before it" in " ".join(refused.stderr.split())
    assert (tmp_path / "h no").read_text() == "precious"
    answered = cli("predict", "--", text)
    assert answered.exit_code == 0
    assert answered.stdout.count("\n") == 1


@pytest.mark.usefixtures("trained_model")
def test_short_options_may_be_joined(cli: Run) -> None:
    assert cli("predict", "-k2", "-q", "happy").stdout.count("\t") == 3
    assert cli("predict", "--min-confidence", "-1", "happy").exit_code in (0, 2)
    assert "Usage" in cli("predict", "-h").stdout
