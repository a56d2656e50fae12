"""Models on disk: whole or not at all, checked when loaded."""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.errors import ConfigError, EmoclassError, ModelError
from emoclass.evaluation import report
from emoclass.inference.predictor import load
from emoclass.runtime import models_dir
from emoclass.store import layout
from emoclass.store.checkpoints import find_model, list_models
from emoclass.store.layout import Manifest
from emoclass.store.saving import export_model, remove_model
from emoclass.training.train import TrainResult
from tests.conftest import in_models_dir
from tests.disks import refuse_to_flush_directories
from tests.runs import run_training

Train = Callable[..., TrainResult]


@pytest.fixture
def train(parts: TrainingData, config: Callable[..., TrainConfig]) -> Train:
    def run(name: str | None = None, **settings: Any) -> TrainResult:
        return run_training(parts, config(epochs=1), name=name, **settings)

    return run


TEXTS = ["a happy day", "so very angry and mad", "they are afraid in the dark", "x"]


def test_what_is_saved_predicts_the_same_when_loaded(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(scorings: Any, *args: Any) -> Any:
        classifier = scorings[0].classifier
        seen.append(classifier.logits(classifier.tokenizer(TEXTS)))
        return original(scorings, *args)

    original = report.evaluate
    monkeypatch.setattr(report, "evaluate", spy)
    train("first")
    loaded = load("first", engine="torch")
    np.testing.assert_array_equal(loaded.logits(loaded.tokenizer(TEXTS)), seen[0])


def test_a_model_directory_holds_all_that_is_promised(train: Train) -> None:
    result = train("first")
    files = {path.name for path in result.model.directory.iterdir()}
    assert files == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors.index.json",
        "trained.safetensors",
        "frozen.safetensors",
        "baseline.json",
        "baseline.safetensors",
        "emoclass.json",
        "history.jsonl",
        "README.md",
        "training_texts.npy",
    }
    manifest = json.loads((result.model.directory / "emoclass.json").read_text())
    assert manifest["labels"] == ["anger", "fear", "joy"]
    assert manifest["truncation"] == {"max_length": 40, "head_tokens": 10}
    assert manifest["data"]["rows"] == {"train": 48, "val": 6, "test": 6}
    assert set(manifest["checksums"]) == files - {"emoclass.json"}
    assert "first" in (result.model.directory / "README.md").read_text()
    assert Manifest.from_dict(manifest).to_dict() == manifest


@pytest.mark.parametrize("unlisted", ["config.json", "tokenizer.json", "trained.safetensors", None])
def test_files_that_no_checksum_vouches_for_are_not_read(train: Train, unlisted: str | None) -> None:
    path = train("first").model.directory / "emoclass.json"
    manifest = json.loads(path.read_text())
    manifest["checksums"] = {name: own for name, own in manifest["checksums"].items() if unlisted not in (name, None)}
    path.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=f"emoclass.json: has no checksum of {unlisted or 'config.json'}"):
        load("first")


def test_a_card_may_be_edited(train: Train, tmp_path: Path) -> None:
    directory = train("first").model.directory
    with (directory / "README.md").open("a") as card:
        card.write("Not for hiring decisions.\n")
    load("first", verify=True)
    export_model("first", tmp_path / "copy")
    assert "hiring" in (tmp_path / "copy" / "README.md").read_text()
    (directory / "README.md").unlink()
    load("first", verify=True)
    export_model("first", tmp_path / "second")


def test_the_newest_model_is_the_default(train: Train) -> None:
    train("older")
    train("newer")
    assert find_model().directory.name == "newer"
    assert [model.directory.name for model in list_models()[0]] == ["newer", "older"]


def test_names_are_made_from_data_and_base_and_do_not_collide(train: Train) -> None:
    first, second = train(), train()
    assert first.model.directory.name.startswith("emotions-tiny-base")
    assert second.model.directory.name == f"{first.model.directory.name}-2"


def test_an_existing_model_is_only_replaced_when_asked(train: Train) -> None:
    before = (train("first").model.directory / "emoclass.json").read_bytes()
    with pytest.raises(ModelError, match="a model named 'first' exists; choose another --name"):
        train("first")
    assert (models_dir() / "first" / "emoclass.json").read_bytes() == before
    train("first", overwrite=True)
    assert (models_dir() / "first" / "emoclass.json").read_bytes() != before
    assert in_models_dir() == ["first"]


