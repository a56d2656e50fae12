"""Training goes on from a model on the hub as from one on this disk; encoders of others stay what they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

from emoclass.encoders.base import resolve_tokenizer
from emoclass.errors import ModelError
from emoclass.runtime import models_dir
from emoclass.store.bases import find_base
from emoclass.store.checkpoints import find_model
from emoclass.store.reading import training_hashes
from tests.hub_server import Hub, switch_offline
from tests.runs import read_tensors

Run = Callable[..., Any]
REPO = "me/emotions"


@pytest.fixture
def train(cli: Run, emotions_csv: Path) -> Run:
    def run(base: str, *arguments: object) -> Any:
        settings = ("--unfreeze", 0, "--epochs", 1, "--max-length", 20)
        return cli("train", emotions_csv, "--base-model", base, *settings, *arguments)

    return run


def test_the_layers_are_those_of_the_model(hub: Hub, tiny_model: Path, train: Run) -> None:
    commit = hub.add(REPO, tiny_model).head
    result = train(REPO, "--name", "second")
    assert result.exit_code == 0, result.output
    assert f"{REPO}@{commit} (trained model on the hub)" in result.stderr
    before, after = read_tensors(tiny_model), read_tensors(models_dir() / "second")
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items() if "layer" in name)
    model = find_model("second")
    assert model.manifest.base_model == {"name": f"{REPO}@{commit}", "source": "trained model on the hub"}
    assert np.isin(training_hashes(find_model(tiny_model)), training_hashes(model)).all()
    card = ModelCard.load(model.directory / "README.md")
    assert (card.data.base_model, card.data.base_model_relation) == (REPO, "finetune")


def test_names_are_made_without_the_commit(hub: Hub, tiny_model: Path, train: Run) -> None:
    hub.add(REPO, tiny_model)
    assert train(REPO).exit_code == 0
    assert [path.name for path in models_dir().iterdir() if path.name[0] != "."] == ["emotions-emotions"]


def test_a_commit_stays_the_one_that_was_found(hub: Hub, tiny_model: Path, train: Run) -> None:
    """Somebody pushes between the first look at the base model and its use."""
    repository = hub.add(REPO, tiny_model)
    first = repository.head

    def push(handler: Any) -> None:
        hub.faults.clear()
        handler._route()
        repository.add({**repository.files, "notes.txt": b"newer"})

    hub.fail("HEAD .*/training_texts.npy", act=push)
    assert train(REPO, "--name", "second").exit_code == 0
    assert repository.head != first
    assert find_model("second").manifest.base_model["name"] == f"{REPO}@{first}"


def test_the_base_is_found_again_by_like(hub: Hub, tiny_model: Path, train: Run, cli: Run, emotions_csv: Path) -> None:
    hub.add(REPO, tiny_model)
    assert train(REPO, "--name", "second").exit_code == 0
    hub.requests.clear()
    result = cli("train", emotions_csv, "--like", "second", "--name", "third")
    assert result.exit_code == 0, result.output
    assert hub.requests == []
    base = find_model("third").manifest.base_model
    assert base == find_model("second").manifest.base_model


def test_settings_can_be_those_of_a_model_on_the_hub(hub: Hub, tiny_model: Path, cli: Run, emotions_csv: Path) -> None:
    hub.add(REPO, tiny_model)
    result = cli("train", emotions_csv, "--like", REPO, "--epochs", 1, "--name", "alike")
    assert result.exit_code == 0, result.output
    assert find_model("alike").manifest.recipe.batch_size == find_model(tiny_model).manifest.recipe.batch_size


def test_settings_of_a_model_whose_base_is_elsewhere_need_a_base(
    hub: Hub, trained_model: Path, cli: Run, emotions_csv: Path, tiny_base: Path
) -> None:
    assert cli("models", "push", trained_model, REPO).exit_code == 0
    result = cli("train", emotions_csv, "--like", REPO, "--epochs", 1)
    assert result.exit_code == 2
    assert f"was trained from {tiny_base.name!r}, which is on another machine: name a base model" in result.stderr
    named = cli("train", emotions_csv, "--like", REPO, "--epochs", 1, "--base-model", tiny_base, "--name", "alike")
    assert named.exit_code == 0, named.output


def test_without_a_network_the_cached_commit_is_the_base(
    hub: Hub, tiny_model: Path, train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.add(REPO, tiny_model).head
    assert f"note: {REPO} at {commit[:7]}\n" in train(REPO, "--name", "second").stderr
    switch_offline(monkeypatch)
    assert f"note: {REPO} at {commit[:7]}, from the cache" in train(REPO, "--name", "third").stderr
    assert find_model("third").manifest.base_model["name"] == f"{REPO}@{commit}"


def test_a_model_with_all_layers_trained_is_a_base_too(hub: Hub, tiny_train: Run, train: Run, cli: Run) -> None:
    assert tiny_train("--name", "whole", "--unfreeze", "all").exit_code == 0
    hub.add(REPO, models_dir() / "whole")
    result = train(REPO, "--name", "second")
    assert result.exit_code == 0, result.output
    assert find_model("second").manifest.base_model["source"] == "trained model on the hub"


def test_an_encoder_is_asked_for_as_often_as_it_takes(hub: Hub, tiny_base: Path, train: Run) -> None:
    hub.add("someone/bert", {path.name: path.read_bytes() for path in tiny_base.iterdir()})
    result = train("someone/bert", "--name", "plain")
    assert result.exit_code == 0, result.output
    assert find_model("plain").manifest.base_model == {"name": "someone/bert", "source": "hub"}
    assert not hub.asked("emoclass.json")
    assert len(hub.asked("GET /api/models/someone/bert")) <= 2  # the commit and its files
    hub.requests.clear()
    assert train("someone/bert", "--name", "again").exit_code == 0
    assert hub.requests == []


def test_encoders_have_revisions_too(hub: Hub, tiny_base: Path) -> None:
    repository = hub.add("someone/bert", tiny_base)
    first = repository.head
    repository.add({".gitattributes": b""})
    assert find_base(f"someone/bert@{first}").directory.name == first
    assert resolve_tokenizer(f"someone/bert@{first}")(["a happy day"]).lengths.tolist() == [5]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"status": 404, "headers": {"X-Error-Code": "RepoNotFound"}}, "the hub has no such model, or it is private"),
        ({"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}, "access to it has to be asked for"),
        ({"status": 429, "headers": {"Retry-After": "9"}}, "try again in 9 seconds"),
        ({"status": 500}, "the hub has a problem (500)"),
    ],
)
def test_what_goes_wrong_is_said_as_for_models(hub: Hub, train: Run, fault: dict[str, Any], message: str) -> None:
    hub.fail(".", **fault)
    result = train("someone/bert")
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]
    assert "emoclass[offline]" in result.stderr


def test_a_damaged_model_on_the_hub_is_no_base(hub: Hub, tiny_model: Path) -> None:
    repository = hub.add(REPO, tiny_model)
    manifest = json.loads(repository.files["emoclass.json"])
    repository.add({**repository.files, "emoclass.json": json.dumps({**manifest, "labels": 3}).encode()})
    with pytest.raises(ModelError, match="labels is missing or of the wrong kind"):
        find_base(REPO)
