"""Attention over packed texts: those of like length side by side, and a way of its own where gradients are wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from emoclass.model.dropout import dropout_factors
from emoclass.runtime import cpu_has

# In a padded group the shortest text fills at least this share of the longest; a run of at least so many texts of one
# length is a group of its own, without padding.
_MIN_FILL, _MIN_RUN = 0.75, 8
# Where attention is written out texts up to this many tokens share blocks of this length with gradients; of longer ones
# at most so many go together, each in a block whose length is a multiple of this; and there are at most so many scores,
# if there are two blocks. Kernels are made anew for each shape, so that few shapes are to come again; and what is
# computed in several steps is to stay in the CPU's caches (measured).
_BLOCK, _MOST_TEXTS, _MULTIPLE, _MOST_SCORES = 64, 8, 4, 1 << 19
# Torch's own attention on the CPU is slower than that in bf16 up to this length, if the CPU has no AMX; with dropout;
# and backwards.
_SHORT = 128


class AttentionGroup(NamedTuple):
    """Consecutive texts of a packed batch that go through attention together.

    Attributes:
        start: Position of its first token in the batch.
        lengths: Tokens of each text. If all are equal the group is a view; otherwise it is padded.
    """

    start: int
    lengths: list[int]


def attention_groups(lengths: Sequence[int]) -> list[AttentionGroup]:
    """Cuts a packed batch into groups of texts of equal length, or nearly equal where such runs are short."""
    groups: list[list[int]] = []
    open_group = False
    for length, run in groupby(lengths):
        texts = list(run)
        if len(texts) >= _MIN_RUN:
            groups.append(texts)
            open_group = False
        elif open_group and min(length, *groups[-1]) >= _MIN_FILL * max(length, *groups[-1]):
            groups[-1] += texts
        else:
            groups.append(texts)
            open_group = True
    starts = accumulate((sum(group) for group in groups), initial=0)
    return [AttentionGroup(start, group) for start, group in zip(starts, groups, strict=False)]


class Padding:
    """How a group's tokens move to ``[texts, longest, …]`` and back; a view when all lengths are equal.

    Args:
        group: The texts.
        device: Where they are.

    Attributes:
        texts: How many there are.
        longest: Their padded length.
        mask: Where there is a token, ``bool[texts, longest]``; ``None`` if everywhere.
    """

    def __init__(self, group: AttentionGroup, device: torch.device) -> None:
        self.texts, self.longest = len(group.lengths), max(group.lengths)
        self.tokens = slice(group.start, group.start + sum(group.lengths))
        self.mask: Tensor | None = None
        if min(group.lengths) < self.longest:
            # Made on the CPU: a GPU would have to be waited for.
            lengths, places = torch.tensor(group.lengths), torch.arange(self.longest)
            mask = places < lengths[:, None]
            starts = lengths.cumsum(0) - lengths
            self._padded = (starts[:, None] + places).where(mask, 0).flatten().to(device)
            self._packed = mask.flatten().nonzero().flatten().to(device)
            self.mask = mask.to(device)

    def pad(self, packed: Tensor) -> Tensor:
        """``[tokens of the batch, width] -> [texts, longest, width]``."""
        packed = packed[self.tokens]
        if self.mask is None:
            return packed.view(self.texts, self.longest, -1)
        return packed.index_select(0, self._padded).view(self.texts, self.longest, -1)

    def unpad(self, padded: Tensor) -> Tensor:
        """``[texts, longest, width] -> [tokens of the group, width]``."""
        padded = padded.flatten(0, 1)
        return padded if self.mask is None else padded.index_select(0, self._packed)


# All layers of a batch need the same.
@lru_cache(maxsize=4)
def _paddings(lengths: tuple[int, ...], device: torch.device) -> list[Padding]:
    with torch.inference_mode(False):
        return [Padding(group, device) for group in attention_groups(lengths)]


@lru_cache(maxsize=4)
def _bounds(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Where each text begins and the last one ends, ``int32[texts + 1]``."""
    with torch.inference_mode(False):
        return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


