"""Prediction on a stream: an answer for each line as soon as the input pauses."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import BinaryIO, TypeVar

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
    waiting: queue.Queue[T | _End] = queue.Queue(maxsize=2 * size)
    threading.Thread(target=_fill, args=(items, waiting), daemon=True).start()
    while True:
        window: list[T] = []
        item = waiting.get()
        while not isinstance(item, _End):
            window.append(item)
            if len(window) == size or waiting.empty():
                break
            item = waiting.get()
        if window:
            yield window
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _fill(items: Iterable[T], waiting: queue.Queue[T | _End]) -> None:
    error = None
    try:
        for item in items:
            waiting.put(item)
    except BaseException as caught:  # handed to the thread that reads the queue
        error = caught
    waiting.put(_End(error))
