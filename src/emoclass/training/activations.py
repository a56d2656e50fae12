"""The frozen prefix, run once: its outputs for all texts of a part, kept in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.model.prefix import CHUNK_TOKENS, ComputedActivations, FrozenPrefix, longest_first
from emoclass.model.tokenization import TokenizedTexts, token_positions


class CachedActivations:
    """Activations of all texts in one tensor, ``[rows, hidden_size]``, text after text.

    Attributes:
        depth: The layer whose input they are.
        lengths: Tokens of each text, ``int64[texts]``.
    """

    def __init__(
        self, hidden: Tensor, offsets: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], depth: int
    ) -> None:
        self.depth, self.lengths = depth, lengths
        self._hidden, self._offsets = hidden, offsets

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """Rows of these texts end to end, and the rows of each."""
        rows = torch.from_numpy(token_positions(self._offsets, indices)).to(self._hidden.device)
        return self._hidden.index_select(0, rows), np.diff(self._offsets)[indices].tolist()


def activations_bytes(prefix: FrozenPrefix, tokenized: TokenizedTexts) -> int:
    """Bytes that the activations of these texts take."""
    if prefix.only_first:
        return len(tokenized) * prefix.hidden_size * torch.float32.itemsize
    return len(tokenized.input_ids) * prefix.hidden_size * prefix.dtype.itemsize


def cache_activations(
    prefix: FrozenPrefix,
    tokenized: TokenizedTexts,
    device: torch.device,
    *,
    on_texts: Callable[[int], None] = lambda texts: None,
) -> CachedActivations:
    """Runs the prefix over all texts once, longest first.

    Args:
        prefix: The frozen layers.
        tokenized: The texts.
        device: Where to compute and to keep the result.
        on_texts: Called after each chunk with the number of texts in it.
    """
    offsets = np.arange(len(tokenized) + 1) if prefix.only_first else tokenized.offsets
    dtype = torch.float32 if prefix.only_first else prefix.dtype
    hidden = torch.empty(int(offsets[-1]), prefix.hidden_size, dtype=dtype, device=device)
    source = ComputedActivations(prefix, prefix.depth, tokenized, device)
    for indices in longest_first(tokenized.lengths, CHUNK_TOKENS):
        rows = torch.from_numpy(token_positions(offsets, indices)).to(device)
        hidden.index_copy_(0, rows, source.batch(indices)[0])
        on_texts(len(indices))
    return CachedActivations(hidden, offsets, tokenized.lengths, prefix.depth)