def _varlen_kernel(qkv: Tensor, head_size: int) -> Callable[..., Any] | None:
    """Torch's attention over texts end to end, where it has one: in 16 bits, on CUDA from Ampere on, no dropout."""
    if not qkv.is_cuda or qkv.dtype == torch.float32 or head_size % 8 or head_size > 256:
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # before torch 2.10
        return None
    return varlen_attn if torch.cuda.get_device_capability(qkv.device) >= (8, 0) else None


def attend(qkv: Tensor, lengths: Sequence[int], heads: int, dropout: float = 0.0) -> Tensor:
    """Softmax attention of each text's tokens over that text (Vaswani et al. 2017).

    Args:
        qkv: Queries, keys and values side by side, ``[rows, 3 * hidden_size]``; on the CPU there may be more rows than
            tokens.
        lengths: Tokens of each text.
        heads: Number of heads.
        dropout: Share of the attention probabilities that are dropped.

    Returns:
        ``[rows, hidden_size]``; zeros where there is no token.
    """
    size = qkv.shape[1] // (3 * heads)
    kernel = None if dropout else _varlen_kernel(qkv, size)
    if kernel is not None:
        bounds = _bounds(tuple(lengths), qkv.device)
        packed = qkv.view(-1, 3, heads, size).unbind(1)
        packed_context: Tensor = kernel(*packed, bounds, bounds, max(lengths), max(lengths))
        return packed_context.flatten(1)
    if qkv.is_cpu and torch.is_grad_enabled():
        learned: Tensor = _AttentionThatLearns.apply(qkv, _plan(tuple(lengths), heads, qkv.dtype), heads, dropout)  # type: ignore[no-untyped-call]
        return learned
    contexts = []
    for padding in _paddings(tuple(lengths), qkv.device):
        parts = padding.pad(qkv).view(padding.texts, padding.longest, 3, heads, size).permute(2, 0, 3, 1, 4)
        if qkv.is_cpu and qkv.dtype == torch.bfloat16 and padding.longest <= _longest_written_out():
            context = _written_out(parts, padding.mask)
        else:
            mask = None if padding.mask is None else padding.mask[:, None, None]
            query, key, value = parts
            context = functional.scaled_dot_product_attention(query, key, value, mask, dropout)
        contexts.append(padding.unpad(context.transpose(1, 2).flatten(2)))
    without_token = qkv.new_zeros(len(qkv) - sum(lengths), heads * size)
    return torch.cat([*contexts, without_token])


@lru_cache(maxsize=1)
def _longest_written_out() -> int:
    return 0 if cpu_has("amx_bf16") else _SHORT


