"""Locks between processes: the system releases them when their holder ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emoclass.errors import BusyError


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Holds the lock of a file, which is made where there is none and stays empty.

    Raises:
        BusyError: Another process has held it for so many seconds.
        OSError: The file cannot be made.
    """
    from filelock import FileLock, Timeout  # takes longer to import than a prediction takes

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise BusyError(
            f"{path}: another process has held this lock for {seconds:.0f} s; let it finish or end it, then try again"
        ) from None
    try:
        yield
    finally:
        lock.release()
