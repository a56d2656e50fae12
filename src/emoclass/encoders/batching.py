"""Chunks of texts that are computed together, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

# A chunk's texts, were all as long as the longest, have at most so many times its tokens: the last layer pads them.
_MOST_PADDING = 2

# Tokens per forward pass: large enough for full matrix products, small enough for the caches of a CPU.
_CHUNK_TOKENS = {"cpu": 4096, "cuda": 65_536}

# With padding, of a part of a batch on the CPU.
_PADDED_TOKENS = 512

# Tokens per micro-batch. At bert-base's width each of several layers keeps some 25 kB per token until backward, and as
# much again for attention over 512 tokens; the last layer alone, with one query per text, keeps its input (3 kB).
_STEP_TOKENS = {"cpu": 8_192, "cuda": 32_768}
_LAST_LAYER_STEP_TOKENS = {"cpu": 32_768, "cuda": 131_072}


def token_chunks(lengths: Sequence[int], budget: int, *, most_padding: int = _MOST_PADDING) -> list[slice]:
    """Cut consecutive texts into chunks of at most ``budget`` tokens, each with at least one text.

    Texts of very different lengths are kept apart: padded to the longest a chunk has at most ``most_padding`` times the
    budget.
    """
    borders, tokens, longest = [0], 0, 0
    for index, length in enumerate(lengths):
        padded = (index - borders[-1] + 1) * max(longest, length)
        if (tokens + length > budget or padded > most_padding * budget) and index > borders[-1]:
            borders.append(index)
            tokens = longest = 0
        tokens, longest = tokens + length, max(longest, length)
    if lengths:
        borders.append(len(lengths))
    return [slice(start, end) for start, end in pairwise(borders)]


def chunk_tokens(device: torch.device) -> int:
    """Return the token budget of a forward pass without gradients on this kind of device."""
    return _CHUNK_TOKENS.get(device.type, _CHUNK_TOKENS["cpu"])


def micro_batch_tokens(device: torch.device, layers: int) -> int:
    """Return the token budget of a micro-batch in which so many layers train, at least one."""
    budgets = _STEP_TOKENS if layers > 1 else _LAST_LAYER_STEP_TOKENS
    return budgets.get(device.type, budgets["cpu"])


def padded_chunks(lengths: Sequence[int], device: torch.device) -> list[slice]:
    """Cut a batch, sorted by length, for a model that pads: on the CPU padding costs more than a further call."""
    if device.type != "cpu" or not lengths:
        return [slice(len(lengths))]
    return token_chunks(lengths, max(_PADDED_TOKENS, 4 * max(lengths)), most_padding=1)


def longest_first(lengths: npt.NDArray[np.int64], budget: int) -> list[npt.NDArray[np.int64]]:
    """Return the indices of all texts, longest first, in chunks of at most ``budget`` tokens."""
    order = np.argsort(-lengths, kind="stable")
    return [order[chunk] for chunk in token_chunks(lengths[order].tolist(), budget)]
