"""Stages that overlap in threads and keep the order: windows of an input, a stage ahead, a stage behind."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

# A window that is not full waits this long for more items, so that the first windows of a fast input are not tiny.
_GRACE_SECONDS = 0.002


class Windows(Generic[T]):
    """Groups items into lists, and reads ahead in a thread of its own.

    A window closes when it is full or as soon as the input pauses. The first windows are small, so that first results
    appear soon; the size limit doubles from window to window.

    Args:
        items: The input; an error in it is raised after the window with the items before it.
        size: Maximum number of items in a window.
        weigh: Returns the weight of an item, such as its characters.
        most: Maximum weight of a window, and of the items read ahead, unless it is a single item.
    """

    def __init__(
        self, items: Iterable[T], size: int, *, weigh: Callable[[T], int] = lambda item: 0, most: int = 1 << 24
    ) -> None:
        self._items, self._size, self._weigh, self._most = items, size, weigh, most
        self._changed = threading.Condition()
        self._read: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="emoclass-reader", daemon=True)

    def __iter__(self) -> Iterator[list[T]]:
        self._thread.start()
        size = min(32, self._size)
        try:
            while window := self._take(size):
                yield window
                size = min(2 * size, self._size)
            if self._error is not None:
                raise self._error
        finally:
            self.stop()

    def waiting(self) -> int:
        """Return how many items have been read ahead."""
        return len(self._read)

    def stop(self) -> None:
        """End the thread when it has its next item."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take(self, size: int) -> list[T]:
        with self._changed:
            self._changed.wait_for(lambda: self._read or self._ended or self._stopped)
            if not self._is_enough(size):
                self._changed.wait_for(lambda: self._is_enough(size), timeout=_GRACE_SECONDS)
            taken: list[T] = []
            weight = 0
            while self._read and len(taken) < size and (not taken or weight + self._read[0][1] <= self._most):
                item, item_weight = self._read.popleft()
                taken.append(item)
                weight += item_weight
            self._weight -= weight
            self._changed.notify_all()
            return [] if self._stopped else taken

    def _is_enough(self, size: int) -> bool:
        return len(self._read) >= size or self._weight > self._most or self._ended or self._stopped

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self._put(item, self._weigh(item))
                if self._stopped:
                    return
        except BaseException as caught:  # raised in the consuming thread
            error = caught
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _put(self, item: T, weight: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._read or not self._is_full(weight))
            self._read.append((item, weight))
            self._weight += weight
            # The consumer waits for a first item, and for enough items.
            self._changed.notify_all()

    def _is_full(self, weight: int) -> bool:
        return len(self._read) >= 2 * self._size or self._weight + weight > self._most


_END = object()
# A signal that arrives right before a wait without a timeout is handled only after the wait.
_WAKE_SECONDS = 0.25


def _get(waiting: queue.Queue[object]) -> object:
    while True:
        with suppress(queue.Empty):
            return waiting.get(timeout=_WAKE_SECONDS)


def _put(waiting: queue.Queue[object], item: object) -> None:
    while True:
        with suppress(queue.Full):
            return waiting.put(item, timeout=_WAKE_SECONDS)


def ahead(items: Iterable[T], *, stop: Callable[[], None] = lambda: None) -> Generator[T, None, None]:
    """Yield the same items, each computed in another thread while the previous one is used.

    Args:
        items: The items.
        stop: Called at the end, also at an early one; it must end what ``items`` may be waiting for.
    """
    results: queue.Queue[object] = queue.Queue(maxsize=1)
    stopped = threading.Event()
    errors: list[BaseException] = []

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                results.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
        except BaseException as caught:  # raised in the consuming thread
            errors.append(caught)
        put(_END)

    thread = threading.Thread(target=run, name="emoclass-ahead", daemon=True)
    thread.start()
    try:
        while (item := _get(results)) is not _END:
            yield item  # type: ignore[misc]
        if errors:
            raise errors[0]
    finally:
        stopped.set()
        stop()
        thread.join(timeout=10)


class Behind(Generic[T]):
    """Calls a function with items in another thread, in order, with at most one item waiting.

    A context manager: at the end of the block all items are done.

    Args:
        work: The function.

    Raises:
        BaseException: What the function raised, in the next ``put`` or at the end of the block.
    """

    def __init__(self, work: Callable[[T], None]) -> None:
        self._work = work
        self._waiting: queue.Queue[object] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="emoclass-behind", daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _put(self._waiting, _END)
        while self._thread.is_alive():
            self._thread.join(_WAKE_SECONDS)
        if error is None:
            self._raise()

    def put(self, item: T) -> None:
        """Queue an item; wait while another one is queued."""
        self._raise()
        _put(self._waiting, item)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := _get(self._waiting)) is not _END:
            if self._error is None:
                try:
                    self._work(item)  # type: ignore[arg-type]
                except BaseException as caught:  # raised in ``put``
                    self._error = caught
