"""Dropout; on the CPU with random numbers drawn four at a time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dropout_factors(like: Tensor, probability: float) -> Tensor:
    """Return factors for a CPU tensor of this shape and dtype: 0, or the inverse of the share that is kept.

    16 random bits decide on an element, where torch draws 64 of them one after the other. What is dropped is right to
    1 in 131,072.
    """
    drawn = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = drawn.view(torch.int16)[: like.numel()].view(like.shape)
    dropped = min(round(2**16 * probability), 2**16 - 1)
    # Numbers at once: making them from a tensor of truth values takes ten times as long.
    kept = torch.ge(bits, dropped - 2**15, out=torch.empty_like(like, requires_grad=False))
    return kept.mul_(2**16 / (2**16 - dropped))


def dropout(hidden: Tensor, probability: float, training: bool) -> Tensor:
    """Drop this share of the elements and scale the others, in training (Srivastava et al. 2014)."""
    if not training or not probability or not hidden.is_cpu:
        return functional.dropout(hidden, probability, training)
    return hidden * dropout_factors(hidden, probability)