def _most_texts(heads: int, longest: int) -> int:
    return max(1, _MOST_SCORES // (heads * longest**2))


def _probabilities(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """``[texts * heads, longest, longest]`` in the dtype of ``query``, scores and softmax in float32.

    ``mask`` is added to the scores of a text: ``float32[texts, 1, 1, longest]``.
    """
    scores = torch.bmm(query, key.transpose(1, 2)).float().mul_(query.shape[-1] ** -0.5)
    if mask is not None:
        scores.view(len(mask), -1, *scores.shape[1:]).add_(mask)
    return scores.softmax(-1).to(query.dtype)


def _added_to_scores(seen: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """0 where a key is seen, else minus infinity; of the same shape."""
    return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, -torch.inf)


def _written_out(parts: Tensor, is_token: Tensor | None) -> Tensor:
    """``[3, texts, heads, longest, head_size] -> [texts, heads, longest, head_size]``."""
    texts, heads, longest, size = parts.shape[1:]
    mask = None if is_token is None else _added_to_scores(is_token[:, None, None])
    most = _most_texts(heads, longest)
    contexts = []
    for first in range(0, texts, most):
        some = slice(first, first + most)
        query, key, value = parts[:, some].reshape(3, -1, longest, size)
        contexts.append(torch.bmm(_probabilities(query, key, None if mask is None else mask[some]), value))
    return torch.cat(contexts).view(texts, heads, longest, size)


class _Run(NamedTuple):
    """Blocks of one length that go through attention together. A block holds texts that do not see each other.

    Attributes:
        rows: Their rows among the places of the batch.
        blocks: How many they are.
        length: Places of each.
        mask: What to add to scores: 0 where a place may see another, ``[blocks, 1, length or 1, length]``; ``None`` if
            all may see all.
    """

    rows: slice
    blocks: int
    length: int
    mask: Tensor | None

    def split_heads(self, placed: Tensor, parts: int, heads: int) -> Tensor:
        """``[places of the batch, parts * hidden_size] -> [parts, blocks * heads, length, head_size]``."""
        heads_last = placed[self.rows].view(self.blocks, self.length, parts, heads, -1)
        return heads_last.permute(2, 0, 3, 1, 4).reshape(parts, self.blocks * heads, self.length, -1)

    def join_heads(self, heads_first: Tensor, out: Tensor) -> None:
        """The way back, into the rows of ``out``."""
        parts, size = len(heads_first), heads_first.shape[-1]
        by_block = heads_first.view(parts, self.blocks, -1, self.length, size).permute(1, 3, 0, 2, 4)
        out[self.rows].view(by_block.shape).copy_(by_block)


class _Plan(NamedTuple):
    """Where the tokens of a batch have their places.

    Attributes:
        runs: What goes through attention together.
        tokens: The token that stands in each place, any where there is none, ``int64[places]``.
        places: The place of each token, ``int64[tokens]``.
        empty: The places without a token, ``int64[…]``.
    """

    runs: list[_Run]
    tokens: Tensor
    places: Tensor
    empty: Tensor


def _blocks(lengths: Sequence[int], heads: int) -> list[tuple[int, list[list[int]]]]:
    """Runs of blocks: their length, and the numbers of the texts in each. Few lengths, so that kernels come again."""
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
        some = min(_MOST_TEXTS, _most_texts(heads, longest))
        runs.append((longest, alone[:some]))
        alone = alone[some:]
    some = _most_texts(heads, _BLOCK)
    return runs + [(_BLOCK, shared[first : first + some]) for first in range(0, len(shared), some)]


@lru_cache(maxsize=4)
def _plan(lengths: tuple[int, ...], heads: int, dtype: torch.dtype) -> _Plan:
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
            # A place without a token sees others of its kind, or a text, so that its scores are numbers.
            seen = keys == keys.transpose(2, 3) if length == _BLOCK else keys >= 0
            mask = None if seen.all() else _added_to_scores(seen, dtype)
            masked.append(_Run(rows, len(blocks), length, mask))
        return _Plan(masked, tokens, places, (owners < 0).nonzero().flatten())


def _packed(placed: Tensor, plan: _Plan, rows: int) -> Tensor:
    """Tokens end to end, and then rows of zeros."""
    tokens = len(plan.places)
    packed = placed.new_empty(rows, placed.shape[1])
    torch.index_select(placed, 0, plan.places, out=packed[:tokens])
    packed[tokens:] = 0
    return packed


class _AttentionThatLearns(torch.autograd.Function):
    """Attention written out, forward and backward, in as few and as large operations as can be."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, plan: _Plan, heads: int, dropout: float) -> Tensor:
        ctx.plan, ctx.heads, ctx.kept = plan, heads, []
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
            ctx.kept.append((split, probabilities, factors))
        return _packed(contexts, plan, len(qkv))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        plan, heads = ctx.plan, ctx.heads
        # A place without a token asks nothing of the others.
        placed = gradient.index_select(0, plan.tokens).index_fill_(0, plan.empty, 0)
        result = gradient.new_empty(len(placed), 3 * gradient.shape[1])
        for run, (split, probabilities, factors) in zip(plan.runs, ctx.kept, strict=True):
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
