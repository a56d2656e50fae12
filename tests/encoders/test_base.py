"""Where base models come from, and the message if one is not available."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from emoclass.config import TruncationConfig
from emoclass.encoders import base as base_module
from emoclass.encoders.base import resolve_base, resolve_tokenizer
from emoclass.errors import ModelError
from tests.conftest import HUB_CONFIG, tiny_vocabulary


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


def test_a_directory_is_loaded_with_a_new_classifier(tiny_base: Path) -> None:
    base = resolve_base(str(tiny_base))
    assert base.source == "directory"
    model, notes = base.load(3, seed=1)
    assert notes == ()
    stored = load_file(tiny_base / "model.safetensors")
    assert torch.equal(model.bert.pooler.dense.weight, stored["pooler.dense.weight"])
    assert model.classifier.weight.shape == (3, 8)
    assert not model.classifier.bias.any()


def test_the_seed_decides_the_new_weights(tiny_base: Path) -> None:
    first, same, other = (resolve_base(str(tiny_base)).load(3, seed=s)[0].classifier.weight for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_names_of_old_checkpoints_are_understood(copy: Path, tiny_base: Path) -> None:
    tensors = load_file(tiny_base / "model.safetensors")
    renamed = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for name, t in tensors.items()
    }
    extra = {"cls.predictions.bias": torch.zeros(3), "bert.embeddings.position_ids": torch.arange(4)}
    save_file({**renamed, **extra}, copy / "model.safetensors")
    model, _ = resolve_base(str(copy)).load(2, seed=1)
    assert torch.equal(model.bert.embeddings.LayerNorm.weight, tensors["embeddings.LayerNorm.weight"])


def test_half_precision_weights_and_shards_are_loaded(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    for file, part in shards.items():
        save_file({name: tensors[name].half() for name in part}, copy / file)
    weight_map = {name: file for file, part in shards.items() for name in part}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (copy / "model.safetensors").unlink()
    model, _ = resolve_base(str(copy)).load(2, seed=1)
    assert model.bert.pooler.dense.weight.dtype == torch.float32
    torch.testing.assert_close(model.bert.pooler.dense.weight, tensors["pooler.dense.weight"], atol=1e-3, rtol=1e-3)


def test_an_index_cannot_name_files_elsewhere(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy.parent / "outside.safetensors")
    weight_map = {"pooler.dense.weight": "../outside.safetensors"}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError, match="names a file that cannot be used: '../outside.safetensors'"):
        resolve_base(str(copy))


def test_a_base_without_a_pooler_gets_one_and_a_note(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    save_file({n: t for n, t in tensors.items() if "pooler" not in n}, copy / "model.safetensors")
    _, notes = resolve_base(str(copy)).load(2, seed=1)
    assert "--train-pooler" in notes[0]


def test_a_vocabulary_alone_is_enough_of_a_tokenizer(copy: Path, tiny_base: Path) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "vocab.txt").write_text("\n".join(dict.fromkeys(tiny_vocabulary())))
    (copy / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))
    texts = ["A Happy day!", "so unfair, and bitter", "xylophone"]
    expected = resolve_tokenizer(str(tiny_base))(texts)
    assert resolve_tokenizer(str(copy))(texts).input_ids.tolist() == expected.input_ids.tolist()


def test_a_model_of_another_type_is_named(copy: Path) -> None:
    (copy / "config.json").write_text(json.dumps({**HUB_CONFIG, "model_type": "gpt2"}))
    with pytest.raises(ModelError, match=r"copy': a model of type 'gpt2' is a decoder"):
        resolve_base(str(copy))


def test_pickled_weights_are_not_read(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only pickled weights"):
        resolve_base(str(copy))


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_weights_that_are_cut_short_are_named(copy: Path, keep: int) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"model.safetensors: the file is damaged or cut short"):
        resolve_base(str(copy)).load(2, seed=1)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_git_lfs_pointers_are_named(copy: Path, name: str) -> None:
    (copy / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n")

    def load() -> None:
        resolve_base(str(copy)).load(2, seed=1)
        resolve_tokenizer(str(copy))

    with pytest.raises(ModelError, match=f"{name}: is a Git LFS pointer, .* git lfs pull"):
        load()


def test_missing_and_misshapen_tensors_are_named(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    save_file({**tensors, "pooler.dense.bias": torch.zeros(9)}, copy / "model.safetensors")
    with pytest.raises(ModelError, match=r"bert.pooler.dense.bias is \[9\], expected \[8\]"):
        resolve_base(str(copy)).load(2, seed=1)
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(ModelError, match="1 tensors are missing from the weights"):
        resolve_base(str(copy)).load(2, seed=1)


def test_a_limit_beyond_the_positions_is_an_error(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match="--max-length 512: .* reads at most 40 tokens"):
        resolve_base(str(tiny_base)).tokenizer(TruncationConfig())


def test_without_a_network_both_ways_out_are_named() -> None:
    with pytest.raises(ModelError) as caught:
        resolve_base("bert-base-uncased")
    message = str(caught.value)
    assert "emoclass[offline]" in message
    assert "directory with config.json" in message
    assert "\n" not in message


def test_a_cached_snapshot_needs_no_network(tiny_base: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--someone--tiny-bert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    shutil.copytree(tiny_base, repository / "snapshots" / ("a" * 40))
    base = resolve_base("someone/tiny-bert")
    assert base.source == "hub"
    assert base.load(2, seed=1)
    assert resolve_tokenizer("someone/tiny-bert")(["a happy day"]).lengths.tolist() == [5]


def test_the_hub_is_asked_for_what_is_not_here(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot_download(hub_id: str, *, allow_patterns: list[str], local_files_only: bool, **rest: object) -> str:
        asked.append((hub_id, local_files_only, "model*.safetensors" in allow_patterns))
        if local_files_only:
            raise FileNotFoundError("not cached")
        return str(tiny_base)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert resolve_base("someone/tiny").source == "hub"
    resolve_tokenizer("someone/tiny")
    assert asked == [("someone/tiny", only, weights) for weights in (True, False) for only in (True, False)]


def test_minilm_comes_from_the_offline_package_if_its_weights_are_the_published_ones(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "fake_minilm"
    shutil.copytree(tiny_base, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    monkeypatch.setattr(base_module, "_OFFLINE_PACKAGE", "fake_minilm")
    with pytest.raises(ModelError, match="is not the file that was published"):
        resolve_base("minilm")
    digest = base_module.file_sha256(package / "model" / "model.safetensors")
    monkeypatch.setattr(base_module, "_OFFLINE_SHA256", digest)
    assert resolve_base("minilm").source == "offline package"
    monkeypatch.setattr(base_module, "_OFFLINE_PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match=r"installed: no"):
        resolve_base("minilm")
