"""A classifier against labelled data, with all that makes the numbers less than they seem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.evaluation import baseline as baselines
from emoclass.evaluation.calibration import (
    CoveragePoint,
    ReliabilityBin,
    coverage_curve,
    expected_calibration_error,
    reliability,
    threshold_for,
)
from emoclass.evaluation.metrics import Metrics, class_f1, compute_metrics, confusion_matrix
from emoclass.evaluation.scoring import LabelledData, Mistake, Rows, Scoring, score_blocks
from emoclass.evaluation.significance import Interval, PairedTest, bootstrap_intervals, paired_test

_MOST_CONFUSED = 10


@dataclass(frozen=True)
class Calibration:
    """Whether confidences mean what they say.

    Attributes:
        ece: Expected calibration error of the confidences as they are.
        bins: Confidence and accuracy of texts of like confidence.
        temperature: What logits were divided by when training ended.
        ece_before: The error without that.
        bins_before: The bins without that.
    """

    ece: float
    bins: tuple[ReliabilityBin, ...]
    temperature: float
    ece_before: float
    bins_before: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class BaselineResult:
    """How a simpler classifier did on the same texts.

    Attributes:
        name: What it is.
        accuracy: Its accuracy.
        macro_f1: Its macro F1.
        test: The classifier (first) against it (second).
    """

    name: str
    accuracy: float
    macro_f1: float
    test: PairedTest


@dataclass(frozen=True)
class LengthScore:
    """Accuracy of texts of some length.

    Attributes:
        name: What they have in common.
        rows: How many they are.
        accuracy: Share of them that is right.
    """

    name: str
    rows: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """Scores on one set of data.

    Attributes:
        source: Name of the data.
        metrics: Scores over the rows whose label the model knows.
        intervals: 95 % bootstrap intervals of ``accuracy`` and ``macro_f1``.
        baselines: Simpler classifiers on the same rows; the last is the one to beat.
        calibration: Whether confidences mean what they say.
        coverage: What happens where only confident answers count.
        by_length: Accuracy by number of tokens, and of truncated texts.
        removed_rows: Rows that cleaning took out, by reason.
        unknown_labels: Labels that the model does not know, with their rows; left out of the scores.
        seen_in_training: Rows whose text also stood in the training part.
        accuracy_unseen: Accuracy without those rows; ``None`` if there are no others.
        truncated: Rows longer than the length limit.
        mistakes: The wrong predictions with the highest loss, the worst first.
        rows: What became of each row; like the mistakes not part of ``to_dict``.
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
        """All classes of the model."""
        return [scores.label for scores in self.metrics.per_class]

    @property
    def most_confused(self) -> list[tuple[str, str, int]]:
        """True class, predicted class and rows of the most frequent mistakes."""
        labels = self.labels
        pairs = [
            (labels[i], labels[j], count)
            for i, row in enumerate(self.metrics.confusion_matrix)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:_MOST_CONFUSED]

    @property
    def never_predicted(self) -> list[str]:
        """Classes that occur and are never predicted."""
        return [scores.label for scores in self.metrics.per_class if scores.support and not scores.predicted]

    @property
    def beats_baseline(self) -> bool:
        """Whether the classifier is better than the best baseline by more than chance; true where there is none."""
        if not self.baselines:
            return True
        best = max(self.baselines, key=lambda each: each.accuracy)
        return best.test.significant and self.metrics.accuracy > best.accuracy

    def threshold_for(self, accuracy: float) -> CoveragePoint | None:
        """The least confidence from which on at least this share is right; ``None`` if there is none."""
        return threshold_for(self.rows.confidences, self.rows.correct, accuracy)

    def worst_mistakes(self, count: int) -> tuple[Mistake, ...]:
        """The wrong predictions with the highest loss, the worst first, as far as they were kept."""
        return self.mistakes[:count]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the metrics, and beside them what qualifies them."""
        return {
            "source": self.source,
            **self.metrics.to_dict(),
            "intervals": {name: [each.lower, each.upper] for name, each in self.intervals.items()},
            "baselines": [asdict(each) for each in self.baselines],
            "beats_baseline": self.beats_baseline,
            "calibration": asdict(self.calibration),
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
    """Scores of classifiers on cleaned, labelled data, which is read once.

    Args:
        scorings: The classifiers, each with what belongs to it.
        data: The data.
        on_rows: Called with the number of data rows just done, and of all of them where that is known.

    Raises:
        DataError: The data cannot be read, or a classifier knows none of its labels.
    """
    score_blocks(scorings, data, on_rows)
    return [_evaluation(scoring, data) for scoring in scorings]


def _evaluation(scoring: Scoring, data: LabelledData) -> Evaluation:
    scoring.require_rows(data.name)
    labels, rows = scoring.classifier.labels, scoring.take_rows()
    correct = rows.correct
    matrix = confusion_matrix(rows.true, rows.predicted, len(labels))
    truncated, unseen = scoring.take("truncated"), len(correct) - scoring.seen
    return Evaluation(
        source=data.name,
        metrics=compute_metrics(labels, matrix, float(rows.losses.mean())),
        intervals=bootstrap_intervals(matrix),
        baselines=_compare(scoring, rows.true, correct),
        calibration=_calibration(rows.confidences, scoring.take("uncalibrated"), correct, scoring.temperature),
        coverage=coverage_curve(rows.confidences, correct),
        by_length=_by_length(scoring.take("lengths"), truncated, correct),
        removed_rows=data.removed_counts,
        unknown_labels=dict(scoring.unknown_labels),
        seen_in_training=scoring.seen,
        accuracy_unseen=scoring.right_unseen / unseen if unseen else None,
        truncated=int(truncated.sum()),
        mistakes=tuple(scoring.mistakes),
        rows=rows,
    )


def _compare(
    scoring: Scoring, true: npt.NDArray[np.int32], correct: npt.NDArray[np.bool_]
) -> tuple[BaselineResult, ...]:
    if scoring.baseline is None:
        return ()
    predictions = {
        "majority class": np.full(len(true), scoring.baseline.majority, dtype=np.int32),
        baselines.NAME: scoring.take("by_baseline"),
    }
    return tuple(
        BaselineResult(
            name=name,
            accuracy=float((predicted == true).mean()),
            macro_f1=float(np.nanmean(class_f1(confusion_matrix(true, predicted, len(scoring.classifier.labels))))),
            test=paired_test(correct, predicted == true),
        )
        for name, predicted in predictions.items()
    )


def _calibration(
    confidences: npt.NDArray[np.float32],
    uncalibrated: npt.NDArray[np.float32],
    correct: npt.NDArray[np.bool_],
    temperature: float,
) -> Calibration:
    bins, before = reliability(confidences, correct), reliability(uncalibrated, correct)
    return Calibration(expected_calibration_error(bins), bins, temperature, expected_calibration_error(before), before)


def _by_length(
    lengths: npt.NDArray[np.int64], truncated: npt.NDArray[np.bool_], correct: npt.NDArray[np.bool_]
) -> tuple[LengthScore, ...]:
    """Quarters of the texts by their tokens, and the truncated ones."""
    borders = np.unique(np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1], method="lower"))
    lower = [int(borders[0]), *(int(border) + 1 for border in borders[1:-1])]
    upper = [int(border) for border in borders[1:]] or [int(borders[0])]
    parts = [
        (f"{low} tokens" if low == high else f"{low} to {high} tokens", (lengths >= low) & (lengths <= high))
        for low, high in zip(lower, upper, strict=True)
    ]
    parts.append(("truncated", truncated))
    return tuple(
        LengthScore(name, int(chosen.sum()), float(correct[chosen].mean())) for name, chosen in parts if chosen.any()
    )
