"""Counts of what was predicted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoclass.inference.predictor import Prediction


@dataclass(frozen=True)
class Totals:
    """Counts of records.

    Attributes:
        records: All records.
        empty: Records without a text.
        truncated: Records with a text above the length limit.
        unsure: Records with a text whose confidence is low.
    """

    records: int = 0
    empty: int = 0
    truncated: int = 0
    unsure: int = 0

    @classmethod
    def of(cls, predictions: Iterable[Prediction], low: float) -> Totals:
        """Count predictions; confidences below ``low`` are low."""
        records = empty = truncated = unsure = 0
        for prediction in predictions:
            records += 1
            empty += not prediction.label
            truncated += prediction.truncated
            unsure += bool(prediction.label) and prediction.confidence < low
        return cls(records, empty, truncated, unsure)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.records + other.records,
            self.empty + other.empty,
            self.truncated + other.truncated,
            self.unsure + other.unsure,
        )
