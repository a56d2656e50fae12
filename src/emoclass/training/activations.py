"""The frozen prefix, run once: its outputs for all texts of a part, in memory, in a file, or computed anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.model.prefix import (
    ActivationSource,
    ChosenActivations,
    ComputedActivations,
    FrozenPrefix,
    TokenIds,
    chunk_tokens,
    longest_first,
)
from emoclass.model.tokenization import TokenizedTexts, token_positions
from emoclass.runtime import available_memory, cache_dir, free_disk
from emoclass.training.cache_directory import list_files, make_room
from emoclass.training.cache_files import RowFile, RowWriter, cache_path, is_complete, prefix_digest


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
        rows = torch.from_numpy(self._layout.positions(indices)).to(self._hidden.device)
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
        return hidden.to(self._device, non_blocking=True), rows.tolist()


class JoinedActivations:
    """Several sources, each of a range of the texts, as one."""

    def __init__(self, sources: list[ActivationSource]) -> None:
        self.depth = sources[0].depth
        self.lengths = np.concatenate([source.lengths for source in sources])
        self._sources = sources
        self._ends = np.cumsum([len(source.lengths) for source in sources])

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """Rows of these texts end to end, and the rows of each."""
        owners = np.searchsorted(self._ends, indices, side="right")
        pieces: list[Tensor] = [torch.empty(0)] * len(indices)
        for owner in np.unique(owners):
            places = np.flatnonzero(owners == owner)
            first = self._ends[owner] - len(self._sources[owner].lengths)
            hidden, rows = self._sources[owner].batch(indices[places] - first)
            for place, piece in zip(places, hidden.split(rows), strict=True):
                pieces[place] = piece
        return torch.cat(pieces), [len(piece) for piece in pieces]


@dataclass(frozen=True)
class RowLayout:
    """Where the rows of each text stand when the longest text comes first.

    Attributes:
        starts: First row of each text, ``int64[texts]``.
        rows: Rows of each text, ``int64[texts]``.
    """

    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, tokenized: TokenizedTexts, *, only_first: bool) -> RowLayout:
        """The layout of these texts, with one row each if only [CLS] is kept."""
        order = np.argsort(-tokenized.lengths, kind="stable")
        rows = np.ones(len(tokenized), dtype=np.int64) if only_first else tokenized.lengths
        starts = np.empty(len(tokenized), dtype=np.int64)
        starts[order] = np.cumsum(rows[order]) - rows[order]
        return cls(starts, rows)

    def positions(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows of these texts, one after the other."""
        return token_positions(self.starts[indices], self.rows[indices])


@dataclass
class CacheBudget:
    """What activations may take; both shrink as parts are planned.

    Attributes:
        memory: Bytes of memory on the device.
        disk: Bytes of all files together.
    """

    memory: int
    disk: int


# The rest of the free memory is for the work itself; the rest of the free disk for everybody else.
_MEMORY_SHARE, _DISK_SHARE, _MOST_DISK = 0.5, 0.5, 20 * 10**9


def default_budget(device: torch.device, *, memory: int | None = None, disk: int | None = None) -> CacheBudget:
    """What is given, and for the rest half of what is free on the device and on the cache's disk, there 20 GB at most.

    What the cache's own files take counts as free.
    """
    if memory is None:
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
        memory = int(_MEMORY_SHARE * free)
    if disk is None:
        own = sum(file.size for file in list_files())
        disk = min(_MOST_DISK, int(_DISK_SHARE * (own + free_disk(cache_dir()))))
    return CacheBudget(memory, disk)


@dataclass(frozen=True)
class CacheUse:
    """Where the texts of a part went: numbers of texts."""

    memory: int = 0
    disk: int = 0
    recomputed: int = 0
    reused: int = 0

    def __add__(self, other: CacheUse) -> CacheUse:
        return CacheUse(
            self.memory + other.memory,
            self.disk + other.disk,
            self.recomputed + other.recomputed,
            self.reused + other.reused,
        )