@pytest.mark.parametrize("failing", ["write_json", "file_sha256", "reserved", "files._flush"])
@pytest.mark.parametrize("existing", [True, False])
def test_a_failing_save_changes_nothing(
    train: Train, monkeypatch: pytest.MonkeyPatch, failing: str, existing: bool
) -> None:
    if existing:
        train("first")
        before = load("first").predict_proba(TEXTS)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"emoclass.{failing}" if "." in failing else f"emoclass.store.saving.{failing}", fail)
        with pytest.raises(EmoclassError, match=r"could not be saved, nothing was changed: .*No space left"):
            train("first", overwrite=True)
    assert in_models_dir() == (["first"] if existing else [])
    if existing:
        assert (load("first").predict_proba(TEXTS) == before).all()


@pytest.mark.parametrize("name", ["a/b", "..", "../up", ".hidden", "", "a b", "-x", "n" * 101, "a\nb"])
def test_names_that_are_paths_or_odd_are_refused(train: Train, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a model"):
        train(name)


def test_an_unknown_name_is_answered_with_what_there_is(train: Train) -> None:
    assert find_model().is_starter
    train("reviews")
    assert not find_model().is_starter
    with pytest.raises(ModelError, match="did you mean 'reviews'"):
        find_model("review")
    with pytest.raises(ModelError, match="there are: reviews, starter"):
        find_model("something-else")


def test_a_directory_is_a_model_too(train: Train, tmp_path: Path) -> None:
    copy = shutil.copytree(train("first").model.directory, tmp_path / "elsewhere")
    assert load(copy).predict_text("a happy day") == load("first").predict_text("a happy day")
    with pytest.raises(ModelError, match="is not a model that emoclass trained"):
        load(tmp_path)


@pytest.mark.parametrize(
    "name", ["trained.safetensors", "frozen.safetensors", "config.json", "tokenizer.json", "training_texts.npy"]
)
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_file_is_named(train: Train, name: str, damage: str) -> None:
    path = train("first").model.directory / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(ModelError, match=name):
        load("first")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"format_version": 99}', '{"format_version": 1}', '"\\ud800"', "[" * 100_000],
)
def test_a_damaged_manifest_is_named(train: Train, content: str) -> None:
    path = train("first").model.directory / layout.MANIFEST
    path.write_text(content)
    with pytest.raises(ModelError, match=r"emoclass\.json"):
        load("first")
    models, notes = list_models()
    assert models == []
    assert "emoclass.json" in notes[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("created_at", 7),
        ("labels", "joy"),
        ("base_model", {}),
        ("parameters", {}),
        ("metrics", None),
        ("metrics", {"test": "good"}),
        ("calibration", None),
        ("data", {"rows": {}}),
        ("data", {"rows": 9}),
        ("versions", []),
        ("checksums", None),
    ],
)
def test_a_damaged_manifest_does_not_hide_the_others(train: Train, cli: Any, field: str, value: object) -> None:
    whole = train("whole").model.directory
    path = Path(shutil.copytree(whole, whole.with_name("damaged"))) / layout.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    result = cli("models", "list")
    assert result.exit_code == 0, result.output
    assert "whole" in result.stdout
    assert f"{path}: is damaged: {field}" in result.stderr
    for command in (["models", "show", "damaged"], ["eval", "x.csv", "--model", "damaged"]):
        result = cli(*command)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {path}: is damaged: {field}")


def test_a_manifest_cannot_name_files_elsewhere(train: Train) -> None:
    stored = train("first").model
    (stored.directory.parent / "outside").write_text("x")
    changed = replace(stored.manifest, checksums={**stored.manifest.checksums, "../outside": "0" * 64})
    (stored.directory / layout.MANIFEST).write_text(json.dumps(changed.to_dict()))
    with pytest.raises(ModelError, match="names a file outside the model"):
        load("first")


def test_removing_leaves_the_others(train: Train) -> None:
    train("first")
    train("second")
    remove_model("first")
    assert in_models_dir() == ["second"]
    assert load("second").predict_text("a happy day")
    with pytest.raises(ModelError, match="no model named 'first'"):
        remove_model("first")


@pytest.mark.parametrize("name", ["..", ".", "a/b"])
def test_removing_takes_names_only(train: Train, name: str) -> None:
    train("first")
    with pytest.raises(EmoclassError):
        remove_model(name)
    assert find_model("first")


