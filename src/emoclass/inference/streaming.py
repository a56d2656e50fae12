"""Records in, records with predictions out: in order, in constant memory, at once where the input pauses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

from emoclass.inference.predictor import WINDOW, Classifier, Prediction
from emoclass.inference.records import Item
from emoclass.inference.threads import Windows, ahead


def predict_items(
    classifier: Classifier, items: Iterable[Item], *, top_k: int = 1, window: int = WINDOW
) -> Iterator[list[tuple[Item, Prediction]]]:
    """Items with their predictions, in order, in windows that close when they are full or the input pauses.

    Reading and tokenizing run in threads of their own, ahead of the model.
    """
    windows = Windows(items, window, weigh=_weight)

    def tokenized() -> Iterator[tuple[list[Item], Iterator[Prediction]]]:
        for taken in windows:
            texts = [item.text for item in taken]
            yield taken, classifier.predict_tokenized(texts, classifier.tokenizer(texts), top_k=top_k)

    with closing(ahead(tokenized(), stop=windows.stop)) as stage:
        for taken, predictions in stage:
            yield list(zip(taken, predictions, strict=True))


def _weight(item: Item) -> int:
    return sum(len(value) for value in item.values if isinstance(value, str))
