"""Attention over packed texts: texts of similar length are computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from emoclass.encoders.bert.attention_training import TrainableAttention, additive_mask, attention_plan, max_texts
from emoclass.runtime import cpu_has, to_device

# In a padded group the shortest text fills at least this share of the longest; a run of at least so many texts of one
# length is a group of its own, without padding.
_MIN_FILL, _MIN_RUN = 0.75, 8
# Up to this length explicit attention is faster in bf16 than torch's own on a CPU without AMX.
_MAX_EXPLICIT = 128


class AttentionGroup(NamedTuple):
    """Consecutive texts of a packed batch that go through attention together.

    Attributes:
        start: Position of its first token in the batch.
        lengths: Tokens of each text. If all are equal the group is a view; otherwise it is padded.
    """

    start: int
    lengths: list[int]


def attention_groups(lengths: Sequence[int]) -> list[AttentionGroup]:
    """Cut a packed batch into groups of texts of equal length, or nearly equal where such runs are short."""
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
    """Pad a group's tokens to ``[texts, longest, …]`` and back; a view if all lengths are equal.

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
            # Computed on the CPU: reading the number of tokens from a GPU would wait for its queue.
            lengths, places = torch.tensor(group.lengths), torch.arange(self.longest)
            mask = places < lengths[:, None]
            starts = lengths.cumsum(0) - lengths
            self._padded = to_device((starts[:, None] + places).where(mask, 0).flatten(), device)
            self._packed = to_device(mask.flatten().nonzero().flatten(), device)
            self.mask = to_device(mask, device)

    def pad(self, packed: Tensor) -> Tensor:
        """Return ``[texts, longest, width]`` from ``[tokens of the batch, width]``."""
        packed = packed[self.tokens]
        if self.mask is None:
            return packed.view(self.texts, self.longest, -1)
        return packed.index_select(0, self._padded).view(self.texts, self.longest, -1)

    def unpad(self, padded: Tensor) -> Tensor:
        """Return ``[tokens of the group, width]`` from ``[texts, longest, width]``."""
        padded = padded.flatten(0, 1)
        return padded if self.mask is None else padded.index_select(0, self._packed)


# Cached, because all layers of a batch share them.
@lru_cache(maxsize=4)
def _paddings(lengths: tuple[int, ...], device: torch.device) -> list[Padding]:
    with torch.inference_mode(False):
        return [Padding(group, device) for group in _groups(lengths, device)]


def _groups(lengths: Sequence[int], device: torch.device) -> list[AttentionGroup]:
    # On a GPU launching kernels for each group takes longer than computing the padding of one.
    return [AttentionGroup(0, list(lengths))] if device.type == "cuda" else attention_groups(lengths)


