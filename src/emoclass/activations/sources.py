"""Where the input of a layer comes from: memory, a file, or a computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.activations.files import RowFile
from emoclass.encoders.tokenization import TokenizedTexts, token_positions
from emoclass.runtime import is_out_of_memory, to_device


class ActivationSource(Protocol):
    """Where the input of layer ``depth`` comes from, for any selection of a set of texts."""

    depth: int

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, ``int64[texts]``; what is alike in length is computed together."""

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """``[rows, hidden_size]`` of these texts end to end, and the rows of each: its tokens, or [CLS] alone."""


class TokenIds:
    """Token ids of texts as the input of the embeddings.

    Args:
        tokenized: The texts.
        device: Where ids are wanted.
    """

    depth = 0

    def __init__(self, tokenized: TokenizedTexts, device: torch.device) -> None:
        self._tokenized, self._device = tokenized, device

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, ``int64[texts]``."""
        return self._tokenized.lengths

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """``int64[tokens]`` of these texts end to end, and the tokens of each."""
        texts = self._tokenized.take(indices)
        return to_device(torch.from_numpy(texts.input_ids), self._device).long(), texts.lengths.tolist()


class ChosenActivations:
    """Some texts of a source as a source, in any order.

    Args:
        source: All texts.
        chosen: Which, ``int64[texts]``.

    Attributes:
        lengths: Tokens of each text, ``int64[texts]``.
    """

    def __init__(self, source: ActivationSource, chosen: npt.NDArray[np.int64]) -> None:
        self.depth, self._source, self._chosen = source.depth, source, chosen
        self.lengths = source.lengths[chosen]

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """Rows of these texts end to end, and the rows of each."""
        return self._source.batch(self._chosen[indices])


class ComputedActivations:
    """Activations computed each time they are asked for.

    Args:
        compute: From ids or activations, and lengths, to ``[tokens, hidden_size]``: a prefix, or trainable embeddings.
        depth: The layer whose input they are.
        inputs: What to compute them from.
    """

    def __init__(
        self, compute: Callable[[Tensor, Sequence[int]], Tensor], depth: int, inputs: ActivationSource
    ) -> None:
        self.depth = depth
        self._compute, self._inputs = compute, inputs

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return self._inputs.lengths

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        inputs, lengths = self._inputs.batch(indices)
        hidden = self._computed(inputs, lengths)
        if hidden is not None:
            return hidden, lengths if len(hidden) == len(inputs) else [1] * len(lengths)
        # Here, and not where the error was caught: it would keep what was allocated for the whole.
        half = len(indices) // 2
        (first, rows), (second, more) = self.batch(indices[:half]), self.batch(indices[half:])
        return torch.cat([first, second]), rows + more

    def _computed(self, inputs: Tensor, lengths: list[int]) -> Tensor | None:
        """``None`` if there is no memory for so many texts at once."""
        try:
            return self._compute(inputs, lengths)
        except (RuntimeError, MemoryError) as error:
            if len(lengths) == 1 or not is_out_of_memory(error):
                raise
            return None


class CachedActivations:
    """Activations of all texts in one tensor, ``[rows, hidden_size]``.

    Attributes:
        depth: The layer whose input they are.
        lengths: Tokens of each text, ``int64[texts]``.
    """

    def __init__(self, hidden: Tensor, layout: RowLayout, lengths: npt.NDArray[np.int64], depth: int) -> None:
        self.depth, self.lengths = depth, lengths
        self._hidden, self._layout = hidden, layout

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """Rows of these texts end to end, and the rows of each."""
        rows = to_device(torch.from_numpy(self._layout.positions(indices)), self._hidden.device)
        return self._hidden.index_select(0, rows), self._layout.rows[indices].tolist()


class FiledActivations:
    """Activations of all texts in a file; a batch is read when it is asked for."""

    def __init__(
        self, file: RowFile, layout: RowLayout, lengths: npt.NDArray[np.int64], depth: int, device: torch.device
    ) -> None:
        self.depth, self.lengths = depth, lengths
        self._file, self._layout, self._device = file, layout, device

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """Rows of these texts end to end, and the rows of each."""
        rows = self._layout.rows[indices]
        hidden = self._file.read(self._layout.starts[indices], rows)
        # Only CUDA's allocator keeps what is read into until it has been copied.
        return hidden.to(self._device, non_blocking=self._device.type == "cuda"), rows.tolist()


@dataclass(frozen=True)
class RowLayout:
    """Where the rows of each text stand.

    Attributes:
        starts: First row of each text, ``int64[texts]``.
        rows: Rows of each text, ``int64[texts]``.
    """

    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, tokenized: TokenizedTexts, *, cls_only: bool) -> RowLayout:
        """Lay out these texts in order, with one row each if only [CLS] is kept."""
        rows = np.ones(len(tokenized), dtype=np.int64) if cls_only else tokenized.lengths
        return cls(np.cumsum(rows) - rows, rows)

    def positions(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows of these texts, one after the other."""
        return token_positions(self.starts[indices], self.rows[indices])
