"""Evaluation of a classifier on labelled data: its scores, and everything that qualifies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.evaluation import baseline
from emoclass.evaluation.block_scoring import LabelledData, score_blocks
from emoclass.evaluation.calibration import (
    Calibration,
    CoveragePoint,
    coverage_curve,
    reliability,
    threshold_for,
)
from emoclass.evaluation.metrics import Metrics, class_f1, compute_metrics, confusion_matrix
from emoclass.evaluation.scoring import Mistake, RowDetails, Rows, Scoring
from emoclass.evaluation.significance import Interval, PairedTest, bootstrap_intervals, paired_test

CONFUSED_PAIRS = 10


@dataclass(frozen=True)
class BaselineResult:
    """The scores of a baseline on the same rows.

    Attributes:
        name: Name of the baseline.
        accuracy: Accuracy.
        macro_f1: Macro F1.
        test: Paired test of the model (first) against the baseline (second).
    """

    name: str
    accuracy: float
    macro_f1: float
    test: PairedTest


@dataclass(frozen=True)
class LengthScore:
    """The accuracy on texts in a range of lengths.

    Attributes:
        name: The range in tokens, or ``truncated``.
        rows: Number of rows.
        accuracy: Share of correct predictions.
    """

    name: str
    rows: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model on one data set.

    Attributes:
        source: Name of the data.
        metrics: Scores over the rows whose label the model knows.
        intervals: 95 % bootstrap intervals of ``accuracy`` and ``macro_f1``.
        baselines: Scores of the majority class and of the TF-IDF baseline; empty for a model without a baseline.
        calibration: Confidence against accuracy.
        coverage: Coverage and accuracy by confidence threshold.
        by_length: Accuracy by number of tokens, and of truncated texts.
        removed_rows: Rows that cleaning removed, by reason.
        unknown_labels: Labels that the model does not know, with their number of rows; these rows are not scored.
        seen_in_training: Number of rows whose text appears in the training set, apart from punctuation.
        accuracy_unseen: Accuracy on the other rows, or ``None`` if there are none.
        truncated: Number of texts that exceed the length limit.
        mistakes: The wrong predictions with the highest loss, in descending order; not part of ``to_dict``.
        rows: All scored rows; not part of ``to_dict``.
    """

    source: str
    metrics: Metrics
    intervals: dict[str, Interval]
    baselines: tuple[BaselineResult, ...]
    calibration: Calibration
    coverage: tuple[CoveragePoint, ...]
    by_length: tuple[LengthScore, ...]
    removed_rows: dict[str, int]
    unknown_labels: dict[str, int]
    seen_in_training: int
    accuracy_unseen: float | None
    truncated: int
    mistakes: tuple[Mistake, ...] = field(repr=False)
    rows: Rows = field(repr=False)

    @property
    def labels(self) -> list[str]:
        """Class names of the model, by label id."""
        return [scores.label for scores in self.metrics.per_class]

    @property
    def most_confused(self) -> list[tuple[str, str, int]]:
        """True class, predicted class and number of rows of the most frequent confusions."""
        labels = self.labels
        pairs = [
            (labels[i], labels[j], count)
            for i, row in enumerate(self.metrics.confusion_matrix)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:CONFUSED_PAIRS]

    @property
    def never_predicted(self) -> list[str]:
        """Classes that occur in the data and are never predicted."""
        return [scores.label for scores in self.metrics.per_class if scores.support and not scores.predicted]

    @property
    def best_baseline(self) -> BaselineResult | None:
        """The most accurate baseline, or ``None`` if there is none."""
        return max(self.baselines, key=lambda baseline: baseline.accuracy, default=None)

    @property
    def beats_baseline(self) -> bool:
        """Whether the model is significantly more accurate than the best baseline; true if there is none."""
        best = self.best_baseline
        return best is None or (best.test.significant and self.metrics.accuracy > best.accuracy)

    def threshold_for(self, accuracy: float) -> CoveragePoint | None:
        """Return the lowest confidence threshold that reaches an accuracy, or ``None`` if none does."""
        return threshold_for(self.rows.confidences, self.rows.correct, accuracy)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values: the metrics, and what qualifies them."""
        return {
            "source": self.source,
            **self.metrics.to_dict(),
            "intervals": {name: [each.lower, each.upper] for name, each in self.intervals.items()},
            "baselines": [asdict(each) for each in self.baselines],
            "beats_baseline": self.beats_baseline,
            "calibration": self.calibration.to_dict(),
            "coverage": [asdict(point) for point in self.coverage],
            "by_length": [asdict(each) for each in self.by_length],
            "most_confused": [
                {"label": true, "predicted": predicted, "rows": rows} for true, predicted, rows in self.most_confused
            ],
            "never_predicted": self.never_predicted,
            "absent_labels": list(self.metrics.absent_labels),
            "unknown_labels": self.unknown_labels,
            "removed_rows": self.removed_rows,
            "seen_in_training": self.seen_in_training,
            "accuracy_unseen": self.accuracy_unseen,
            "truncated": self.truncated,
        }


def evaluate(
    scorings: Sequence[Scoring],
    data: LabelledData,
    *,
    on_rows: Callable[[int, int | None], None] = lambda rows, total: None,
) -> list[Evaluation]:
    """Evaluate classifiers on cleaned, labelled data, which is read once.

    Args:
        scorings: One scoring per classifier, without rows.
        data: Cleaned, labelled rows.
        on_rows: Called after each block with its number of data rows and the total, which may be unknown.

    Raises:
        DataError: The data cannot be read, or a classifier knows none of its labels.
    """
    score_blocks(scorings, data, on_rows)
    return [_evaluation(scoring, data) for scoring in scorings]


def _evaluation(scoring: Scoring, data: LabelledData) -> Evaluation:
    rows, details = scoring.finish(data.name)
    labels, correct = scoring.labels, rows.correct
    matrix = confusion_matrix(rows.true, rows.predicted, len(labels))
    unseen = len(correct) - scoring.seen
    return Evaluation(
        source=data.name,
        metrics=compute_metrics(labels, matrix, float(rows.losses.mean())),
        intervals=bootstrap_intervals(matrix),
        baselines=_baselines(scoring, rows, details.baseline),
        calibration=Calibration(
            bins=reliability(rows.confidences, correct),
            bins_before=reliability(details.uncalibrated, correct),
            temperature=scoring.temperature,
        ),
        coverage=coverage_curve(rows.confidences, correct),
        by_length=_by_length(details, correct),
        removed_rows=data.removed_counts,
        unknown_labels=dict(scoring.unknown_labels),
        seen_in_training=scoring.seen,
        accuracy_unseen=scoring.correct_unseen / unseen if unseen else None,
        truncated=int(details.truncated.sum()),
        mistakes=tuple(scoring.mistakes),
        rows=rows,
    )


def _baselines(scoring: Scoring, rows: Rows, predicted: npt.NDArray[np.int32]) -> tuple[BaselineResult, ...]:
    if scoring.baseline is None:
        return ()
    majority = np.full_like(rows.true, scoring.baseline.majority)
    classes = len(scoring.labels)
    return (_baseline("majority class", rows, majority, classes), _baseline(baseline.NAME, rows, predicted, classes))


def _baseline(name: str, rows: Rows, predicted: npt.NDArray[np.int32], classes: int) -> BaselineResult:
    correct = predicted == rows.true
    return BaselineResult(
        name=name,
        accuracy=float(correct.mean()),
        macro_f1=float(np.nanmean(class_f1(confusion_matrix(rows.true, predicted, classes)))),
        test=paired_test(rows.correct, correct),
    )


def _by_length(details: RowDetails, correct: npt.NDArray[np.bool_]) -> tuple[LengthScore, ...]:
    return tuple(
        LengthScore(name, int(chosen.sum()), float(correct[chosen].mean()))
        for name, chosen in length_groups(details.lengths, details.truncated)
    )


def length_groups(
    lengths: npt.NDArray[np.int32], truncated: npt.NDArray[np.bool_]
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Return names and rows, ``bool[rows]``, of the quarters of the texts by length, and of the truncated ones.

    Args:
        lengths: Tokens of each text after truncation, ``int32[rows]``.
        truncated: Whether each was truncated, ``bool[rows]``.
    """
    borders = np.unique(np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1], method="lower"))
    lower = [int(borders[0]), *(int(border) + 1 for border in borders[1:-1])]
    upper = [int(border) for border in borders[1:]] or [int(borders[0])]
    groups = [
        (f"{low} tokens" if low == high else f"{low} to {high} tokens", (lengths >= low) & (lengths <= high))
        for low, high in zip(lower, upper, strict=True)
    ]
    return [group for group in (*groups, ("truncated", truncated)) if group[1].any()]
