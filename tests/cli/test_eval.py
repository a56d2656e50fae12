"""``emoclass eval`` as a user meets it: reports, pages, files, limits and comparisons."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from emoclass.cli import _console
from emoclass.data.options import DataOptions
from tests.conftest import emotion_rows

Run = Callable[..., Any]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = '<script>document.title="broken"</script> "quoted" | tab\tnew\nline'


@pytest.fixture
def run(trained_model: Path, cli: Run) -> Run:
    def evaluate(*arguments: object, code: int = 0) -> Any:
        result = cli("eval", *arguments)
        assert result.exit_code == code, result.output
        return result

    return evaluate


@pytest.fixture
def odd_csv(tmp_path: Path) -> Path:
    """Rows with markup, quotes and line ends in them, some of them wrong."""
    path = tmp_path / "odd.csv"
    rows = [*emotion_rows(6), (EVIL + " happy", "fear"), (EVIL, "joy")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path


def test_the_report_has_its_parts(run: Run, odd_csv: Path) -> None:
    output = run(odd_csv, "--errors", 3, "--target-accuracy", "0.5", "--sort", "f1", "--details").stdout
    for words in ("95 %", "TF-IDF + linear", "Most confused", "By length", "calibration error", "Worst mistakes"):
        assert words in output
    assert "--min-confidence" in output
    assert "\x1b" not in output
    classes = re.findall(r"│ (anger|fear|joy) +│ [01]\.\d+ │ [01]\.\d+ │ ([01]\.\d+)", output)
    assert [score for _, score in classes] == sorted((score for _, score in classes), reverse=True)


def test_json_has_what_was_asked_for(run: Run, odd_csv: Path) -> None:
    document = json.loads(run(odd_csv, "--json", "--errors", 2, "--target-accuracy", "0.5").stdout)
    assert document["model"] == "first"
    assert len(document["errors"]) == 2
    assert document["errors"][0]["loss"] >= document["errors"][1]["loss"]
    assert document["target_accuracy"]["reached"]["accuracy"] >= 0.5
    assert len(document["intervals"]["macro_f1"]) == 2


def test_predictions_are_written_row_by_row(run: Run, odd_csv: Path, tmp_path: Path) -> None:
    run(odd_csv, "--predictions", tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == [str(number) for number in range(1, 21)]
    assert rows[18]["text"] == EVIL + " happy"
    assert set(rows[0]) == {"row", "text", "label", "prediction", "confidence", "loss"}
    assert "does not tell the format" in run(odd_csv, "--predictions", tmp_path / "rows.odd", code=2).stderr


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "parquet", "csv.gz"])
def test_predictions_come_in_every_format(run: Run, odd_csv: Path, tmp_path: Path, suffix: str) -> None:
    run(odd_csv, "--predictions", tmp_path / f"rows.{suffix}")
    frame = DataOptions().read(tmp_path / f"rows.{suffix}").frame
    assert frame["text"].tolist()[-1] == EVIL
    assert frame["label"].tolist()[-2:] == ["fear", "joy"]
    assert [path.name for path in tmp_path.glob("*rows*")] == [f"rows.{suffix}"]


def test_predictions_before_a_broken_row_are_kept_aside(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    path.write_text("text,label\n" + "".join(f"a happy day {n},joy\n" for n in range(5000)) + "cut off\n")
    result = run(path, "--predictions", tmp_path / "rows.csv", code=1)
    assert "row 5001" in result.stderr
    assert "rows.csv.partial" in result.stderr
    assert not (tmp_path / "rows.csv").exists()
    assert "a happy day 7,joy" in (tmp_path / "rows.csv.partial").read_text()
    run(path, "--predictions", tmp_path / "rows.parquet", code=1)
    assert "a happy day 7" in pq.read_table(tmp_path / "rows.parquet.partial")["text"].to_pylist()


def test_a_pipe_gives_what_a_file_gives(run: Run, cli: Run, odd_csv: Path) -> None:
    piped = cli("eval", "-", "--json", input=odd_csv.read_bytes())
    assert piped.exit_code == 0, piped.output
    expected = json.loads(run(odd_csv, "--json").stdout)
    assert json.loads(piped.stdout) == {**expected, "source": "standard input"}


def test_progress_is_shown_on_a_terminal_alone(run: Run, odd_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "20/" not in run(odd_csv).stderr
    shown = io.StringIO()
    monkeypatch.setattr(_console, "status", lambda: Console(file=shown, force_terminal=True, width=100))
    run(odd_csv)
    assert "20/?" in shown.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("option", ["", "--json"])
def test_a_reader_that_goes_early_changes_neither_the_page_nor_the_exit_code(
    run: Run, odd_csv: Path, tmp_path: Path, option: str
) -> None:
    page = tmp_path / "page.html"
    command = f"{sys.executable} -m emoclass eval {odd_csv} --report {page} --fail-under accuracy=1 {option}"
    done = subprocess.run(
        f"{{ {command}; echo $? >&2; }} | true", shell=True, capture_output=True, text=True, timeout=120, check=False
    )
    *_, error, code = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert code == "1"
    assert page.exists()


def test_a_score_below_its_limit_is_exit_1_after_the_report(run: Run, odd_csv: Path) -> None:
    assert "accuracy" in run(odd_csv, "--fail-under", "accuracy=0", "--fail-under", "macro_f1=0.01").stdout
    result = run(odd_csv, "--fail-under", "macro_f1=1", code=1)
    assert "macro_f1" in result.stderr
    assert "is below 1" in result.stderr
    assert "precision" in result.stdout
    for wrong in ("speed=1", "accuracy", "accuracy=90"):
        assert "--fail-under" in run(odd_csv, "--fail-under", wrong, code=2).stderr


def test_models_are_compared_on_the_same_rows(run: Run, tiny_train: Run, odd_csv: Path) -> None:
    tiny_train("--name", "second", "--epochs", 1)
    output = run(odd_csv, "--model", "first", "--model", "second").stdout
    assert "20 rows that all models can score" in output
    assert "against the first" in output
    document = json.loads(run(odd_csv, "--model", "first", "--model", "first", "--json").stdout)
    assert document["comparison"]["models"][1]["test"]["p_value"] == 1
    assert [each["model"] for each in document["evaluations"]] == ["first", "first"]
    assert "one by one" in run(odd_csv, "-m", "first", "-m", "second", "--report", "x.html", code=2).stderr
    both = (odd_csv, "-m", "first", "-m", "second")
    errors = run(*both, "--errors", 3, "--sort", "f1").stderr
    assert "note: --sort and --errors ignored" in errors
    assert "ignored" not in run(*both, "--errors", 3, "--json").stderr + run(*both).stderr


class Page(HTMLParser):
    """Counts tags, and refuses what comes from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert name not in ("src", "href", "xlink:href") or (value or "").startswith("#"), (tag, name, value)