@lru_cache(maxsize=4)
def _cumulative_lengths(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Return where each text begins and the last one ends, ``int32[texts + 1]``."""
    with torch.inference_mode(False):
        return to_device(torch.tensor([0, *accumulate(lengths)], dtype=torch.int32), device)


def _varlen_kernel(qkv: Tensor, head_size: int) -> Callable[..., Any] | None:
    """Return torch's attention over packed texts, if it has one: in 16 bits, on CUDA from Ampere on, no dropout."""
    if not qkv.is_cuda or qkv.dtype == torch.float32 or head_size % 8 or head_size > 256:
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # before torch 2.10
        return None
    return varlen_attn if torch.cuda.get_device_capability(qkv.device) >= (8, 0) else None


def _without_cudnn(qkv: Tensor) -> AbstractContextManager[Any]:
    """Exclude cuDNN from torch's attention kernels.

    On Hopper torch prefers it in 16 bits. It builds an execution plan for each new shape, which takes tens of
    milliseconds or more, and nearly every batch of texts has a new shape.
    """
    if not qkv.is_cuda or qkv.dtype == torch.float32:
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


def attend(qkv: Tensor, lengths: Sequence[int], heads: int, dropout: float = 0.0) -> Tensor:
    """Apply softmax attention within each text (Vaswani et al. 2017).

    Args:
        qkv: Queries, keys and values side by side, ``[rows, 3 * hidden_size]``; on the CPU there may be more rows than
            tokens.
        lengths: Tokens of each text.
        heads: Number of heads.
        dropout: Share of the attention probabilities that are dropped.

    Returns:
        ``[rows, hidden_size]``; zeros where there is no token.
    """
    kernel = None if dropout else _varlen_kernel(qkv, qkv.shape[1] // (3 * heads))
    if kernel is not None:
        return _varlen_attention(kernel, qkv, lengths, heads)
    if _needs_cpu_gradient(qkv):
        plan = attention_plan(tuple(lengths), heads, qkv.dtype)
        context: Tensor = TrainableAttention.apply(qkv, plan, heads, dropout)  # type: ignore[no-untyped-call]
        return context
    return _padded_attention(qkv, lengths, heads, dropout)


def _needs_cpu_gradient(qkv: Tensor) -> bool:
    return qkv.is_cpu and torch.is_grad_enabled()


def _varlen_attention(kernel: Callable[..., Any], qkv: Tensor, lengths: Sequence[int], heads: int) -> Tensor:
    ends = _cumulative_lengths(tuple(lengths), qkv.device)
    query, key, value = qkv.view(len(qkv), 3, heads, -1).unbind(1)
    context: Tensor = kernel(query, key, value, ends, ends, max(lengths), max(lengths))
    return context.flatten(1)


def _padded_attention(qkv: Tensor, lengths: Sequence[int], heads: int, dropout: float) -> Tensor:
    contexts = []
    for padding in _paddings(tuple(lengths), qkv.device):
        heads_last = padding.pad(qkv).view(padding.texts, padding.longest, 3, heads, -1)
        parts = heads_last.permute(2, 0, 3, 1, 4)
        if qkv.is_cpu and qkv.dtype == torch.bfloat16 and padding.longest <= _max_explicit_length():
            context = _explicit_attention(parts, padding.mask)
        else:
            mask = None if padding.mask is None else padding.mask[:, None, None]
            query, key, value = parts
            with _without_cudnn(qkv):
                context = functional.scaled_dot_product_attention(query, key, value, mask, dropout)
        contexts.append(padding.unpad(context.transpose(1, 2).flatten(2)))
    empty_rows = qkv.new_zeros(len(qkv) - sum(lengths), qkv.shape[1] // 3)
    return torch.cat([*contexts, empty_rows])


@lru_cache(maxsize=1)
def _max_explicit_length() -> int:
    return 0 if cpu_has("amx_bf16") else _MAX_EXPLICIT


def _probabilities(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """Return ``[texts * heads, longest, longest]`` in the dtype of ``query``; scores and softmax are float32.

    ``mask`` is added to the scores of a text: ``float32[texts, 1, 1, longest]``.
    """
    scores = torch.bmm(query, key.transpose(1, 2)).float().mul_(query.shape[-1] ** -0.5)
    if mask is not None:
        scores.view(len(mask), -1, *scores.shape[1:]).add_(mask)
    return scores.softmax(-1).to(query.dtype)


def _explicit_attention(parts: Tensor, is_token: Tensor | None) -> Tensor:
    """Return ``[texts, heads, longest, head_size]`` from ``[3, texts, heads, longest, head_size]``."""
    texts, heads, longest, size = parts.shape[1:]
    mask = None if is_token is None else additive_mask(is_token[:, None, None])
    most = max_texts(heads, longest)
    contexts = []
    for first in range(0, texts, most):
        some = slice(first, first + most)
        query, key, value = parts[:, some].reshape(3, -1, longest, size)
        contexts.append(torch.bmm(_probabilities(query, key, None if mask is None else mask[some]), value))
    return torch.cat(contexts).view(texts, heads, longest, size)
