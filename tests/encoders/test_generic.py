"""Any encoder that transformers runs: cut at a layer where that changes nothing, else run as a whole."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

import emoclass
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.base import resolve_base
from emoclass.encoders.freezing import freeze, frozen_depth
from emoclass.encoders.generic.config import GenericConfig
from emoclass.encoders.generic.loading import load_generic
from emoclass.encoders.generic.model import GenericModel
from emoclass.errors import ConfigError, ModelError
from emoclass.runtime import models_dir
from emoclass.training import estimates
from tests.conftest import WORDS, tiny_tokenizer
from tests.encoders.test_families import LENGTHS, check_pipeline, packed_ids, padded, random_classifier, table
from tests.runs import context_of

transformers = pytest.importorskip("transformers")
Run = Callable[..., Any]
SIZES = {
    "vocab_size": 100, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16,
    "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
CONFIGS = {
    "deberta-v2": lambda: transformers.DebertaV2Config(**SIZES, **RELATIVE),
    "modernbert": lambda: transformers.ModernBertConfig(**SIZES, global_attn_every_n_layers=2, local_attention=4),
    "mpnet": lambda: transformers.MPNetConfig(**{**SIZES, "max_position_embeddings": 41}),
    # All its layers are one, and a convolution beside the first layer stands in the way of a cut before that.
    "albert": lambda: transformers.AlbertConfig(**SIZES, embedding_size=4),
    "deberta-v2-conv": lambda: transformers.DebertaV2Config(**SIZES, conv_kernel_size=3),
}
CUT = ("deberta-v2", "modernbert", "mpnet")


def theirs(kind: str) -> Any:
    return random_classifier(CONFIGS[kind]())


@pytest.fixture(params=sorted(CONFIGS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(kind: str, directory: Path) -> tuple[Any, GenericModel]:
    """A model of transformers, and the same one loaded from where it was saved."""
    model = theirs(kind)
    model.save_pretrained(directory)
    config = GenericConfig.from_dict(json.loads((directory / "config.json").read_text()))
    return model, load_generic(directory, config, 5)


def test_logits_are_those_of_transformers_from_every_layer(kind: str, tmp_path: Path) -> None:
    model, ours = load(kind, tmp_path)
    assert not ours.new
    ids = packed_ids()
    with torch.no_grad():
        expected = model(**padded(ids, LENGTHS, 0)).logits
        torch.testing.assert_close(ours(ids, LENGTHS), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.logits_from_layer(ids, LENGTHS, 0), expected, atol=1e-4, rtol=0)
    depths = range(len(ours.layers))
    assert [ours.check_cut(ids, LENGTHS, depth) for depth in depths] == [kind in CUT] * len(depths)
    for depth in depths if kind in CUT else ():
        hidden = ours.hidden_at(ids, LENGTHS, depth, dtype=torch.float32)
        assert hidden.shape == (len(ids), 8)
        again = ours.hidden_at(hidden, LENGTHS, len(depths) - 1, start=depth, dtype=torch.float32)
        for given, start in ((hidden, depth), (again, len(depths) - 1)):
            torch.testing.assert_close(ours.logits_from_layer(given, LENGTHS, start), expected, atol=1e-4, rtol=0)
    with torch.no_grad():  # nothing of that stays
        torch.testing.assert_close(ours(ids, LENGTHS), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", CUT)
def test_gradients_from_kept_activations_are_those_of_the_whole(kind: str, tmp_path: Path) -> None:
    model, ours = load(kind, tmp_path)
    freeze(ours, 1, train_pooler=True)
    assert frozen_depth(ours) == 2
    ids, labels = packed_ids(), torch.arange(len(LENGTHS)) % 5
    with torch.no_grad():
        hidden = ours.hidden_at(ids, LENGTHS, 2, dtype=torch.float32)
    functional.cross_entropy(ours.train().logits_from_layer(hidden, LENGTHS, 2), labels).backward()
    functional.cross_entropy(model(**padded(ids, LENGTHS, 0)).logits, labels).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    trained = [name for name, parameter in ours.named_parameters() if parameter.requires_grad]
    assert any("2" in name for name in trained)
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[ours.own_name(name)], atol=1e-4, rtol=0)


@pytest.mark.parametrize("unfreeze", ["1", "all"])
def test_a_training_is_saved_as_transformers_reads_it(kind: str, tmp_path: Path, cli: Run, unfreeze: str) -> None:
    base = tmp_path / "base"
    theirs(kind).base_model.save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    data = table(tmp_path / "data.csv")
    options = ("--epochs", "2", "--max-length", "20", "--learning-rate", "1e-2", "--recipe", "reference", "--name", "x")
    result = cli("train", data, "--base-model", base, "--unfreeze", unfreeze, *options)
    assert result.exit_code == 0, result.output
    assert "cannot be cut" not in result.stderr
    directory = models_dir() / "x"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    texts = [f"we are {word}" for words in WORDS.values() for word in words]
    classifier = emoclass.load(directory, precision="fp32")
    tokenized = classifier.tokenizer(texts)
    ids, lengths = torch.from_numpy(tokenized.input_ids.astype(np.int64)), tokenized.lengths.tolist()
    with torch.no_grad():
        expected = model(**padded(ids, lengths, 0)).logits.softmax(-1)
    for each in (classifier, pickle.loads(pickle.dumps(classifier))):
        np.testing.assert_allclose(each.predict_proba(texts), expected, atol=1e-5)
    assert model.config.id2label == dict(enumerate(classifier.labels))
    check_pipeline(directory, texts)
    lines = cli("predict", "--precision", "fp32", *texts[:3]).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [p.label for p in classifier.predict(texts[:3])]
    assert json.loads(cli("eval", data, "--json", "--precision", "fp32").stdout)["accuracy"] > 0
    assert json.loads(cli("models", "show", "x", "--json").stdout)["runs_on"] == "transformers"
    with pytest.raises(ConfigError, match="runs through transformers"):
        emoclass.load(directory, engine="numpy")


def test_a_model_whose_parts_differ_from_the_whole_runs_as_a_whole(
    tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    theirs("mpnet").base_model.save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    whole = GenericModel.forward
    monkeypatch.setattr(GenericModel, "forward", lambda self, *inputs: whole(self, *inputs) + 1)
    options = ("--epochs", "1", "--max-length", "20", "--recipe", "fast", "--base-model", base)
    result = cli("train", table(tmp_path / "data.csv"), *options)
    assert result.exit_code == 0, result.output
    assert "models of type mpnet cannot be cut between layers, so the frozen layers run again" in result.stderr
    assert not (tmp_path / "home" / "cache" / "activations").exists()


def test_the_cut_is_checked_with_texts_of_different_lengths(tmp_path: Path, cli: Run) -> None:
    # What FNet computes depends on the padding, which texts of one length do not need.
    base = tmp_path / "base"
    sizes = {name: size for name, size in SIZES.items() if name != "num_attention_heads"}
    random_classifier(transformers.FNetConfig(**sizes)).base_model.save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    data = table(tmp_path / "data.csv")
    lines = data.read_text().splitlines()
    long = [f"we are happy {number} and the day is very very sunny,joy" for number in ("one", "two", "three")]
    data.write_text("\n".join([*lines, *long]) + "\n")
    options = ("--epochs", "1", "--max-length", "20", "--recipe", "fast", "--base-model", base)
    result = cli("train", data, *options)
    assert result.exit_code == 0, result.output
    assert "models of type fnet cannot be cut between layers" in result.stderr


def test_a_second_training_finds_the_activations_of_the_first(tmp_path: Path, cli: Run) -> None:
    base = tmp_path / "base"
    theirs("modernbert").base_model.save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    data = table(tmp_path / "data.csv")
    options = ("--epochs", "1", "--max-length", "20", "--recipe", "fast", "--json", "--base-model", base)
    first, second = (json.loads(cli("train", data, *options).stdout) for _ in range(2))
    assert first["test"]["accuracy"] == second["test"]["accuracy"]
    assert list((tmp_path / "home" / "cache" / "activations").iterdir())


@pytest.fixture
def modern(tmp_path: Path) -> tuple[str, str]:
    """A base model that runs through transformers, and a table."""
    base = tmp_path / "base"
    theirs("modernbert").base_model.save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    return str(base), str(table(tmp_path / "data.csv"))


def test_a_stopped_training_goes_on_bit_by_bit(modern: tuple[str, str]) -> None:
    base, data = modern
    settings: dict[str, Any] = {"base_model": base, "epochs": 3, "max_length": 20, "recipe": "fast", "cache_disk": 0}
    whole = emoclass.train(data, name="whole", **settings)
    steps: list[object] = []

    def stop() -> bool:
        steps.append(None)
        return len(steps) > 5

    emoclass.train(data, name="parts", should_stop=stop, **settings)
    resumed = emoclass.train(data, name="parts", resume=True, **settings)
    assert len(resumed.history) == 3
    before, after = (load_file(each.model.directory / "trained.safetensors") for each in (whole, resumed))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_estimate_counts_all_tokens_of_the_last_layer(
    modern: tuple[str, str], parts: TrainingData, config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_rate", lambda context, model: 2.0)
    recipe = config(base_model=modern[0], epochs=1)
    context = context_of(parts, recipe, torch.float32)
    model, _ = context.new_model(recipe)
    once, twice = (estimates.estimated_seconds(context, replace(recipe, r_drop=weight), model) for weight in (0.0, 1.0))
    multiplications = sum(p.numel() for p in model.layers[-1].parameters()) * context.tokenized["train"].lengths.sum()
    assert twice - once == pytest.approx(3 * 2 * multiplications)


@pytest.mark.parametrize(
    "options", [["--seeds", "2"], ["--unfreeze", "auto", "--max-minutes", "5"], ["--dropout", "0.2"], ["--r-drop", "1"]]
)
def test_options_of_a_training_work_as_for_bert(modern: tuple[str, str], cli: Run, options: list[str]) -> None:
    base, data = modern
    common = ("--epochs", "1", "--max-length", "20", "--recipe", "fast", "--base-model", base)
    result = cli("train", data, *common, *options)
    assert result.exit_code == 0, result.output
    assert cli("predict", "we are happy").exit_code == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "gpt2", "n_embd": 8, "n_layer": 2}, "'gpt2' is a decoder"),
        ({"model_type": "llama"}, "'llama' is a decoder"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "'t5' is an encoder with a decoder"),
        ({"model_type": "vit", "image_size": 224}, "'vit' is a model for images"),
        ({"model_type": "whisper", "num_mel_bins": 80}, "'whisper' is a model for sound"),
        ({"model_type": "deberta-v2", "vocab_size": 9}, "of a model of type 'deberta-v2' has no hidden_size"),
        ({"model_type": "resnet"}, "of a model of type 'resnet' has no vocab_size; emoclass needs an encoder"),
        ({**SIZES, "model_type": "deberta-v2", "hidden_size": "9"}, "hidden_size of .* 'deberta-v2' is '9'"),
        ({}, "there is no model_type"),
    ],
)
def test_what_is_no_encoder_of_texts_gets_one_line(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=message) as caught:
        resolve_base(str(tmp_path))
    assert "\n" not in str(caught.value)


UNFIT = {
    "openai-gpt": lambda: transformers.OpenAIGPTConfig(vocab_size=100, n_embd=8, n_layer=2, n_head=2, n_positions=40),
    "layoutlmv3": lambda: transformers.LayoutLMv3Config(**SIZES, input_size=8, patch_size=4),
    "canine": lambda: transformers.CanineConfig(**SIZES),
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("openai-gpt", "of type 'openai-gpt' classifies each token, as decoders do; emoclass needs an encoder"),
        ("layoutlmv3", "of type 'layoutlmv3' does not run on token ids alone: "),
        ("canine", "transformers cannot load it as a classifier: "),
    ],
)
def test_what_does_not_classify_texts_by_their_tokens_gets_one_line(
    kind: str, message: str, tmp_path: Path, cli: Run
) -> None:
    base = tmp_path / "base"
    transformers.AutoModel.from_config(UNFIT[kind]()).save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    result = cli("train", table(tmp_path / "data.csv"), "--base-model", base, "--max-length", "20")
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert result.stderr.endswith(f"{line}\n")


SPECIAL = {
    # Weights that are no parameters, and layers without matrices.
    "ibert": lambda: transformers.IBertConfig(**{**SIZES, "max_position_embeddings": 42}),
    "squeezebert": lambda: transformers.SqueezeBertConfig(
        **SIZES, embedding_size=8, **{f"{part}_groups": 1 for part in "qkv"}, post_attention_groups=1,
        intermediate_groups=1, output_groups=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SPECIAL))
def test_unusual_weights_are_saved_and_read(kind: str, tmp_path: Path, cli: Run) -> None:
    base = tmp_path / "base"
    random_classifier(SPECIAL[kind]()).base_model.save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    options = ("--epochs", "1", "--max-length", "20", "--recipe", "fast", "--base-model", base, "--name", "x")
    result = cli("train", table(tmp_path / "data.csv"), *options)
    assert result.exit_code == 0, result.output
    check_pipeline(models_dir() / "x", ["we are happy", "they shout"])


@pytest.mark.parametrize("kind", ["nothing-known", "granite"])
def test_a_type_without_a_classifier_gets_one_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**SIZES, "model_type": kind}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=f"transformers has no classifier for a model of type '{kind}'; ") as caught:
        resolve_base(str(tmp_path)).load(3, seed=1)
    assert "\n" not in str(caught.value)


def test_what_transformers_cannot_load_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**SIZES, "model_type": "mpnet"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="transformers cannot load it") as caught:
        resolve_base(str(tmp_path)).load(3, seed=1)
    assert "\n" not in str(caught.value)
