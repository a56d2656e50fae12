"""Predict a stream of records: in order, in constant memory, without delay where the input pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import BinaryIO

from emoclass.inference.classifiers import WINDOW, AnyClassifier, AnyPrediction
from emoclass.inference.fields import AnyFields
from emoclass.inference.output import Batch, PredictionWriter
from emoclass.inference.records import Item, Records
from emoclass.inference.threads import Behind, Windows, ahead
from emoclass.inference.totals import Totals


def predict_records(
    classifier: AnyClassifier,
    records: Records,
    file: BinaryIO,
    fields: AnyFields,
    *,
    on_note: Callable[[str], None] = lambda note: None,
    on_records: Callable[[int], None] = lambda records: None,
) -> Totals:
    """Write records with their predictions; reading, computing and writing overlap.

    Args:
        classifier: The classifier.
        records: The input.
        file: The stream to write to.
        fields: What to write of a prediction of this classifier.
        on_note: Called with each automatic decision, such as the name of a field.
        on_records: Called with the number of records just written.

    Returns:
        Counts of the written records.

    Raises:
        DataError: A record cannot be read or written; all records before it are written.
        OSError: The stream cannot be written to.
    """
    totals = Totals()

    def write(batch: Batch) -> None:
        nonlocal totals
        writer.write(batch)
        totals += Totals.of(((item.text, prediction) for item, prediction in batch), fields.low_confidence)
        on_records(len(batch))

    ranks = fields.options.ranks(len(classifier.labels))
    with PredictionWriter(file, fields, records.layout, on_note) as writer, Behind(write) as behind:
        for batch in predict_items(classifier, records, top_k=ranks):
            behind.put(batch)
    return totals


def predict_items(
    classifier: AnyClassifier, items: Iterable[Item], *, top_k: int = 1, window: int = WINDOW
) -> Iterator[Batch]:
    """Yield items with their predictions, in order, in windows that close when they are full or the input pauses.

    Reading and tokenizing run in threads of their own, ahead of the model.
    """
    windows = Windows(items, window, weigh=_characters)

    def tokenized() -> Iterator[tuple[list[Item], Iterator[AnyPrediction]]]:
        for taken in windows:
            texts = [item.text for item in taken]
            tokens = classifier.tokenizer(texts)
            yield taken, classifier.predict_tokenized(texts, tokens, top_k=top_k, waiting=windows.waiting)

    with closing(ahead(tokenized(), stop=windows.stop)) as stage:
        for taken, predictions in stage:
            yield list(zip(taken, predictions, strict=True))


def _characters(item: Item) -> int:
    return sum(len(value) for value in item.values if isinstance(value, str))
