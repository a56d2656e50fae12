"""Several classifiers on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from emoclass.errors import DataError
from emoclass.evaluation.calibration import expected_calibration_error, reliability
from emoclass.evaluation.metrics import class_f1, confusion_matrix
from emoclass.evaluation.report import Evaluation
from emoclass.evaluation.significance import Interval, PairedTest, bootstrap_intervals, paired_test


@dataclass(frozen=True)
class ComparedModel:
    """One classifier on the rows that all can score.

    Attributes:
        name: The model.
        accuracy: Its accuracy.
        macro_f1: Its macro F1.
        ece: Its expected calibration error.
        intervals: 95 % bootstrap intervals of ``accuracy`` and ``macro_f1``.
        test: The first model (first) against this one (second); ``None`` for the first itself.
    """

    name: str
    accuracy: float
    macro_f1: float
    ece: float
    intervals: dict[str, Interval]
    test: PairedTest | None


@dataclass(frozen=True)
class Comparison:
    """Several classifiers on the same rows.

    Attributes:
        source: Name of the data.
        rows: Rows that all of them can score.
        models: One entry a classifier, in the order given.
    """

    source: str
    rows: int
    models: tuple[ComparedModel, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def compare(evaluations: Sequence[tuple[str, Evaluation]]) -> Comparison:
    """Puts evaluations on the same data side by side.

    Args:
        evaluations: Name and evaluation of each model.

    Raises:
        DataError: There is no row whose label all models know.
    """
    common = reduce(np.intersect1d, [evaluation.rows.numbers for _, evaluation in evaluations])
    if not len(common):
        raise DataError("there is no row whose label all models know; compare models of the same classes")
    models: list[ComparedModel] = []
    first = None
    for name, evaluation in evaluations:
        chosen = np.isin(evaluation.rows.numbers, common)
        rows = evaluation.rows
        correct = rows.correct[chosen]
        matrix = confusion_matrix(rows.true[chosen], rows.predicted[chosen], len(evaluation.labels))
        first = correct if first is None else first
        models.append(
            ComparedModel(
                name=name,
                accuracy=float(correct.mean()),
                macro_f1=float(np.nanmean(class_f1(matrix))),
                ece=expected_calibration_error(reliability(rows.confidences[chosen], correct)),
                intervals=bootstrap_intervals(matrix),
                test=paired_test(first, correct) if models else None,
            )
        )
    return Comparison(evaluations[0][1].source, len(common), tuple(models))
