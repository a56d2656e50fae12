"""Forks wait until no thread computes: a child has none of the threads, and what they were at stays half done."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A fork does not wait longer than this for computations of other threads.
_MOST_SECONDS = 60.0


class _Gate:
    """Lets any number of computations through while no fork waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    def enter(self, *, behind: bool = False) -> None:
        """Enter, at once behind a computation that is inside already."""
        with self._changed:
            self._changed.wait_for(lambda: behind or not self._closed)
            self._inside += 1

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Wait for all computations, and keep the lock during the fork."""
        self._changed.acquire()
        self._closed = True
        self._changed.wait_for(lambda: not self._inside, timeout=_MOST_SECONDS)

    def open(self) -> None:
        self._closed = False
        self._changed.notify_all()
        self._changed.release()

    def renew(self) -> None:
        """In a child, nothing is inside and nobody waits."""
        self.__init__()  # type: ignore[misc]


_gate = _Gate()

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_gate.close, after_in_parent=_gate.open, after_in_child=_gate.renew)


@contextmanager
def no_fork() -> Iterator[None]:
    """Run a block during which no other thread forks the process."""
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


def still_no_fork() -> Callable[[], None]:
    """Keep forks waiting when the ``no_fork`` block that calls this ends, until what this returns is called."""
    _gate.enter(behind=True)
    return _gate.leave
