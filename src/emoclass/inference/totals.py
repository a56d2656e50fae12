"""Counts of what was predicted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emoclass.inference.classifiers import AnyPrediction, Prediction

# Damage shows in the first characters; there is no need to search whole books.
_SEARCHED = 1000


@dataclass(frozen=True)
class Totals:
    """Counts of records.

    Attributes:
        records: All records.
        empty: Records without a text.
        truncated: Records with a text above the length limit.
        unsure: Records with a text whose confidence is low.
        unlabelled: Records with a text that none of any number of labels applies to.
        unknown: Records with a text most of whose tokens are not in the vocabulary.
        damaged: Records with a text that was decoded with a wrong encoding.
    """

    records: int = 0
    empty: int = 0
    truncated: int = 0
    unsure: int = 0
    unlabelled: int = 0
    unknown: int = 0
    damaged: int = 0

    @classmethod
    def of(cls, predicted: Iterable[tuple[str, AnyPrediction]], low: float) -> Totals:
        """Count texts with their predictions.

        Confidences below ``low`` are low, and those of any number of labels as good as not there.
        """
        records = empty = truncated = unsure = unlabelled = unknown = damaged = 0
        for text, prediction in predicted:
            records += 1
            truncated += prediction.truncated
            unknown += prediction.unknown
            damaged += not text.isascii() and _is_damaged(text[:_SEARCHED])
            if not prediction.top_k:
                empty += 1
            elif isinstance(prediction, Prediction):
                unsure += prediction.confidence < low
            else:
                unlabelled += not any(confidence >= low for confidence in prediction.confidences)
        return cls(records, empty, truncated, unsure, unlabelled, unknown, damaged)

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(own + more for own, more in zip(vars(self).values(), vars(other).values(), strict=True)))


def _is_damaged(text: str) -> bool:
    from emoclass.data.cleaning.traits import is_clearly_damaged

    return is_clearly_damaged(text)
