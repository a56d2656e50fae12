"""Attention with a hand-written backward pass, for training on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from emoclass.encoders.bert.dropout import dropout_factors

# Texts of up to _BLOCK tokens share blocks of this length. Longer ones have a block each, whose length is a multiple of
# _MULTIPLE, and at most _MOST_TEXTS of them are computed together. Two blocks or more have at most _MAX_SCORES scores.
# oneDNN compiles kernels for each shape, so few shapes should recur; and intermediate results should stay in the CPU's
# caches (measured).
_BLOCK, _MOST_TEXTS, _MULTIPLE, _MAX_SCORES = 64, 8, 4, 1 << 19


class _Run(NamedTuple):
    """Blocks of one length that are computed together. Texts in one block do not attend to each other.

    Attributes:
        rows: Rows of the blocks among the positions of the batch.
        blocks: Number of blocks.
        length: Positions of each block.
        mask: Additive mask of the scores, ``[blocks, 1, length or 1, length]``; ``None`` if nothing is masked.
    """

    rows: slice
    blocks: int
    length: int
    mask: Tensor | None

    def split_heads(self, placed: Tensor, parts: int, heads: int) -> Tensor:
        """Reshape ``[positions, parts * hidden_size]`` to ``[parts, blocks * heads, length, head_size]``."""
        heads_last = placed[self.rows].view(self.blocks, self.length, parts, heads, -1)
        return heads_last.permute(2, 0, 3, 1, 4).reshape(parts, self.blocks * heads, self.length, -1)

    def join_heads(self, heads_first: Tensor, out: Tensor) -> None:
        """Undo ``split_heads``, into the rows of ``out``."""
        parts, size = len(heads_first), heads_first.shape[-1]
        by_block = heads_first.view(parts, self.blocks, -1, self.length, size).permute(1, 3, 0, 2, 4)
        out[self.rows].view(by_block.shape).copy_(by_block)


class _Plan(NamedTuple):
    """The positions of a batch's tokens in blocks.

    Attributes:
        runs: Blocks that are computed together.
        tokens: Token in each position, any token in empty ones, ``int64[positions]``.
        places: Position of each token, ``int64[tokens]``.
        empty: Positions without a token, ``int64[…]``.
    """

    runs: list[_Run]
    tokens: Tensor
    places: Tensor
    empty: Tensor


def _blocks(lengths: Sequence[int], heads: int) -> list[tuple[int, list[list[int]]]]:
    """Return runs of blocks: their length, and the texts in each; few lengths, so that kernels are reused."""
    by_length = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    alone = [[number] for number in by_length if lengths[number] > _BLOCK]
    shared: list[list[int]] = []
    room: list[int] = []
    for number in by_length[len(alone) :]:  # the first block that has room for it
        block = next((block for block, places in enumerate(room) if places >= lengths[number]), len(room))
        if block == len(room):
            shared.append([])
            room.append(_BLOCK)
        shared[block].append(number)
        room[block] -= lengths[number]
    runs = []
    while alone:
        longest = math.ceil(lengths[alone[0][0]] / _MULTIPLE) * _MULTIPLE
        some = min(_MOST_TEXTS, max_texts(heads, longest))
        runs.append((longest, alone[:some]))
        alone = alone[some:]
    some = max_texts(heads, _BLOCK)
    return runs + [(_BLOCK, shared[first : first + some]) for first in range(0, len(shared), some)]


@lru_cache(maxsize=4)
def attention_plan(lengths: tuple[int, ...], heads: int, dtype: torch.dtype) -> _Plan:
    """Return the positions of a batch's tokens in blocks; cached, because all layers of a batch share them."""
    runs = _blocks(lengths, heads)
    firsts, end = [0] * len(lengths), 0
    for length, blocks in runs:
        for block in blocks:
            place = end
            for number in block:
                firsts[number] = place
                place += lengths[number]
            end += length
    with torch.inference_mode(False):
        own, batch = torch.tensor(lengths), torch.arange(sum(lengths))
        texts = torch.arange(len(lengths)).repeat_interleave(own)
        places = batch + (torch.tensor(firsts) - own.cumsum(0) + own)[texts]
        tokens = torch.zeros(end, dtype=torch.int64).index_copy_(0, places, batch)
        owners = torch.full((end,), -1).index_copy_(0, places, texts)
        masked, first = [], 0
        for length, blocks in runs:
            rows = slice(first, first := first + len(blocks) * length)
            keys = owners[rows].view(len(blocks), 1, 1, length)
            # An empty position attends to others like it, or to a text, so that its scores are finite.
            seen = keys == keys.transpose(2, 3) if length == _BLOCK else keys >= 0
            mask = None if seen.all() else additive_mask(seen, dtype)
            masked.append(_Run(rows, len(blocks), length, mask))
        return _Plan(masked, tokens, places, (owners < 0).nonzero().flatten())


