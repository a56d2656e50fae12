"""Output in place of the input: written as the input was, readable again, and nothing of it lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("trained_model")
Run = Callable[..., Any]

ROWS = 'text,label\n"a happy day, so bright",joy\nso mad,anger\n'


def lines_of(path: Path, encoding: str, line_end: str) -> list[str]:
    with path.open(encoding=encoding, newline="") as file:
        text = file.read()
    assert text.endswith(line_end)
    assert len(text.replace(line_end, "").splitlines()) == 1  # no other line ends
    return text.removesuffix(line_end).split(line_end)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_keeps_its_byte_order_mark_and_line_ends(
    cli: Run, tmp_path: Path, encoding: str, line_end: str
) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(ROWS.replace("\n", line_end).encode(encoding))
    start = table.read_bytes()[:2]
    seen = []
    for _ in range(3):
        assert cli("predict", "-i", table, "-o", table).exit_code == 0
        seen.append(lines_of(table, encoding, line_end))
    assert table.read_bytes()[:2] == start
    assert seen[0][0] == "text,label,predicted_label,confidence"
    assert seen[0][1].startswith('"a happy day, so bright",joy,')
    assert seen[0] == seen[1] == seen[2]  # the columns of an earlier prediction are replaced


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ('text,label\n"a happy day",joy\n"so ""mad"" day",anger\n', []),
        ('"","id","text","label"\n"1",1,"a happy day","joy"\n"2",2,"so mad","anger"\n', []),
        ('"text";"label"\n"a happy; day";"joy"\n"so mad";"anger"\n', []),
        ('text\tlabel\na "happy day\tjoy\n"so" mad\tanger\n', ["--quoting", "none"]),
        ('text,label\n"a \\"happy\\" day",joy\n"so, mad",anger\n', []),
        ("text;label\n'a happy; day';joy\n'it is so; mad';anger\n'x; y';joy\n", ["--quoting", "single"]),
        ("text,label\nun jour très heureux,joy\nso mad,anger\n", ["--encoding", "cp1252"]),
    ],
)
def test_a_table_keeps_its_separator_quotes_and_encoding(
    cli: Run, tmp_path: Path, rows: str, options: list[str]
) -> None:
    table = tmp_path / ("t.tsv" if "\t" in rows else "t.csv")
    encoding = options[-1] if "--encoding" in options else "utf-8"
    table.write_bytes(rows.encode(encoding))
    seen = []
    for _ in range(2):
        result = cli("predict", "-i", table, "-o", table, *options)
        assert result.exit_code == 0, result.stderr
        seen.append(table.read_bytes().decode(encoding))
    assert seen[0] == seen[1]
    for before, after in zip(rows.splitlines(), seen[0].splitlines(), strict=True):
        assert after.startswith(before)


def test_objects_keep_their_line_ends_and_fields(cli: Run, tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_bytes(b'{"text": "so happy", "label": "joy"}\r\n{"text": "so mad", "x": null}\r\n')
    seen = []
    for _ in range(3):
        assert cli("predict", "-i", table, "-o", table).exit_code == 0
        seen.append(table.read_bytes())
    assert seen[0] == seen[1] == seen[2]
    first, second, rest = seen[0].split(b"\r\n")
    assert first.startswith(b'{"text": "so happy", "label": "joy", "predicted_label": ')
    assert b'"x": null' in second
    assert rest == b""


def test_labels_that_may_be_a_persons_stay(cli: Run, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label,confidence\nso happy,joy,0.9\n")
    for _ in range(2):
        assert cli("predict", "-i", table, "-o", table).exit_code == 0
        header, row = table.read_text().splitlines()
        assert header == "text,label,confidence,predicted_label,predicted_confidence"
        assert row.startswith("so happy,joy,0.9,")


def test_what_would_be_lost_is_an_error(cli: Run, tmp_path: Path) -> None:
    texts, table, other = tmp_path / "t.txt", tmp_path / "t.csv", tmp_path / "u.csv"
    texts.write_text("so happy\nso mad\n")
    for each in (table, other):
        each.write_bytes("text,label\nun jour très heureux,joy\nso mad,anger\n".encode("cp1252"))
    before = {path: path.read_bytes() for path in (texts, table, other)}
    for command, message in (
        (["predict", "-i", texts, "-o", texts], "would replace the texts by their labels"),
        (["predict", "-i", table, "-o", table], "pass --encoding cp1252, or write to another file"),
        (["predict", "-i", table, "-o", table, "--on-error", "skip"], "would remove rows"),
        (["predict", "-i", table, "-i", other, "-o", other], "is also one of several inputs"),
        (["eval", table, "-o", table], "would replace the data"),
        (["eval", table, "--report", table], "would replace the data"),
        (["inspect-data", table, "--report", table], "would replace the data"),
    ):
        result = cli(*command)
        assert result.exit_code != 0
        assert message in result.stderr
        assert {path: path.read_bytes() for path in before} == before


@pytest.mark.skipif(sys.platform == "win32", reason="files are opened differently there")
def test_an_input_does_not_grow_while_it_is_read(tmp_path: Path) -> None:
    texts = tmp_path / "t.txt"
    texts.write_text("so happy\nso mad\n")
    with texts.open("ab") as out:
        command = [sys.executable, "-m", "emoclass", "predict", "-i", str(texts)]
        result = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=False, env=os.environ)
    assert result.returncode == 2
    assert b"use --output" in result.stderr
    assert texts.read_text() == "so happy\nso mad\n"


def test_a_cleaned_table_keeps_its_style(cli: Run, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = ["text;label", '"a happy; day";joy', "so mad;anger", "so mad;anger", "so afraid;fear"]
    table.write_bytes("".join(f"{row}\r\n" for row in rows).encode("utf-8-sig"))
    assert cli("inspect-data", table, "--fix", table, "--overwrite").exit_code == 0
    del rows[3]
    assert table.read_bytes() == "".join(f"{row}\r\n" for row in rows).encode("utf-8-sig")