class ActivationCache:
    """Runs a prefix over parts and keeps what comes out within a budget.

    Args:
        prefix: The frozen layers.
        device: Where to compute, and where batches are wanted.
        budget: How much may be kept; it is used up part by part.
        on_texts: Called after each chunk with the number of texts in it.
    """

    def __init__(
        self,
        prefix: FrozenPrefix,
        device: torch.device,
        budget: CacheBudget,
        *,
        on_texts: Callable[[int], None] = lambda texts: None,
    ) -> None:
        self._prefix, self._device, self._budget, self._on_texts = prefix, device, budget, on_texts
        self._disk_limit = budget.disk
        self._digest = prefix_digest(prefix) if budget.disk > 0 else b""
        self._dtype = torch.float32 if prefix.only_first else prefix.dtype
        self._row_bytes = prefix.hidden_size * self._dtype.itemsize
        self.use = CacheUse()

    def add(self, tokenized: TokenizedTexts, inputs: ActivationSource | None = None) -> ActivationSource:
        """The activations of a part: as much in memory as fits, then in a file, the rest computed in each epoch.

        Args:
            tokenized: The texts.
            inputs: Input of the prefix's first layer for the same texts, if it does not begin with token ids.
        """
        inputs = inputs or TokenIds(tokenized, self._device)
        layout = RowLayout.of(tokenized, only_first=self._prefix.only_first)
        sizes = np.cumsum(layout.rows) * self._row_bytes
        in_memory = int(np.searchsorted(sizes, self._budget.memory, side="right"))
        kept = sizes[in_memory - 1] if in_memory else 0
        in_file = int(np.searchsorted(sizes - kept, self._budget.disk, side="right"))
        borders = [0, in_memory, max(in_memory, in_file), len(tokenized)]
        makers = (self._in_memory, self._in_file, self._recomputed)
        sources = [
            make(tokenized.take(np.arange(start, end)), ChosenActivations(inputs, np.arange(start, end)))
            for make, start, end in zip(makers, borders[:-1], borders[1:], strict=True)
            if end > start
        ]
        return sources[0] if len(sources) == 1 else JoinedActivations(sources)

    def _in_memory(self, texts: TokenizedTexts, inputs: ActivationSource) -> ActivationSource:
        layout = RowLayout.of(texts, only_first=self._prefix.only_first)
        total = int(layout.rows.sum())
        self._budget.memory -= total * self._row_bytes
        file = self._open(texts, total)
        if file is not None:
            hidden = file.read(np.array([0]), np.array([total])).to(self._device)
        else:
            hidden = torch.empty(total, self._prefix.hidden_size, dtype=self._dtype, device=self._device)
            self._compute(texts, total, inputs, hidden)
        self.use += CacheUse(memory=len(texts), reused=len(texts) if file is not None else 0)
        return CachedActivations(hidden, layout, texts.lengths, self._prefix.depth)

    def _in_file(self, texts: TokenizedTexts, inputs: ActivationSource) -> ActivationSource:
        layout = RowLayout.of(texts, only_first=self._prefix.only_first)
        total = int(layout.rows.sum())
        file = self._open(texts, total)
        reused = file is not None
        if file is None:
            self._compute(texts, total, inputs, None)
            file = self._open(texts, total)
        if file is None:  # the disk was full, or another process removed the file at once
            return self._recomputed(texts, inputs)
        self.use += CacheUse(disk=len(texts), reused=len(texts) if reused else 0)
        return FiledActivations(file, layout, texts.lengths, self._prefix.depth, self._device)

    def _recomputed(self, texts: TokenizedTexts, inputs: ActivationSource) -> ActivationSource:
        self.use += CacheUse(recomputed=len(texts))
        return self._computed(inputs)

    def _open(self, texts: TokenizedTexts, total: int) -> RowFile | None:
        if self._disk_limit <= 0:
            return None
        path = cache_path(self._digest, texts)
        if not is_complete(path, total * self._row_bytes):
            return None
        try:
            pinned = self._device.type == "cuda"
            file = RowFile(path, self._prefix.hidden_size, self._dtype, pinned=pinned)
        except OSError:
            return None
        self._on_texts(len(texts))
        return file

    def _compute(self, texts: TokenizedTexts, total: int, inputs: ActivationSource, hidden: Tensor | None) -> None:
        """Fills ``hidden``, and a file for the next run if the budget allows."""
        source = self._computed(inputs)
        row = 0
        with self._writer(texts, total) as writer:
            for indices in longest_first(texts.lengths, chunk_tokens(self._device)):
                if hidden is None and writer.failed:
                    return
                rows = source.batch(indices)[0]
                if hidden is not None:
                    hidden[row : row + len(rows)] = rows
                row += len(rows)
                writer.write(rows)
                self._on_texts(len(indices))

    def _computed(self, inputs: ActivationSource) -> ComputedActivations:
        return ComputedActivations(self._prefix, self._prefix.depth, inputs)

    def _writer(self, texts: TokenizedTexts, total: int) -> RowWriter:
        size = total * self._row_bytes
        if size > self._budget.disk:
            return RowWriter(None)
        self._budget.disk -= size
        make_room(size, self._disk_limit)
        return RowWriter(cache_path(self._digest, texts))
