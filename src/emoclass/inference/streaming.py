"""Prediction on a stream: an answer for each line as soon as the input pauses."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO, Generic, TypeVar

from emoclass.inference.predictor import WINDOW, Classifier, Prediction

T = TypeVar("T")


def read_lines(stream: BinaryIO) -> Iterator[str]:
    """Lines of a byte stream without their ends; a byte order mark is dropped, invalid UTF-8 is replaced."""
    for number, line in enumerate(stream):
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        yield text.removeprefix("\ufeff") if number == 0 else text


def predict_stream(
    classifier: Classifier, texts: Iterable[str], *, top_k: int = 1
) -> Iterator[list[tuple[str, Prediction]]]:
    """Texts with their predictions, in order, in windows that close when they are full or the input pauses."""
    for window in windows(texts, WINDOW):
        yield list(zip(window, classifier.predict(window, top_k=top_k), strict=True))


def windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Groups items as they come: at most ``size``, and no waiting for more once there is one.

    Items are read ahead by another thread while a group is worked on.
    """
    reader = _Reader(items, ahead=2 * size)
    try:
        while group := reader.take(size):
            yield group
    finally:
        reader.stop()


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Reader(Generic[T]):
    """Reads items in a thread of its own, at most ``ahead`` more than were taken."""

    def __init__(self, items: Iterable[T], *, ahead: int) -> None:
        self._items, self._queue = items, queue.Queue[T | _End](maxsize=ahead)
        self._stopped = threading.Event()
        self._end: _End | None = None
        threading.Thread(target=self._read, name="emoclass-reader", daemon=True).start()

    def take(self, size: int) -> list[T]:
        """Waits for one item and takes what else is there; nothing at the end.

        Raises:
            BaseException: What reading raised, when all items before it have been taken.
        """
        taken: list[T] = []
        while self._end is None and len(taken) < size and not (taken and self._queue.empty()):
            item = self._queue.get()
            if isinstance(item, _End):
                self._end = item
            else:
                taken.append(item)
        if not taken and self._end is not None and self._end.error is not None:
            raise self._end.error
        return taken

    def stop(self) -> None:
        """Lets the thread end, when it has its next item."""
        self._stopped.set()
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def _read(self) -> None:
        error = None
        try:
            for item in self._items:
                self._queue.put(item)
                if self._stopped.is_set():
                    return
        except BaseException as caught:  # handed to the thread that takes
            error = caught
        self._queue.put(_End(error))
