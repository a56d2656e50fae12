"""Every family computes, learns and saves what transformers' own class of it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import emoclass
from emoclass.encoders.base import resolve_base
from emoclass.encoders.bert.building import build_model
from emoclass.encoders.bert.checkpoint import tensor_shapes
from emoclass.encoders.bert.families import FAMILIES
from emoclass.encoders.bert.numpy_model import NumpyBert
from emoclass.encoders.freezing import freeze
from emoclass.encoders.weights import map_tensors, read_config
from emoclass.runtime import models_dir
from tests.conftest import TINY, WORDS, tiny_tokenizer

transformers = pytest.importorskip("transformers")
Run = Callable[..., Any]
LENGTHS = [9, 9, 5, 14, 1, 3]
# Of the same sizes, in each family's own words; ELECTRA's embeddings are narrower than its layers.
_SIZES = {name: size for name, size in TINY.items() if name != "max_position_embeddings"}
CONFIGS = {
    "bert": lambda: transformers.BertConfig(**TINY),
    "roberta": lambda: transformers.RobertaConfig(**_SIZES, max_position_embeddings=42, type_vocab_size=1),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**_SIZES, max_position_embeddings=42, type_vocab_size=1),
    "camembert": lambda: transformers.CamembertConfig(**_SIZES, max_position_embeddings=42, type_vocab_size=1),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=100, dim=8, n_layers=2, n_heads=2, hidden_dim=16, max_position_embeddings=40
    ),
    "electra": lambda: transformers.ElectraConfig(**TINY, embedding_size=4),
}


def random_classifier(config: Any, labels: int = 5) -> Any:
    """A classifier of transformers with random weights and without dropout."""
    for name in vars(config):
        if "dropout" in name or name.endswith("_drop"):
            setattr(config, name, 0.0)
    config.num_labels = labels
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model.eval()


def theirs(kind: str) -> Any:
    return random_classifier(CONFIGS[kind]())


@pytest.fixture(params=sorted(FAMILIES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def saved(kind: str, tmp_path: Path) -> tuple[Any, Path]:
    """A model of transformers, and a directory with it and a tokenizer."""
    model = theirs(kind)
    model.save_pretrained(tmp_path / kind)
    tiny_tokenizer().save(str(tmp_path / kind / "tokenizer.json"))
    return model, tmp_path / kind


def padded(ids: torch.Tensor, lengths: list[int], padding: int) -> dict[str, torch.Tensor]:
    inputs = torch.full((len(lengths), max(lengths)), padding)
    mask = torch.zeros_like(inputs)
    for row, (length, part) in enumerate(zip(lengths, ids.split(lengths), strict=True)):
        inputs[row, :length], mask[row, :length] = part, 1
    return {"input_ids": inputs, "attention_mask": mask}


def packed_ids() -> torch.Tensor:
    # Not the ids of padding: transformers counts positions without them.
    return torch.randint(5, 100, (sum(LENGTHS),), generator=torch.Generator().manual_seed(3))


def test_logits_and_gradients_are_those_of_transformers(saved: tuple[Any, Path]) -> None:
    model, directory = saved
    config = read_config(directory)
    arrays = map_tensors(directory, config.family)
    assert {name: array.shape for name, array in arrays.items()} == tensor_shapes(config, 5)
    ids = packed_ids()
    expected = model(**padded(ids, LENGTHS, model.config.pad_token_id or 0)).logits
    np.testing.assert_allclose(NumpyBert(config, arrays)(ids.numpy(), LENGTHS), expected.detach(), atol=1e-5)
    ours = build_model(config, 5, {name: torch.from_numpy(array) for name, array in arrays.items()}, directory)
    freeze(ours, "all")
    logits = ours.train()(ids, LENGTHS)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    labels = torch.arange(len(LENGTHS)) % 5
    for each in (logits, expected):
        functional.cross_entropy(each, labels).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, parameter in ours.named_parameters():
        gradient = parameter.grad.to_dense()
        torch.testing.assert_close(gradient, gradients[config.family.own_name(name)], atol=1e-4, rtol=0)


def test_names_go_both_ways(kind: str) -> None:
    family = FAMILIES[kind]
    own = set(theirs(kind).state_dict()) - {"distilbert.embeddings.position_ids"}
    ours = {name: family.canonical_name(name) for name in own}
    assert {family.own_name(str(name)) for name in ours.values()} == own
    assert family.canonical_name("lm_head.dense.weight") is None
    bare = f"{family.prefix}."
    assert all(family.canonical_name(n.removeprefix(bare)) == ours[n] for n in own if n.startswith(bare))


def check_pipeline(directory: Path, texts: list[str]) -> None:
    """transformers gives the same scores, with the tokenizer as it is and not as the family's own class builds it."""
    pipeline = transformers.pipeline("text-classification", str(directory), device="cpu", top_k=None, batch_size=8)
    classifier = emoclass.load(directory, precision="fp32")
    for theirs, ours in zip(pipeline(texts), classifier.predict_proba(texts), strict=True):
        scores = {entry["label"]: entry["score"] for entry in theirs}
        np.testing.assert_allclose([scores[label] for label in classifier.labels], ours, atol=1e-4)


def table(path: Path) -> Path:
    rows = [f"we are {word} {place},{label}" for label, words in WORDS.items() for word in words for place in "xyz"]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("unfreeze", ["1", "all"])
def test_a_training_is_saved_as_transformers_reads_it(kind: str, tmp_path: Path, cli: Run, unfreeze: str) -> None:
    base = tmp_path / "base"
    theirs(kind).base_model.save_pretrained(base)  # an encoder without a head
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    options = ("--epochs", "2", "--max-length", "20", "--learning-rate", "1e-2", "--recipe", "reference")
    result = cli("train", table(tmp_path / "data.csv"), "--base-model", base, "--unfreeze", unfreeze, *options)
    assert result.exit_code == 0, result.output
    directory = next(path for path in models_dir().iterdir() if not path.name.startswith("."))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    assert type(model).__name__ == FAMILIES[kind].architecture
    texts = [f"we are {word}" for words in WORDS.values() for word in words]
    for engine in ("torch", "numpy"):
        classifier = emoclass.load(directory, precision="fp32", engine=engine)
        tokenized = classifier.tokenizer(texts)
        ids, lengths = torch.from_numpy(tokenized.input_ids.astype(np.int64)), tokenized.lengths.tolist()
        with torch.no_grad():
            expected = model(**padded(ids, lengths, model.config.pad_token_id or 0)).logits.softmax(-1)
        np.testing.assert_allclose(classifier.predict_proba(texts), expected, atol=1e-5)
    assert model.config.id2label == dict(enumerate(classifier.labels))
    check_pipeline(directory, [*texts, "We are  very HAPPY today"])
    assert f"{kind}, on packed batches" in " ".join(cli("models", "show", directory.name).stdout.split())


def test_the_longest_text_has_a_position(saved: tuple[Any, Path]) -> None:
    base = resolve_base(str(saved[1]))
    assert base.config.max_tokens == 40
    model, _ = base.load(3, seed=1)
    ids = torch.full((40,), 7)
    with torch.no_grad():
        expected = saved[0].base_model(ids[None], attention_mask=torch.ones(1, 40)).last_hidden_state[0, 0]
        found = model.cls_hidden(model.embeddings(ids, [40]), [40], model.layers)[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