def test_the_page_stands_alone_and_texts_do_no_harm(run: Run, odd_csv: Path, tmp_path: Path) -> None:
    run(odd_csv, "--report", tmp_path / "report.html")
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(content)
    assert page.tags.count("script") == 1
    assert page.tags.count("figure") == 4
    assert "&lt;script&gt;" in content
    assert content.count("broken") <= 2


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_page_opens_in_a_browser(run: Run, odd_csv: Path, tmp_path: Path) -> None:
    run(odd_csv, "--report", tmp_path / "report.html")
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    shown = subprocess.run(
        [
            CHROMIUM,
            *options,
            f"--user-data-dir={tmp_path / 'chromium'}",
            "--dump-dom",
            "file://" + os.fspath(tmp_path / "report.html"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "<title>first on " in shown.stdout
    assert "Confusion matrix" in shown.stdout


def test_one_row_and_absent_classes_are_fine(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("text,label\na happy day,joy\n")
    result = run(path)
    assert "1 row" in result.stdout
    assert "excluded from the macro averages: anger, fear" in result.stderr


def test_what_the_reader_decided_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("said;felt\n" + "".join(f"{text};{label}\n" for text, label in emotion_rows(4)))
    errors = run(path).stderr
    assert "semicolon" in errors
    assert "column 'said' taken as the text" in errors


def test_misuse_is_told(run: Run, odd_csv: Path) -> None:
    assert "--sort" in run(odd_csv, "--sort", "mood", code=2).stderr
    assert "--errors -1" in run(odd_csv, "--errors", "-1", code=2).stderr
    assert "--target-accuracy" in run(odd_csv, "--target-accuracy", "95", code=2).stderr
