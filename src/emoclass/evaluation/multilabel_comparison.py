"""Comparison of several classifiers of any number of labels on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emoclass.errors import DataError
from emoclass.evaluation.comparison import Comparison, compare
from emoclass.evaluation.multilabel_calibration import label_errors
from emoclass.evaluation.multilabel_metrics import Bools, Counts, occurring
from emoclass.evaluation.multilabel_report import AnyEvaluation, MultiLabelEvaluation
from emoclass.evaluation.multilabel_significance import ScoreTest, multilabel_intervals, randomization_tests
from emoclass.evaluation.report import Evaluation
from emoclass.evaluation.significance import Interval


@dataclass(frozen=True)
class ComparedLabelModel:
    """The scores of one classifier on the common labels.

    Attributes:
        name: Name of the model.
        subset_accuracy: Subset accuracy.
        micro_f1: Micro F1.
        macro_f1: Macro F1.
        calibration_error: Mean calibration error of the labels with enough rows; ``None`` if there are none.
        intervals: 95 % bootstrap intervals of the scores.
        tests: Tests of the first model against this one, by the name of the score; ``None`` for the first model.
    """

    name: str
    subset_accuracy: float
    micro_f1: float
    macro_f1: float
    calibration_error: float | None
    intervals: dict[str, Interval]
    tests: dict[str, ScoreTest] | None


@dataclass(frozen=True)
class MultiLabelComparison:
    """The scores of several classifiers on the same rows and labels.

    Attributes:
        source: Name of the data.
        rows: Number of rows.
        labels: The labels that all models know.
        models: One entry per classifier, in the order of the arguments.
    """

    source: str
    rows: int
    labels: tuple[str, ...]
    models: tuple[ComparedLabelModel, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def compare_multilabel(evaluations: Sequence[tuple[str, MultiLabelEvaluation]]) -> MultiLabelComparison:
    """Compare classifiers by the labels that all of them know.

    Args:
        evaluations: Name and evaluation of each model, all on the same data.

    Raises:
        DataError: No label that all models know occurs.
    """
    known = [set(evaluation.labels) for _, evaluation in evaluations]
    source, rows = evaluations[0][1].source, evaluations[0][1].rows
    labels = tuple(label for label in evaluations[0][1].labels if all(label in own for own in known))
    columns = [[evaluation.labels.index(label) for label in labels] for _, evaluation in evaluations]
    truth = rows.truth[:, columns[0]]
    if not truth.any():
        raise DataError("no row has a label that all models know; compare models of the same labels")
    first = rows.predicted[:, columns[0]]
    models = tuple(
        _compared(name, evaluation, truth, own, None if number == 0 else first)
        for number, ((name, evaluation), own) in enumerate(zip(evaluations, columns, strict=True))
    )
    return MultiLabelComparison(source, len(truth), labels, models)


def _compared(
    name: str, evaluation: MultiLabelEvaluation, truth: Bools, columns: list[int], first: Bools | None
) -> ComparedLabelModel:
    predicted = evaluation.rows.predicted[:, columns]
    counts = Counts.of(truth, predicted)
    return ComparedLabelModel(
        name=name,
        subset_accuracy=float(np.mean((predicted == truth).all(axis=1))),
        micro_f1=float(counts.micro_f1()),
        macro_f1=float(counts.macro_f1(occurring(truth))),
        calibration_error=label_errors(evaluation.rows.probabilities[:, columns].T, truth)[1],
        intervals=multilabel_intervals(truth, predicted)[0],
        tests=None if first is None else randomization_tests(truth, first, predicted),
    )


def compare_any(evaluations: Sequence[tuple[str, AnyEvaluation]]) -> Comparison | MultiLabelComparison:
    """Compare classifiers that all give one label a text, or all any number; see ``compare``.

    Raises:
        DataError: There is nothing that all models know.
    """
    several = [(name, each) for name, each in evaluations if isinstance(each, MultiLabelEvaluation)]
    if several:
        return compare_multilabel(several)
    return compare([(name, each) for name, each in evaluations if isinstance(each, Evaluation)])
