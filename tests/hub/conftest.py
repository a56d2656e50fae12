"""A hub on this machine, at the address that the client of this process has: ``pytest_configure`` sets it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_server import TOKEN, Hub, allow_this_machine, forget_connections, running_hub


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited before it tried again: it is told that this time has passed."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, waits: list[float]) -> Iterator[Hub]:
    """A hub without repositories; the user has signed in."""
    from huggingface_hub import constants

    allow_this_machine(monkeypatch)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with running_hub(int(constants.ENDPOINT.rsplit(":", 1)[1])) as server:
        yield server
        forget_connections()


@pytest.fixture
def push(cli: Callable[..., Any]) -> Callable[..., Any]:
    """Runs ``emoclass models push`` of the model ``first``."""

    def run(*arguments: object) -> Any:
        return cli("models", "push", "first", *arguments)

    return run
