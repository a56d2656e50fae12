"""Locks between processes, which the system releases when their holder ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emoclass.errors import BusyError


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold the lock of a file, which is created if necessary and stays empty.

    Raises:
        BusyError: Another process still holds it after this many ``seconds``.
        OSError: The file cannot be created.
    """
    from filelock import FileLock, Timeout  # takes longer to import than a prediction takes

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise BusyError(
            f"{path}: another process has held this lock for {seconds:.0f} s; wait for it or end it, then try again"
        ) from None
    try:
        yield
    finally:
        lock.release()
