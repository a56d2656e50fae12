"""One rule: what an earlier run has written is replaced with --overwrite, what somebody else put there never."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_split_replaces_a_split_only(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    assert cli("split", emotions_csv, "-o", parts).exit_code == 0
    before = (parts / "train.csv").read_bytes()
    refused = cli("split", emotions_csv, "-o", parts, "--seed", "7")
    assert refused.exit_code == 1
    assert "name a new directory, or pass --overwrite to replace what is there" in " ".join(refused.stderr.split())
    assert (parts / "train.csv").read_bytes() == before
    options = ("--seed", "7", "--output-format", "jsonl", "--overwrite")
    assert cli("split", emotions_csv, "-o", parts, *options).exit_code == 0
    assert names(parts) == ["split.json", "test.jsonl", "train.jsonl", "val.jsonl"]
    (parts / "mine.txt").write_text("mine")
    refused = cli("split", emotions_csv, "-o", parts, "--overwrite")
    assert refused.exit_code == 1
    assert "is not empty, and nothing in it was touched: name a new directory" in " ".join(refused.stderr.split())
    assert "--overwrite" not in refused.stderr
    assert len(names(parts)) == 5
    assert names(tmp_path) == sorted({"parts", *(emotions_csv.name,) * (emotions_csv.parent == tmp_path)})


def test_a_split_that_fails_leaves_the_old_one(
    cli: Run, emotions_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts"
    assert cli("split", emotions_csv, "-o", parts).exit_code == 0

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emoclass.data.split.writing.write_rows", fail)
    assert cli("split", emotions_csv, "-o", parts, "--overwrite").exit_code == 1
    assert names(parts) == ["split.json", "test.csv", "train.csv", "val.csv"]


def test_fix_replaces_its_two_files(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    fixed, changes = tmp_path / "fixed.csv", tmp_path / "fixed.changes.csv"
    options = ("--base-model", "none", "-o", fixed)
    fixed.write_text("mine")
    refused = cli("inspect-data", emotions_csv, *options)
    assert refused.exit_code == 2
    assert "pass --overwrite" in refused.stderr
    assert fixed.read_text() == "mine"
    assert cli("inspect-data", emotions_csv, *options, "--overwrite").exit_code == 0
    assert fixed.read_text().startswith("text,label\n")
    assert changes.is_file()


@pytest.mark.usefixtures("trained_model")
def test_export_replaces_a_model_only(cli: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert cli("models", "export", "first", copy).exit_code == 0
    assert "pass --overwrite" in cli("models", "export", "first", copy).stderr
    (copy / "emoclass.json").write_text("{}")
    assert cli("models", "export", "first", copy, "--overwrite").exit_code == 0
    assert cli("models", "show", copy).exit_code == 0
    other = tmp_path / "other"
    other.mkdir()
    assert "is not a model" in cli("models", "export", "first", other, "--overwrite").stderr