def _packed(placed: Tensor, plan: _Plan, rows: int) -> Tensor:
    """Return the tokens end to end, followed by rows of zeros."""
    tokens = len(plan.places)
    packed = placed.new_empty(rows, placed.shape[1])
    torch.index_select(placed, 0, plan.places, out=packed[:tokens])
    packed[tokens:] = 0
    return packed


class TrainableAttention(torch.autograd.Function):
    """Softmax attention with a hand-written backward pass, in few and large operations."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, plan: _Plan, heads: int, dropout: float) -> Tensor:
        ctx.plan, ctx.heads = plan, heads
        saved: list[Tensor | None] = []
        placed = qkv.index_select(0, plan.tokens)
        contexts = qkv.new_empty(len(placed), qkv.shape[1] // 3)
        for run in plan.runs:
            split = run.split_heads(placed, 3, heads)
            query, key, value = split
            scores = torch.bmm(query, key.transpose(1, 2)).mul_(query.shape[-1] ** -0.5)
            if run.mask is not None:
                scores.view(run.blocks, heads, run.length, run.length).add_(run.mask)
            probabilities = scores.softmax(-1)
            factors = dropout_factors(probabilities, dropout) if dropout else None
            context = torch.bmm(probabilities if factors is None else probabilities * factors, value)
            run.join_heads(context[None], contexts)
            saved += (split, probabilities, factors)
        # Unlike attributes of ``ctx``, saved tensors are freed as soon as backward has used them.
        ctx.save_for_backward(*saved)
        return _packed(contexts, plan, len(qkv))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        plan, heads = ctx.plan, ctx.heads
        # Empty positions have no gradient.
        placed = gradient.index_select(0, plan.tokens).index_fill_(0, plan.empty, 0)
        result = gradient.new_empty(len(placed), 3 * gradient.shape[1])
        saved = iter(ctx.saved_tensors)
        for run, split, probabilities, factors in zip(plan.runs, saved, saved, saved, strict=True):
            query, key, value = split
            (above,) = run.split_heads(placed, 1, heads)
            below = torch.empty_like(split)
            dropped = probabilities if factors is None else probabilities * factors
            torch.bmm(dropped.transpose(1, 2), above, out=below[2])
            through = torch.bmm(above, value.transpose(1, 2))
            if factors is not None:
                through.mul_(factors)
            # p (g - Σ p g), and the scale of the scores
            scores = torch._softmax_backward_data(through, probabilities, -1, probabilities.dtype)
            scores.mul_(query.shape[-1] ** -0.5)
            torch.bmm(scores, key, out=below[0])
            torch.bmm(scores.transpose(1, 2), query, out=below[1])
            run.join_heads(below, result)
        return _packed(result, plan, len(gradient)), None, None, None


def max_texts(heads: int, longest: int) -> int:
    """Return how many texts of this length to compute at once, so that the scores stay in the CPU's caches."""
    return max(1, _MAX_SCORES // (heads * longest**2))


def additive_mask(seen: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a mask to add to scores: 0 where a key is visible, else minus infinity."""
    return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)