def test_transformers_gives_the_same_labels_and_scores(parts: TrainingData, config: Callable[..., TrainConfig]) -> None:
    transformers = pytest.importorskip("transformers")
    result = run_training(parts, config(epochs=2), precision="fp32")
    pipeline = transformers.pipeline("text-classification", str(result.model.directory), device="cpu", top_k=None)
    ours = load(result.model.directory, device="cpu", precision="fp32")
    for text, prediction in zip(TEXTS, ours.predict(TEXTS, top_k=3), strict=True):
        (theirs,) = pipeline([text])
        assert [entry["label"] for entry in theirs] == [label for label, _ in prediction.top_k]
        for entry, (_, confidence) in zip(theirs, prediction.top_k, strict=True):
            assert entry["score"] == pytest.approx(confidence, abs=1e-4)


def test_models_of_one_base_share_what_did_not_train(train: Train) -> None:
    first, second = train("first"), train("second")
    frozen = [result.model.directory / "frozen.safetensors" for result in (first, second)]
    assert frozen[0].samefile(frozen[1])
    assert second.model.own_size == second.model.size - frozen[0].stat().st_size
    expected = [prediction.label for prediction in load("second").predict(TEXTS)]
    remove_model("first")
    assert [prediction.label for prediction in load("second").predict(TEXTS)] == expected
    assert second.model.own_size == second.model.size


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_what_is_shared_may_belong_to_another_user(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = train("theirs").model.directory / "frozen.safetensors"
    shared.chmod(0o600)
    chmod = Path.chmod

    def only_own(path: Path, mode: int) -> None:
        if path.stat().st_ino == shared.stat().st_ino:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", only_own)
    own = train("mine").model.directory
    assert shared.samefile(own / "frozen.safetensors")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o600
    assert (own / "trained.safetensors").stat().st_mode == (own / "config.json").stat().st_mode
    load("mine")


def test_damaged_tensors_are_not_shared(train: Train) -> None:
    damaged = train("first").model.directory / "frozen.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    second = train("second")
    assert not damaged.samefile(second.model.directory / "frozen.safetensors")
    load("second")


def test_without_hard_links_tensors_are_written_again(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise OSError("no links here")

    train("first")
    monkeypatch.setattr("os.link", refuse)
    train("second")
    load("second")


def test_all_layers_trained_is_a_single_file(train: Train, parts: TrainingData, config: Any) -> None:
    result = run_training(parts, config(epochs=1, unfreeze="all"))
    assert (result.model.directory / "model.safetensors").exists()
    assert not (result.model.directory / "frozen.safetensors").exists()
    load()


def test_an_exported_copy_stands_alone(train: Train, tmp_path: Path, cli: Any) -> None:
    train("first")
    expected = list(load("first").predict(TEXTS))
    result = cli("models", "export", "first", tmp_path / "copy")
    assert result.exit_code == 0, result.output
    remove_model("first")
    assert list(load(tmp_path / "copy").predict(TEXTS)) == expected
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "copy").iterdir())
    train("first")
    assert "exists already" in cli("models", "export", "first", tmp_path / "copy").stderr


def test_links_in_a_model_directory_are_not_followed(train: Train, tmp_path: Path) -> None:
    path = train("first").model.directory / "trained.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="is a link"):
        load("first")


def test_a_replacement_that_was_killed_half_way_loses_nothing(train: Train) -> None:
    directory = train("first").model.directory
    directory.rename(directory.parent / ".first.old")
    rubbish = directory.parent / ".other.0123abcd.tmp"
    rubbish.mkdir()
    os.utime(rubbish, (0, 0))
    assert [model.directory.name for model in list_models()[0]] == ["first"]
    assert not rubbish.exists()
    load("first")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_removing_a_linked_model_removes_the_link(train: Train, tmp_path: Path) -> None:
    directory = train("mine").model.directory
    elsewhere = tmp_path / "elsewhere"
    directory.rename(elsewhere)
    directory.symlink_to(elsewhere)
    remove_model("mine")
    assert in_models_dir() == []
    assert load(elsewhere).predict(TEXTS)


def test_a_file_system_that_cannot_flush_directories_does_no_harm(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_flush_directories(monkeypatch)
    assert load(train("mine").model.directory).predict(TEXTS)
