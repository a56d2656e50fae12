"""From a table to a model on the hub, and on from there on another machine, by the command itself."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_server import TOKEN, Hub, running_hub

REPO = "me/emotions"
Run = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def machine(server: Hub, tmp_path: Path) -> Callable[..., Run]:
    """Returns what runs the command on a machine with a home of its own."""

    def of(name: str, **more: str) -> Run:
        home = tmp_path / name
        home.mkdir()
        own = {"HOME": str(home), "HF_HOME": str(home / "hf"), "EMOCLASS_HOME": str(home / "emoclass")}
        hub = {"HF_ENDPOINT": server.endpoint, "HF_HUB_DISABLE_XET": "1"}
        environment = {**os.environ, **own, **hub}
        for unwanted in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE"):
            environment.pop(unwanted, None)

        def run(*arguments: object, program: str | None = None, **settings: str | None) -> Any:
            what = ("-m", "emoclass") if program is None else ("-c", program)
            command = [sys.executable, *what, *map(str, arguments)]
            changed = {**environment, **more, **settings}
            variables = {name: value for name, value in changed.items() if value is not None}
            return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)

        return run

    return of


@pytest.mark.slow
def test_from_a_table_to_the_hub_and_on(
    server: Hub, machine: Callable[..., Run], emotions_csv: Path, tiny_base: Path
) -> None:
    here, there = machine("here", HF_TOKEN=TOKEN), machine("there")
    settings = ("--epochs", 2, "--learning-rate", 0.02, "--batch-size", 8, "--max-length", 40)
    trained = here("train", emotions_csv, "--base-model", tiny_base, "--name", "first", *settings)
    assert trained.returncode == 0, trained.stderr
    pushed = here("models", "push", "first", REPO)
    assert pushed.returncode == 0, pushed.stderr
    commit = server.repositories[REPO].head
    assert pushed.stdout == f"{server.endpoint}/{REPO}\n{commit}\n"
    assert TOKEN not in pushed.stderr

    at = f"{REPO} at {commit[:7]}"
    predicted = there("predict", "--model", REPO, "so happy")
    assert (predicted.returncode, predicted.stderr) == (0, f"note: {at}\n")
    assert predicted.stdout == here("predict", "--model", "first", "so happy").stdout
    evaluated = there("eval", emotions_csv, "--model", REPO, "--json")
    assert json.loads(evaluated.stdout)["revision"] == commit
    on = there("train", emotions_csv, "--base-model", REPO, "--name", "second", *settings)
    assert on.returncode == 0, on.stderr
    shown = json.loads(there("models", "show", "second", "--json").stdout)
    assert shown["base_model"]["name"] == f"{REPO}@{commit}"

    server.requests.clear()
    offline = there("predict", "--model", REPO, "so happy", HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout) == (0, predicted.stdout)
    assert offline.stderr.startswith(f"note: {at}, from the cache: HF_HUB_OFFLINE is set")
    gone = there("predict", "--model", REPO, "so happy", HF_ENDPOINT="http://127.0.0.1:9")
    assert (gone.returncode, gone.stdout) == (0, predicted.stdout)
    assert "from the cache: the hub cannot be reached" in gone.stderr
    assert server.requests == []


@pytest.mark.slow
def test_programs_hear_nothing_from_the_client(
    server: Hub, machine: Callable[..., Run], tiny_model: Path, tiny_base: Path, emotions_csv: Path
) -> None:
    server.add(REPO, tiny_model)
    server.add("me/base", tiny_base)
    program = (
        "import sys, emoclass\n"
        "data, settings = sys.argv[1], {'recipe': 'reference', 'epochs': 1, 'max_length': 40}\n"
        f"emoclass.train(data, base_model='me/base', **settings)\n"
        f"emoclass.train(data, base_model='{REPO}', **settings)\n"
        f"emoclass.load('{REPO}').predict_text('a happy day')\n"
        "from emoclass.store.publishing import push_model\n"
        "push_model(None, 'me/other')\n"
    )
    run = machine("here", HF_TOKEN=TOKEN)
    done = run(emotions_csv, program=program, HF_HUB_DISABLE_PROGRESS_BARS=None)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_token_that_is_refused_is_not_shown(server: Hub, machine: Callable[..., Run], tiny_model: Path) -> None:
    run = machine("here", HF_TOKEN="hf_wrongWrongWrong")
    for more in ([], ["--verbose"]):
        pushed = run("models", "push", tiny_model, REPO, *more, EMOCLASS_DEBUG="1" if more else "")
        assert pushed.returncode == 1
        assert "the hub does not accept the token" in pushed.stderr
        assert "hf_wrong" not in pushed.stderr + pushed.stdout
    server.add(REPO, tiny_model, private=True)
    predicted = run("predict", "--model", REPO, "so happy")
    assert predicted.returncode == 1
    assert len(predicted.stderr.splitlines()) == 1
    assert "hf_wrong" not in predicted.stderr
