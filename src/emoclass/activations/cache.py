"""The frozen layers, run once: their output for all texts of a split, in memory, in a file, or computed anew."""

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
from emoclass.activations.files import RowFile, RowWriter, cache_path, is_complete
from emoclass.activations.sources import (
    ActivationSource,
    CachedActivations,
    ChosenActivations,
    ComputedActivations,
    FiledActivations,
    RowLayout,
    TokenIds,
)
from emoclass.encoders.batching import chunk_tokens, token_chunks
from emoclass.encoders.interface import Prefix
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.runtime import available_memory, cache_dir, free_disk

# Rows copied from a file to memory at once.
_ROWS_AT_ONCE = 1 << 15
# The rest of the free memory is for training itself, the rest of the free disk for everybody else.
_MEMORY_SHARE, _DISK_SHARE, _MAX_DISK = 0.5, 0.5, 20 * 10**9


@dataclass
class CacheBudget:
    """Bytes that the activations of one process may still take.

    Attributes:
        memory: Bytes of memory on the device.
        disk: Bytes of files.
        sharing: Number of processes that each have this budget on one machine.
        disk_limit: Bytes of all activation files together, those of other trainings included; it does not shrink.
    """

    memory: int
    disk: int
    sharing: int = 1

    def __post_init__(self) -> None:
        self.disk_limit = self.disk * self.sharing


def default_budget(device: torch.device, *, memory: int | None = None, disk: int | None = None) -> CacheBudget:
    """Return the given sizes; by default half of the free memory and half of the free disk, at most 20 GB.

    Existing activation files count as free. Processes that torchrun started on one machine share the disk, and by
    default its memory.
    """
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if memory is None:
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory() // sharing
        memory = int(_MEMORY_SHARE * free)
    if disk is None:
        own = sum(file.size for file in list_files())
        disk = min(_MAX_DISK, int(_DISK_SHARE * (own + free_disk(cache_dir()))))
    return CacheBudget(memory, disk // sharing, sharing)


@dataclass(frozen=True)
class CacheUse:
    """Where the activations of how many texts are: in memory, in files, recomputed; and how many were reused."""

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
    """Encode splits with the frozen layers and keep the output within a budget.

    Each split is kept as a whole: in memory if it fits, and in a file if it fits, where the next training finds it. A
    split that fits neither is encoded again in each epoch.

    Args:
        prefix: The frozen layers.
        device: Where to compute, and where batches are used.
        budget: What may be kept; it shrinks with each split.
        on_texts: Called after each chunk with its number of texts.

    Attributes:
        use: Where the texts so far are.
        memory_bytes: Bytes of memory taken from the budget.
    """

    def __init__(
        self,
        prefix: Prefix,
        device: torch.device,
        budget: CacheBudget,
        *,
        on_texts: Callable[[int], None] = lambda texts: None,
    ) -> None:
        self._prefix, self._device, self._budget, self._on_texts = prefix, device, budget, on_texts
        self._dtype = torch.float32 if prefix.cls_only else prefix.dtype
        self._row_bytes = prefix.hidden_size * self._dtype.itemsize
        self.use = CacheUse()
        self.memory_bytes = 0

    def add(self, tokenized: TokenizedTexts, inputs: ActivationSource | None = None) -> ActivationSource:
        """Encode a split and return its activations.

        Args:
            tokenized: The texts.
            inputs: Input of the prefix's first layer for the same texts, if that is not token ids.
        """
        # Longest first: chunks of texts of like length are computed together, and written in this order.
        order = np.argsort(-tokenized.lengths, kind="stable")
        texts = tokenized.take(order)
        inputs = ChosenActivations(inputs or TokenIds(tokenized, self._device), order)
        computed = ComputedActivations(self._prefix, self._prefix.depth, inputs)
        source = self._kept(computed, texts)
        positions = np.empty(len(texts), dtype=np.int64)
        positions[order] = np.arange(len(texts))
        return ChosenActivations(source, positions)

    def _kept(self, computed: ComputedActivations, texts: TokenizedTexts) -> ActivationSource:
        """Return the activations of texts, longest first, from memory, from a file, or as they are computed."""
        layout = RowLayout.of(texts, cls_only=self._prefix.cls_only)
        rows = int(layout.rows.sum())
        size, count, depth = rows * self._row_bytes, len(texts), self._prefix.depth
        fits_memory, fits_disk = size <= self._budget.memory, 0 < size <= self._budget.disk
        hidden = torch.empty(
            rows if fits_memory else 0, self._prefix.hidden_size, dtype=self._dtype, device=self._device
        )
        file = None
        if fits_disk:
            self._budget.disk -= size
            file = self._file(computed, texts, layout, hidden)
        elif fits_memory:
            self._encode(computed, layout, hidden, RowWriter(None))
        if fits_memory:
            self._budget.memory -= size
            self.memory_bytes += size
            self.use += CacheUse(memory=count)
            return CachedActivations(hidden, layout, texts.lengths, depth)
        if file is not None:
            self.use += CacheUse(disk=count)
            return FiledActivations(file, layout, texts.lengths, depth, self._device)
        self.use += CacheUse(recomputed=count)
        return computed

    def _file(
        self, computed: ActivationSource, texts: TokenizedTexts, layout: RowLayout, hidden: Tensor
    ) -> RowFile | None:
        """Return the file of these texts, read or written, and fill ``hidden``; ``None`` if it cannot be written."""
        size = int(layout.rows.sum()) * self._row_bytes
        path = cache_path(self._prefix, texts)
        file = self._open(path, size)
        if file is None:
            make_room(size, self._budget.disk_limit)
            with RowWriter(path) as writer:
                self._encode(computed, layout, hidden, writer)
            return self._open(path, size)
        self.use += CacheUse(reused=len(texts))
        self._on_texts(len(texts))
        for row in range(0, len(hidden), _ROWS_AT_ONCE):
            count = min(_ROWS_AT_ONCE, len(hidden) - row)
            hidden[row : row + count] = file.read(np.array([row]), np.array([count]))
        return file

    def _open(self, path: Path, size: int) -> RowFile | None:
        if not is_complete(path, size):
            return None
        with suppress(OSError):
            return RowFile(path, self._prefix.hidden_size, self._dtype, pinned=self._device.type == "cuda")
        return None

    def _encode(self, computed: ActivationSource, layout: RowLayout, hidden: Tensor, writer: RowWriter) -> None:
        """Write the rows of all texts to ``hidden``, if it has rows, and to the file."""
        for chunk in token_chunks(computed.lengths.tolist(), chunk_tokens(self._device)):
            if writer.failed and not len(hidden):
                return
            rows, _ = computed.batch(np.arange(chunk.start, chunk.stop))
            if len(hidden):
                start = int(layout.starts[chunk.start])
                hidden[start : start + len(rows)] = rows
            writer.write(rows)
            self._on_texts(chunk.stop - chunk.start)
