"""Comparison of several classifiers on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.errors import DataError
from emoclass.evaluation.calibration import expected_calibration_error, reliability
from emoclass.evaluation.metrics import class_f1, confusion_matrix
from emoclass.evaluation.report import Evaluation
from emoclass.evaluation.significance import Interval, PairedTest, bootstrap_intervals, paired_test


@dataclass(frozen=True)
class ComparedModel:
    """The scores of one classifier on the common rows.

    Attributes:
        name: Name of the model.
        accuracy: Accuracy.
        macro_f1: Macro F1.
        ece: Expected calibration error.
        intervals: 95 % bootstrap intervals of ``accuracy`` and ``macro_f1``.
        test: Paired test of the first model against this one; ``None`` for the first model.
    """

    name: str
    accuracy: float
    macro_f1: float
    ece: float
    intervals: dict[str, Interval]
    test: PairedTest | None


@dataclass(frozen=True)
class Comparison:
    """The scores of several classifiers on the same rows.

    Attributes:
        source: Name of the data.
        rows: Number of common rows: those whose label all models know.
        models: One entry per classifier, in the order of the arguments.
    """

    source: str
    rows: int
    models: tuple[ComparedModel, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def compare(evaluations: Sequence[tuple[str, Evaluation]]) -> Comparison:
    """Compare classifiers on the rows whose label all of them know.

    Args:
        evaluations: Name and evaluation of each model, all on the same data.

    Raises:
        DataError: No row has a label that all models know.
    """
    common = reduce(np.intersect1d, [evaluation.rows.numbers for _, evaluation in evaluations])
    if not len(common):
        raise DataError("no row has a label that all models know; compare models of the same classes")
    first = evaluations[0][1].rows.select(common).correct
    models = [_on_rows(common, name, evaluation, first) for name, evaluation in evaluations]
    models[0] = replace(models[0], test=None)
    return Comparison(evaluations[0][1].source, len(common), tuple(models))


def _on_rows(
    numbers: npt.NDArray[np.int64], name: str, evaluation: Evaluation, first: npt.NDArray[np.bool_]
) -> ComparedModel:
    """Score a model on some rows, and test it against the first model's correct predictions."""
    rows = evaluation.rows.select(numbers)
    matrix = confusion_matrix(rows.true, rows.predicted, len(evaluation.labels))
    return ComparedModel(
        name=name,
        accuracy=float(rows.correct.mean()),
        macro_f1=float(np.nanmean(class_f1(matrix))),
        ece=expected_calibration_error(reliability(rows.confidences, rows.correct)),
        intervals=bootstrap_intervals(matrix),
        test=paired_test(first, rows.correct),
    )
