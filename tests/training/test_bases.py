"""Training goes on from a trained model: its layers, a new classifier, and what it has seen counts as seen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import emoclass
from emoclass.errors import ModelError
from emoclass.runtime import models_dir
from emoclass.store.checkpoints import find_model
from emoclass.store.reading import training_hashes
from tests.conftest import WORDS
from tests.runs import read_tensors

Run = Callable[..., Any]
OTHER = {"good": WORDS["joy"], "bad": [*WORDS["fear"], *WORDS["anger"]]}


@pytest.fixture
def other_table(tmp_path: Path) -> Path:
    """Other texts with other classes."""
    path = tmp_path / "other.csv"
    rows = [f"we saw {word} at {place},{label}" for label, words in OTHER.items() for word in words for place in "xyz"]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("how", ["name", "directory"])
def test_the_layers_are_those_of_the_trained_model(cli: Run, trained_model: Path, other_table: Path, how: str) -> None:
    base = trained_model.name if how == "name" else str(trained_model)
    result = cli(
        "train",
        other_table,
        "--base-model",
        base,
        "--unfreeze",
        "0",
        "--epochs",
        "1",
        "--name",
        "second",
        "--max-length",
        "20",
    )
    assert result.exit_code == 0, result.output
    second = models_dir() / "second"
    before, after = read_tensors(trained_model), read_tensors(second)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items() if "layer" in name)
    assert after["classifier.bias"].shape == (2,)
    manifest = find_model("second").manifest
    assert (manifest.labels, manifest.base_model["source"]) == (("bad", "good"), "trained model")
    assert np.isin(training_hashes(find_model(trained_model)), training_hashes(find_model("second"))).all()
    card = (second / "README.md").read_text()
    assert "huggingface.co/" + base not in card


def test_texts_of_the_base_count_as_seen(
    cli: Run, trained_model: Path, other_table: Path, emotions_csv: Path, tmp_path: Path
) -> None:
    assert (
        cli("train", other_table, "--base-model", trained_model.name, "--epochs", "1", "--max-length", "20").exit_code
        == 0
    )
    lines = emotions_csv.read_text().splitlines()
    gold = tmp_path / "gold.csv"
    gold.write_text("\n".join([lines[0], *(line.rsplit(",", 1)[0] + ",good" for line in lines[1:])]) + "\n")
    found = json.loads(cli("eval", gold, "--json").stdout)
    assert found["seen_in_training"] > 20


def test_the_same_from_python(trained_model: Path, other_table: Path) -> None:
    result = emoclass.train(other_table, base_model=trained_model.name, epochs=1, recipe="fast", max_length=20)
    assert result.model.manifest.labels == ("bad", "good")


def test_a_damaged_base_is_an_error(cli: Run, trained_model: Path, other_table: Path) -> None:
    weights = next(trained_model.glob("trained.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    result = cli("train", other_table, "--base-model", trained_model.name, "--max-length", "20")
    assert result.exit_code == 1
    assert "checksum is wrong" in result.stderr
    with pytest.raises(ModelError):
        emoclass.train(other_table, base_model="no-such-model", epochs=1)
