"""The frozen prefix, run once: its outputs for all texts of a part, in memory, in a file, or computed anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emoclass.activations.directory import list_files, make_room
from emoclass.activations.files import RowFile, RowWriter, cache_path, is_complete, prefix_digest
from emoclass.activations.sources import (
    ActivationSource,
    CachedActivations,
    ChosenActivations,
    ComputedActivations,
    FiledActivations,
    JoinedActivations,
    RowLayout,
    TokenIds,
)
from emoclass.encoders.batching import chunk_tokens, token_chunks
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.runtime import available_memory, cache_dir, free_disk


@dataclass
class CacheBudget:
    """What activations of one process may take; both shrink as parts are planned.

    Attributes:
        memory: Bytes of memory on the device.
        disk: Bytes of its files.
        sharing: Processes that have as much of the disk each.
        disk_limit: Bytes of all files together, those of other trainings included; it does not shrink.
    """

    memory: int
    disk: int
    sharing: int = 1

    def __post_init__(self) -> None:
        self.disk_limit = self.disk * self.sharing


# Rows that are read from a file at once, by way of memory that a GPU can copy from.
_ROWS_AT_ONCE = 1 << 15
# The rest of the free memory is for the work itself; the rest of the free disk for everybody else.
_MEMORY_SHARE, _DISK_SHARE, _MOST_DISK = 0.5, 0.5, 20 * 10**9


def default_budget(device: torch.device, *, memory: int | None = None, disk: int | None = None) -> CacheBudget:
    """What is given, and for the rest half of what is free on the device and on the cache's disk, there 20 GB at most.

    What the cache's own files take counts as free. Processes that torchrun started on one machine share the disk, and
    its memory where none is given.
    """
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if memory is None:
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory() // sharing
        memory = int(_MEMORY_SHARE * free)
    if disk is None:
        own = sum(file.size for file in list_files())
        disk = min(_MOST_DISK, int(_DISK_SHARE * (own + free_disk(cache_dir()))))
    return CacheBudget(memory, disk // sharing, sharing)


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
        self._digest = prefix_digest(prefix) if budget.disk > 0 else b""
        self._dtype = torch.float32 if prefix.only_first else prefix.dtype
        self._row_bytes = prefix.hidden_size * self._dtype.itemsize
        self.use = CacheUse()

    def add(self, tokenized: TokenizedTexts, inputs: ActivationSource | None = None) -> ActivationSource:
        """The activations of a part: as much in memory as fits, then in a file, the rest computed in each epoch.

        The longest texts come first, into memory, and the shortest into the file: where that begins depends on the
        budget for the disk alone, so that the next run finds it whatever memory is free then. A part that fits into
        the file is there as a whole.

        Args:
            tokenized: The texts.
            inputs: Input of the prefix's first layer for the same texts, if it does not begin with token ids.
        """
        order = np.argsort(-tokenized.lengths, kind="stable")
        texts = tokenized.take(order)
        inputs = ChosenActivations(inputs or TokenIds(tokenized, self._device), order)
        count, layout = len(texts), RowLayout.of(texts, only_first=self._prefix.only_first)
        starts = np.append(layout.starts, layout.rows.sum()) * self._row_bytes
        in_memory = int(np.searchsorted(starts[1:], self._budget.memory, side="right"))
        filed = int(np.searchsorted(starts[:-1], starts[-1] - self._budget.disk))
        self._budget.memory -= int(starts[in_memory])
        self._budget.disk -= int(starts[-1] - starts[filed])

        computed = ComputedActivations(self._prefix, self._prefix.depth, inputs)
        rows = int(starts[in_memory]) // self._row_bytes
        hidden = torch.empty(rows, self._prefix.hidden_size, dtype=self._dtype, device=self._device)
        self._compute(computed, 0, min(in_memory, filed), layout, hidden, RowWriter(None))
        file = self._filed(computed, texts, filed, layout, hidden) if filed < count else None
        read = count if file is None else max(in_memory, filed)
        self.use += CacheUse(memory=in_memory, disk=count - read, recomputed=read - in_memory)

        depth, lengths = self._prefix.depth, texts.lengths
        sources: list[ActivationSource] = []
        if in_memory or not count:
            sources.append(CachedActivations(hidden, layout.part(0, in_memory), lengths[:in_memory], depth))
        if in_memory < read:
            sources.append(ChosenActivations(computed, np.arange(in_memory, read)))
        if file is not None and read < count:
            kept = RowLayout(layout.starts - layout.starts[filed], layout.rows).part(read, count)
            sources.append(FiledActivations(file, kept, lengths[read:], depth, self._device))
        places = np.empty(count, dtype=np.int64)
        places[order] = np.arange(count)
        return ChosenActivations(sources[0] if len(sources) == 1 else JoinedActivations(sources), places)

    def _filed(
        self, source: ActivationSource, texts: TokenizedTexts, start: int, layout: RowLayout, hidden: Tensor
    ) -> RowFile | None:
        """The file with the rows of the texts from ``start`` on, read or written, and their rows in ``hidden`` filled.

        There is none if the disk was full, or if another process removed it at once.
        """
        first, end = int(layout.starts[start]), int(layout.rows.sum())
        size = (end - first) * self._row_bytes
        path = cache_path(self._digest, texts.take(np.arange(start, len(texts))))
        file = self._open(path, size)
        if file is None:
            make_room(size, self._budget.disk_limit)
            with RowWriter(path) as writer:
                self._compute(source, start, len(texts), layout, hidden, writer)
            return self._open(path, size)
        self.use += CacheUse(reused=len(texts) - start)
        self._on_texts(len(texts) - start)
        for row in range(first, len(hidden), _ROWS_AT_ONCE):
            count = min(_ROWS_AT_ONCE, len(hidden) - row)
            hidden[row : row + count] = file.read(np.array([row - first]), np.array([count]))
        return file

    def _open(self, path: Path, size: int) -> RowFile | None:
        if not is_complete(path, size):
            return None
        with suppress(OSError):
            return RowFile(path, self._prefix.hidden_size, self._dtype, pinned=self._device.type == "cuda")
        return None

    def _compute(
        self, source: ActivationSource, start: int, end: int, layout: RowLayout, hidden: Tensor, writer: RowWriter
    ) -> None:
        """The rows of the texts from ``start`` to ``end``: to their place in ``hidden``, if they have one, and on."""
        for chunk in token_chunks(source.lengths[start:end].tolist(), chunk_tokens(self._device)):
            row = int(layout.starts[start + chunk.start])
            if writer.failed and row >= len(hidden):
                return
            indices = np.arange(start + chunk.start, start + chunk.stop)
            rows, _ = source.batch(indices)
            kept = hidden[row : row + len(rows)]
            kept.copy_(rows[: len(kept)])
            writer.write(rows)
            self._on_texts(len(indices))
