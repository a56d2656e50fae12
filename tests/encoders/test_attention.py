"""Attention that learns gives what torch's operations one by one give, dropout and all."""

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from emoclass.encoders.bert import attention, attention_training, dropout
from emoclass.encoders.bert.attention import AttentionGroup

LENGTHS = [90, 21, 20, 71, 20, 17, 9, 9, 8, 8, 8, 3, 2, 1, 1]
HEADS, SIZE = 3, 4


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_output_and_gradient_are_those_of_the_textbook(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []

    def remembered(like: Tensor, probability: float) -> Tensor:
        drawn.append(dropout.dropout_factors(like, probability))
        return drawn[-1]

    monkeypatch.setattr(attention_training, "dropout_factors", remembered)
    torch.manual_seed(1)
    ours = torch.randn(sum(LENGTHS), 3 * HEADS * SIZE, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    context = attention.attend(ours, LENGTHS, HEADS, share)
    plan = attention_training.attention_plan(tuple(LENGTHS), HEADS, torch.float32)

    def factors_of(place: int, length: int) -> Tensor:
        run, factors = next(
            (r, f) for r, f in zip(plan.runs, drawn, strict=True) if r.rows.start <= place < r.rows.stop
        )
        block, first = divmod(place - run.rows.start, run.length)
        own = slice(first, first + length)
        return factors.unflatten(0, (-1, HEADS))[block, :, own, own]

    assert len(drawn) == (len(plan.runs) if share else 0)

    contexts = []
    for text, places in zip(theirs.split(LENGTHS), plan.places.split(LENGTHS), strict=True):
        query, key, value = text.view(len(text), 3, HEADS, SIZE).permute(1, 2, 0, 3)
        probabilities = (query @ key.transpose(1, 2) / SIZE**0.5).softmax(-1)
        if share:
            probabilities = probabilities * factors_of(int(places[0]), len(text))
        contexts.append((probabilities @ value).transpose(0, 1).flatten(1))
    torch.testing.assert_close(context, torch.cat(contexts))

    above = torch.randn_like(context)
    context.backward(above)
    torch.cat(contexts).backward(above)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("kind", ["cpu", "mps", "cuda"])
def test_attention_drops_the_same_share_on_all_kinds_of_devices(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attention._paddings.cache_clear()
    if kind != "cpu":
        monkeypatch.setattr(attention, "_needs_cpu_gradient", lambda qkv: False)
    if kind == "cuda":
        monkeypatch.setattr(attention, "_groups", lambda lengths, device: [AttentionGroup(0, list(lengths))])
    torch.manual_seed(1)
    lengths = [40] * 30 + [30] * 20 + [7] * 30
    # Queries and keys of zeros attend to all tokens alike; with values of one a context is the share that was kept.
    qkv = torch.cat([torch.zeros(sum(lengths), 2 * HEADS * SIZE), torch.ones(sum(lengths), HEADS * SIZE)], 1)
    context = attention.attend(qkv.requires_grad_(), lengths, HEADS, 0.3).detach()
    attention._paddings.cache_clear()
    assert float(context.mean()) == pytest.approx(1, abs=0.02)
    # Each of n probabilities is 0 with 0.3, or 1 / 0.7 as large: the variance of their sum is 0.3 / 0.7 / n.
    texts = context.split(lengths)
    for same, length in ((texts[:30], 40), (texts[-30:], 7)):
        assert float(torch.cat(same).var()) == pytest.approx(0.3 / 0.7 / length, rel=0.15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("with_gradients", [False, True])
def test_rows_of_no_text_change_nothing(dtype: torch.dtype, with_gradients: bool) -> None:
    tokens = torch.randn(sum(LENGTHS), 3 * HEADS * SIZE).to(dtype)
    rows = torch.cat([tokens, torch.randn(5, tokens.shape[1]).to(dtype)])
    with torch.set_grad_enabled(with_gradients):
        context = attention.attend(rows, LENGTHS, HEADS)
        assert torch.equal(context[:-5], attention.attend(tokens, LENGTHS, HEADS))
    assert not context[-5:].any()


def test_what_is_dropped_is_as_much_as_asked_for() -> None:
    torch.manual_seed(1)
    for dtype in (torch.float32, torch.bfloat16):
        kept = dropout.dropout(torch.ones(1000, 999, dtype=dtype), 0.1, True)
        assert (kept == 0).float().mean() == pytest.approx(0.1, abs=0.002)
        assert kept[kept != 0].float().mean() == pytest.approx(1 / 0.9, rel=0.004)
        assert torch.equal(dropout.dropout(kept, 0.1, False), kept)


def test_what_attention_keeps_for_backward_is_freed_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[StorageWeakRef] = []

    def remembered(like: Tensor, probability: float) -> Tensor:
        factors = dropout.dropout_factors(like, probability)
        kept.extend(StorageWeakRef(tensor.untyped_storage()) for tensor in (like, factors))
        return factors

    monkeypatch.setattr(attention_training, "dropout_factors", remembered)
    qkv = torch.randn(sum(LENGTHS), 3 * HEADS * SIZE, requires_grad=True)
    context = attention.attend(qkv, LENGTHS, HEADS, 0.1)
    assert kept
    assert not any(storage.expired() for storage in kept)
    loss = context.sum()
    loss.backward()  # the loss, and with it the graph, are still referenced
    assert all(storage.expired() for storage in kept)
