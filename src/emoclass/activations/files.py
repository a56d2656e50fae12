"""Activation files: the rows of all texts, the longest text first, and nothing else.

The name of a file is a hash of all that its content depends on.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass._version import __version__
from emoclass.activations.directory import SUFFIX, activations_dir
from emoclass.encoders.interface import Prefix
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.files import errors_named, whole_file
from emoclass.fingerprint import tensor_bytes

_FORMAT = b"emoclass activations 1"


def cache_path(prefix: Prefix, tokenized: TokenizedTexts) -> Path:
    """Return the path of the activations of these texts by this prefix, which need not exist."""
    key = hashlib.sha256(_FORMAT + repr((__version__, torch.__version__)).encode() + prefix.sha256)
    key.update(np.ascontiguousarray(tokenized.offsets).data)
    key.update(np.ascontiguousarray(tokenized.input_ids).data)
    return activations_dir() / f"{key.hexdigest()}{SUFFIX}"


class RowFile:
    """An activation file that is read text by text; its content stays in the system's page cache, not in this process.

    Args:
        path: The file.
        hidden_size: Width of a row.
        dtype: Type of the values.
        pinned: Whether to read into pinned memory, from which a GPU copies asynchronously.
    """

    def __init__(self, path: Path, hidden_size: int, dtype: torch.dtype, *, pinned: bool) -> None:
        self._file = path.open("rb", buffering=0)
        self._dtype, self._hidden_size, self._pinned = dtype, hidden_size, pinned
        self._row_bytes = hidden_size * dtype.itemsize
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)
        with suppress(OSError):
            os.utime(path)  # the time of last use, see ``make_room``

    def read(self, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Tensor:
        """Return ``[sum of lengths, hidden_size]``: the rows from each start, concatenated.

        Raises:
            OSError: The file cannot be read, or is too short.
        """
        rows = torch.empty(int(lengths.sum()), self._hidden_size, dtype=self._dtype, pin_memory=self._pinned)
        buffer = tensor_bytes(rows)
        position = 0
        with self._lock, errors_named(str(self._file.name)):
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                end = position + length * self._row_bytes
                self._file.seek(start * self._row_bytes)
                while position < end:
                    count = self._file.readinto(buffer[position:end])
                    if not count:
                        raise OSError(errno.EIO, "the file has become too short; run emoclass cache clear")
                    position += count
        return rows


class RowWriter:
    """Writes a file that appears when its ``with`` block ends without an error.

    The cache is an optimization: if the disk is full or not writable, the file is given up, and training continues.

    Args:
        path: The file; ``None`` writes nothing.

    Attributes:
        failed: Whether nothing is written (any more).
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self.failed = path, path is None
        self._stack = ExitStack()

    def __enter__(self) -> RowWriter:
        with self._giving_up():
            if self._path is not None:
                aside = self._stack.enter_context(whole_file(self._path))
                self._file = self._stack.enter_context(aside.open("wb", buffering=0))
        return self

    def write(self, rows: Tensor) -> None:
        """Append rows."""
        with self._giving_up():
            buffer = memoryview(b"") if self.failed else tensor_bytes(rows.cpu())
            while buffer:
                buffer = buffer[self._file.write(buffer) :]

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        with self._giving_up():
            if kind is not None:
                raise OSError("not complete")
            self._stack.close()

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failed = True
            with suppress(OSError):
                self._stack.__exit__(type(error), error, error.__traceback__)


def is_complete(path: Path, size: int) -> bool:
    """Return whether there is a file of this size."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False
