"""Users without a home directory, and other surroundings that are not those of a desk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoclass import runtime

Run = Callable[..., Any]


def no_home(*names: object, **options: object) -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("command", [["predict", "so happy"], ["models"], ["cache"], ["eval", "gold.csv"]])
def test_without_a_home_the_message_names_the_variable(
    cli: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.delenv("EMOCLASS_HOME")
    for name in ("user_data_path", "user_cache_path"):
        monkeypatch.setattr(runtime, name, no_home)
    result = cli(*command)
    assert result.exit_code != 0
    assert "set EMOCLASS_HOME to a directory for models and caches" in " ".join(result.stderr.split())


@pytest.mark.usefixtures("trained_model")
def test_with_the_variable_nothing_asks_for_a_home(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("user_data_path", "user_cache_path"):
        monkeypatch.setattr(runtime, name, no_home)
    assert cli("predict", "so happy").exit_code == 0
    assert cli("models").exit_code == 0


def test_a_home_at_the_root_that_cannot_be_written(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOCLASS_HOME")
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setattr(runtime.os, "access", lambda path, mode: str(path) != "/")
    assert "set EMOCLASS_HOME" in " ".join(cli("models").stderr.split())
