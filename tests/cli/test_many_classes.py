"""Tables on a terminal of 80 columns and lists in messages, with many classes and long names."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emoclass.cli import _console as console
from tests.conftest import FILLERS

Run = Callable[..., Any]
CLASSES = 60


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Sixty classes of five rows each."""
    rows = [
        f"{FILLERS[n]} {FILLERS[(3 * n + c) % len(FILLERS)]} word{c} {'so ' * n},a class with a long name {c}"
        for c in range(CLASSES)
        for n in range(5)
    ]
    path = tmp_path / "many.csv"
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


def test_a_training_on_many_classes_prints_a_screen(
    cli: Run, many: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    options = ["--base-model", tiny_base, "--recipe", "fast", "--epochs", 1, "--max-length", 40]
    result = cli("train", many, *options)
    assert result.exit_code == 0, result.output
    assert f"{CLASSES - 40} more classes; expected calibration error" in result.stdout
    assert len(result.stdout.splitlines()) < 60
    assert max(len(line) for line in result.stdout.splitlines() if line[0] in "┏┃┡│└") <= 80
    assert re.search(r"never predicted: .* and \d+ more", result.stderr)
    assert all(len(line) < 500 for line in result.stderr.splitlines())
    page = tmp_path / "page.html"
    evaluated = cli("eval", many, "--report", page, "--details")
    assert evaluated.exit_code == 0, evaluated.output
    assert page.stat().st_size < 1_500_000


def test_numbers_are_never_folded_and_columns_without_room_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"score {n}" for n in range(14)]
    table = console.table("", ["a class", *names], [["some long name of a class", *["12345.678"] * 14]])
    console.print_table(Console(width=80), table)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-2])) <= 80
    assert "12345.678" in "".join(lines)
    assert not re.search(r"│\s+\.?\d{1,4}\s+│", "".join(lines))
    assert lines[-1].startswith("left out for lack of room: score ")
    assert lines[-1].endswith("; --json has all")
