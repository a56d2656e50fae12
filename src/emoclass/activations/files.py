"""Activation files: written aside, never read half-written.

A file holds the rows of its texts, longest text first, and nothing else; its name is a hash of all that its content
depends on.
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.activations.directory import FINISHED, PARTIAL, activations_dir
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.tokenization import TokenizedTexts

_FORMAT = b"emoclass activations 1"


def prefix_digest(prefix: FrozenPrefix) -> bytes:
    """Hash of the frozen weights, the depth and the precision; frozen layers have no dropout."""
    model = prefix.model
    digest = hashlib.sha256(_FORMAT + repr((model.config.with_dropout(0), prefix.depth, prefix.dtype)).encode())
    for module in (model.bert.embeddings, *model.layers[: prefix.depth]):
        for parameter in module.parameters():
            digest.update(_bytes_of(parameter.detach().cpu()))
    return digest.digest()


def cache_path(digest: bytes, tokenized: TokenizedTexts) -> Path:
    """Where the activations of these texts by this prefix are, or would be."""
    key = hashlib.sha256(digest)
    key.update(np.ascontiguousarray(tokenized.offsets).data)
    key.update(np.ascontiguousarray(tokenized.input_ids).data)
    return activations_dir() / f"{key.hexdigest()}{FINISHED}"


class RowFile:
    """A finished file, read text by text; what it reads stays in the system's page cache, not in this process.

    Args:
        path: The file.
        hidden_size: Width of a row.
        dtype: Of the values.
        pinned: Whether rows are read into pages that a GPU can copy from by itself.
    """

    def __init__(self, path: Path, hidden_size: int, dtype: torch.dtype, *, pinned: bool) -> None:
        self._file = path.open("rb", buffering=0)
        self._dtype, self._hidden_size, self._pinned = dtype, hidden_size, pinned
        self._row_bytes = hidden_size * dtype.itemsize
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)
        with suppress(OSError):
            os.utime(path)  # the time of last use, for the removal of the oldest

    def read(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Tensor:
        """``[sum of lengths, hidden_size]``: the rows from each start, end to end."""
        rows = torch.empty(int(lengths.sum()), self._hidden_size, dtype=self._dtype, pin_memory=self._pinned)
        buffer = _bytes_of(rows)
        position = 0
        with self._lock:
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                end = position + length * self._row_bytes
                self._file.seek(start * self._row_bytes)
                while position < end:
                    count = self._file.readinto(buffer[position:end])
                    if not count:
                        raise OSError(f"{self._file.name}: ends too early")
                    position += count
        return rows


class RowWriter:
    """Writes a file aside and gives it its name at the end of a ``with`` block that was left in peace.

    The cache is a help, not a need: a disk that is full or cannot be written ends the file, not the training.

    Args:
        path: The file's final name; ``None`` writes nothing.

    Attributes:
        failed: Whether nothing is, or can be, written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self.failed = path, path is None

    def __enter__(self) -> RowWriter:
        if self._path is not None:
            self._partial = self._path.with_suffix(f".{uuid.uuid4().hex}{PARTIAL}")
            with self._failing():
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._partial.open("wb", buffering=0)
        return self

    def write(self, rows: Tensor) -> None:
        """Appends rows."""
        with self._failing():
            buffer = memoryview(b"") if self.failed else _bytes_of(rows.cpu())
            while buffer:
                buffer = buffer[self._file.write(buffer) :]

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self.failed or self._path is None:
            return
        with self._failing():
            if kind is not None:
                raise OSError("not finished")
            # Flushed before others can find it: a name must not survive a crash without its content.
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self._path)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.failed = True
            with suppress(OSError, AttributeError):
                self._file.close()
            with suppress(OSError):
                self._partial.unlink()


def is_complete(path: Path, size: int) -> bool:
    """Whether there is a finished file of this size."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _bytes_of(tensor: Tensor) -> memoryview:
    # By way of bytes, for numpy has no bfloat16.
    return tensor.contiguous().flatten().view(torch.uint8).numpy().data
