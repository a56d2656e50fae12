"""Options of every command: --quiet, --verbose, --config; and what train takes from elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoclass.cli import _console, _shared

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shared, "_level", 0)


def test_quiet_leaves_results_and_warnings(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    usual = cli("split", emotions_csv, "-o", tmp_path / "a")
    quiet = cli("split", emotions_csv, "-o", tmp_path / "b", "--quiet")
    assert usual.stderr
    assert quiet.stderr == ""
    assert quiet.stdout.replace("/b", "/a").split() == usual.stdout.split()


def test_quiet_keeps_warnings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shared, "_level", -1)
    _console.note("a note")
    _console.warn("a warning")
    assert capsys.readouterr().err == "warning: a warning\n"


def test_verbose_adds_times_and_tracebacks(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    shown = cli("split", emotions_csv, "-o", tmp_path / "a", "-v").stderr
    assert "note (" in shown
    assert " s): " in shown
    assert cli("split", tmp_path / "none.csv", "-o", tmp_path / "b", "-v").exception.__class__.__name__ == "DataError"


def test_a_config_file_gives_options(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text(
        'text-column = "text"\n[split]\nratios = "60/20/20"\nseed = 7\njson = true\n[train]\nepochs = 1\n'
    )
    record = json.loads(cli("split", emotions_csv, "-o", tmp_path / "a", "--config", config).stdout)
    assert (record["ratios"], record["seed"]) == ([60.0, 20.0, 20.0], 7)
    record = json.loads(cli("split", emotions_csv, "-o", tmp_path / "b", "--config", config, "--seed", "8").stdout)
    assert record["seed"] == 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sed = 1", "'sed' is no option of split: did you mean seed?"),
        ("seed = ", "is not TOML"),
        (None, "No such file"),
    ],
)
def test_a_config_file_that_cannot_be_used_is_an_error(
    cli: Run, emotions_csv: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    config = tmp_path / "own.toml"
    if content is not None:
        config.write_text(content)
    result = cli("split", emotions_csv, "-o", tmp_path / "a", "--config", config)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "a").exists()


def test_train_like_a_model_has_its_settings(cli: Run, trained_model: Path, emotions_csv: Path) -> None:
    options = ("--like", "first", "--name", "second", "--epochs", "1", "--json")
    result = cli("train", emotions_csv, *options)
    assert result.exit_code == 0, result.output
    first, second = (
        json.loads((trained_model.parent / name / "emoclass.json").read_text())["recipe"]
        for name in ("first", "second")
    )
    assert second == {**first, "epochs": 1}
    refused = cli("train", emotions_csv, "--like", "first", "--recipe", "fast")
    assert refused.exit_code == 2
    assert "leave out one" in refused.stderr


def test_the_default_recipe_is_chosen_by_the_data_and_said(cli: Run, emotions_csv: Path, tiny_base: Path) -> None:
    result = cli("train", emotions_csv, "--base-model", tiny_base, "--epochs", "1", "--max-length", "40")
    assert result.exit_code == 0, result.output
    assert "note: recipe small: 48 texts are few" in result.stderr
    assert "--recipe reference, fast or best chooses another" in result.stderr
    assert "about" in result.stderr or "a few seconds" in result.stderr
    single = cli(
        "train", emotions_csv, "--base-model", tiny_base, "--epochs", "1", "--max-length", "40", "--unfreeze", "1"
    )
    assert "note: recipe fast: it is the one for a single trainable layer" in single.stderr
