"""Work side by side in order: a reader that closes windows when input pauses, a stage ahead, a stage behind."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

# A window that could take more waits this long for it, so that the first ones of a fast input are not tiny.
_GRACE_SECONDS = 0.005


class Windows(Generic[T]):
    """Groups items as they come, and reads ahead in a thread of its own.

    A window is handed out when it is full, or as soon as the input pauses. The first ones are small, so that there
    is something to see at once; each may be twice as large as the one before.

    Args:
        items: What to group; an error there is raised after the window with the items before it.
        size: Most items of a window.
        weigh: Weight of an item, such as its characters.
        most: A window, and what is read ahead, has at most this weight, or a single item.
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

    def stop(self) -> None:
        """Lets the thread end, when it has its next item."""
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
        except BaseException as caught:  # handed to the thread that takes
            error = caught
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _put(self, item: T, weight: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._read or not self._is_full(weight))
            self._read.append((item, weight))
            self._weight += weight
            # The taker wakes for the first item, and when there is enough.
            self._changed.notify_all()

    def _is_full(self, weight: int) -> bool:
        return len(self._read) >= 2 * self._size or self._weight + weight > self._most


_END = object()
# A signal that comes right before a wait without end would only be seen when something else ends the wait.
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
    """Yield the same items, each computed by another thread while the one before it is used.

    At the end, or when it is left early, ``stop`` is called, which must end what ``items`` may be waiting for.
    """
    made: queue.Queue[object] = queue.Queue(maxsize=1)
    stopped = threading.Event()
    errors: list[BaseException] = []

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
        except BaseException as caught:  # raised where the items are used
            errors.append(caught)
        put(_END)

    thread = threading.Thread(target=run, name="emoclass-ahead", daemon=True)
    thread.start()
    try:
        while (item := _get(made)) is not _END:
            yield item  # type: ignore[misc]
        if errors:
            raise errors[0]
    finally:
        stopped.set()
        stop()
        thread.join(timeout=10)


class Behind(Generic[T]):
    """Hands items to a function that runs in another thread, in order, at most one waiting.

    Used in a ``with`` block: at its end all items that were handed over have been worked on.

    Raises:
        BaseException: What the function raised, at the next ``put`` or at the end.
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
        """Hands an item over; waits while another one waits."""
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
                except BaseException as caught:  # raised where items are handed over
                    self._error = caught
