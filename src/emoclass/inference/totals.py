"""Counts of what was predicted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emoclass.inference.classifiers import AnyPrediction, Prediction


@dataclass(frozen=True)
class Totals:
    """Counts of records.

    Attributes:
        records: All records.
        empty: Records without a text.
        truncated: Records with a text above the length limit.
        unsure: Records with a text whose confidence is low.
        unlabelled: Records with a text that none of any number of labels applies to.
    """

    records: int = 0
    empty: int = 0
    truncated: int = 0
    unsure: int = 0
    unlabelled: int = 0

    @classmethod
    def of(cls, predictions: Iterable[AnyPrediction], low: float) -> Totals:
        """Count predictions; confidences below ``low`` are low, and of any number of labels as good as not there."""
        records = empty = truncated = unsure = unlabelled = 0
        for prediction in predictions:
            records += 1
            truncated += prediction.truncated
            if not prediction.top_k:
                empty += 1
            elif isinstance(prediction, Prediction):
                unsure += prediction.confidence < low
            else:
                unlabelled += not any(confidence >= low for confidence in prediction.confidences)
        return cls(records, empty, truncated, unsure, unlabelled)

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(own + more for own, more in zip(vars(self).values(), vars(other).values(), strict=True)))
