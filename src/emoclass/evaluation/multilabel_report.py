"""Evaluation of a classifier of any number of labels on labelled data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from emoclass.evaluation import baseline
from emoclass.evaluation.block_scoring import LabelledData, score_blocks
from emoclass.evaluation.multilabel_calibration import LabelCalibration, measured_calibration
from emoclass.evaluation.multilabel_metrics import (
    Bools,
    Counts,
    MultiLabelMetrics,
    compute_multilabel_metrics,
    occurring,
)
from emoclass.evaluation.multilabel_scoring import LabelMistake, LabelRowDetails, LabelRows, MultiLabelScoring
from emoclass.evaluation.multilabel_significance import ScoreTest, multilabel_intervals, randomization_tests
from emoclass.evaluation.report import CONFUSED_PAIRS, Evaluation, length_groups
from emoclass.evaluation.significance import Interval


@dataclass(frozen=True)
class LabelBaselineResult:
    """The scores of a baseline on the same rows.

    Attributes:
        name: Name of the baseline.
        subset_accuracy: Subset accuracy.
        micro_f1: Micro F1.
        macro_f1: Macro F1.
        tests: Tests of the model (first) against the baseline (second), by the name of the score.
    """

    name: str
    subset_accuracy: float
    micro_f1: float
    macro_f1: float
    tests: dict[str, ScoreTest]


@dataclass(frozen=True)
class LabelLengthScore:
    """The scores on texts in a range of lengths.

    Attributes:
        name: The range in tokens, or ``truncated``.
        rows: Number of rows.
        subset_accuracy: Share of texts with exactly the right labels.
        micro_f1: Micro F1.
    """

    name: str
    rows: int
    subset_accuracy: float
    micro_f1: float


@dataclass(frozen=True)
class CurvePoint:
    """Recall and precision of a label at a threshold."""

    threshold: float
    recall: float
    precision: float


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """The evaluation of a model on one data set.

    Attributes:
        source: Name of the data.
        metrics: Scores over all rows, of the labels that the model knows.
        intervals: 95 % bootstrap intervals of ``micro_f1``, ``macro_f1`` and ``subset_accuracy``.
        label_intervals: Those of the F1 of each label; ``None`` for labels that do not occur.
        baselines: Scores of the most frequent label and of the TF-IDF baseline; empty for a model without a baseline.
        calibration: Probabilities against frequencies.
        by_length: Scores by number of tokens, and of truncated texts.
        most_confused: Missed label, wrongly predicted label and number of rows of the most frequent pairs.
        removed_rows: Rows that cleaning removed, by reason.
        unknown_labels: Labels that the model does not know, with their number of rows; they are left out of these rows.
        unknown_rows: Number of rows with such labels.
        seen_in_training: Number of rows whose text appears in the training set, apart from punctuation.
        micro_f1_unseen: Micro F1 on the other rows, or ``None`` if there are none.
        truncated: Number of texts that exceed the length limit.
        mistakes: The texts with wrong labels of the highest loss, in descending order; not part of ``to_dict``.
        rows: All scored rows; not part of ``to_dict``.
    """

    source: str
    metrics: MultiLabelMetrics
    intervals: dict[str, Interval]
    label_intervals: tuple[Interval | None, ...]
    baselines: tuple[LabelBaselineResult, ...]
    calibration: LabelCalibration
    by_length: tuple[LabelLengthScore, ...]
    most_confused: tuple[tuple[str, str, int], ...]
    removed_rows: dict[str, int]
    unknown_labels: dict[str, int]
    unknown_rows: int
    seen_in_training: int
    micro_f1_unseen: float | None
    truncated: int
    mistakes: tuple[LabelMistake, ...] = field(repr=False)
    rows: LabelRows = field(repr=False)

    @property
    def labels(self) -> list[str]:
        """Labels of the model, by label id."""
        return [scores.label for scores in self.metrics.per_label]

    @property
    def never_predicted(self) -> list[str]:
        """Labels that occur in the data and are never predicted."""
        return [scores.label for scores in self.metrics.per_label if scores.support and not scores.predicted]

    @property
    def best_baseline(self) -> LabelBaselineResult | None:
        """The baseline with the highest macro F1, or ``None`` if there is none."""
        return max(self.baselines, key=lambda baseline: baseline.macro_f1, default=None)

    @property
    def beats_baseline(self) -> bool:
        """Whether macro F1 is significantly higher than that of the best baseline; true if there is none."""
        best = self.best_baseline
        return best is None or (best.tests["macro_f1"].significant and self.metrics.macro_f1 > best.macro_f1)

    def curve(self, label: int, *, points: int = 60) -> list[CurvePoint]:
        """Return recall and precision of a label at descending thresholds, thinned out to ``points``."""
        probabilities, truth = self.rows.probabilities[:, label], self.rows.truth[:, label]
        order = np.argsort(-probabilities, kind="stable")
        ranked, hits = probabilities[order], np.cumsum(truth[order])
        # Texts of equal probability are predicted together.
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        recall, precision = hits[last] / max(1, hits[-1]), hits[last] / (last + 1)
        # Equal steps of recall: most texts are far below the threshold of a rare label.
        chosen = np.unique(np.minimum(np.searchsorted(recall, np.linspace(0, 1, points)), len(last) - 1))
        columns = (ranked[last[chosen]], recall[chosen], precision[chosen])
        return [CurvePoint(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values: the metrics, and what qualifies them."""
        per_label = [
            {
                **asdict(scores),
                "interval": interval and [interval.lower, interval.upper],
                "calibration_error": error,
                "calibration_error_before": before,
            }
            for scores, interval, error, before in zip(
                self.metrics.per_label,
                self.label_intervals,
                self.calibration.errors,
                self.calibration.errors_before,
                strict=True,
            )
        ]
        return {
            "source": self.source,
            **self.metrics.to_dict(),
            "per_label": per_label,
            "labels": self.labels,
            "intervals": {name: [each.lower, each.upper] for name, each in self.intervals.items()},
            "baselines": [asdict(each) for each in self.baselines],
            "beats_baseline": self.beats_baseline,
            "calibration": {
                "mean_error": self.calibration.mean,
                "mean_error_before": self.calibration.mean_before,
                "labels": self.calibration.labels,
                "bins": [asdict(each) for each in self.calibration.bins],
            },
            "by_length": [asdict(each) for each in self.by_length],
            "most_confused": [
                {"label": missed, "predicted": predicted, "rows": rows}
                for missed, predicted, rows in self.most_confused
            ],
            "never_predicted": self.never_predicted,
            "absent_labels": list(self.metrics.absent_labels),
            "unknown_labels": self.unknown_labels,
            "unknown_rows": self.unknown_rows,
            "removed_rows": self.removed_rows,
            "seen_in_training": self.seen_in_training,
            "micro_f1_unseen": self.micro_f1_unseen,
            "truncated": self.truncated,
        }


AnyEvaluation = Evaluation | MultiLabelEvaluation


def evaluate_multilabel(
    scorings: Sequence[MultiLabelScoring],
    data: LabelledData,
    *,
    on_rows: Callable[[int, int | None], None] = lambda rows, total: None,
) -> list[MultiLabelEvaluation]:
    """Evaluate classifiers on cleaned, labelled data, which is read once; see ``emoclass.evaluation.report.evaluate``.

    Raises:
        DataError: The data cannot be read, or a classifier knows none of its labels.
    """
    score_blocks(scorings, data, on_rows)
    return [_evaluation(scoring, data) for scoring in scorings]


def _evaluation(scoring: MultiLabelScoring, data: LabelledData) -> MultiLabelEvaluation:
    rows, details = scoring.finish(data.name)
    intervals, label_intervals = multilabel_intervals(rows.truth, rows.predicted)
    unseen = ~details.seen
    return MultiLabelEvaluation(
        source=data.name,
        metrics=compute_multilabel_metrics(
            scoring.labels, scoring.thresholds, rows.truth, rows.probabilities, float(rows.losses.mean())
        ),
        intervals=intervals,
        label_intervals=label_intervals,
        baselines=_baselines(scoring, rows, details.baseline),
        calibration=measured_calibration(rows.probabilities, rows.truth, scoring.calibration),
        by_length=_by_length(rows, details),
        most_confused=_most_confused(scoring.labels, rows),
        removed_rows=data.removed_counts,
        unknown_labels=dict(scoring.unknown_labels.most_common()),
        unknown_rows=scoring.unknown_rows,
        seen_in_training=scoring.seen,
        micro_f1_unseen=_micro_f1(rows.truth[unseen], rows.predicted[unseen]) if unseen.any() else None,
        truncated=int(details.truncated.sum()),
        mistakes=tuple(scoring.mistakes),
        rows=rows,
    )


def _micro_f1(truth: Bools, predicted: Bools) -> float:
    return float(Counts.of(truth, predicted).micro_f1())


def _baselines(scoring: MultiLabelScoring, rows: LabelRows, predicted: Bools) -> tuple[LabelBaselineResult, ...]:
    if scoring.baseline is None:
        return ()
    majority = np.zeros_like(rows.truth)
    majority[:, scoring.baseline.majority] = True
    return (_baseline("most frequent label", rows, majority), _baseline(baseline.NAME, rows, predicted))


def _baseline(name: str, rows: LabelRows, predicted: Bools) -> LabelBaselineResult:
    counts = Counts.of(rows.truth, predicted)
    return LabelBaselineResult(
        name=name,
        subset_accuracy=float((predicted == rows.truth).all(axis=1).mean()),
        micro_f1=float(counts.micro_f1()),
        macro_f1=float(counts.macro_f1(occurring(rows.truth))),
        tests=randomization_tests(rows.truth, rows.predicted, predicted),
    )


def _by_length(rows: LabelRows, details: LabelRowDetails) -> tuple[LabelLengthScore, ...]:
    return tuple(
        LabelLengthScore(
            name,
            int(chosen.sum()),
            float(rows.exact[chosen].mean()),
            _micro_f1(rows.truth[chosen], rows.predicted[chosen]),
        )
        for name, chosen in length_groups(details.lengths, details.truncated)
    )


def _most_confused(labels: Sequence[str], rows: LabelRows) -> tuple[tuple[str, str, int], ...]:
    """Return the labels that are missed where another is wrongly predicted, most frequent pairs first."""
    missed, wrong = (rows.truth & ~rows.predicted), (rows.predicted & ~rows.truth)
    pairs = missed.T.astype(np.float32) @ wrong.astype(np.float32)
    order = np.argsort(-pairs, axis=None, kind="stable")[:CONFUSED_PAIRS]
    cells = [divmod(cell, len(labels)) for cell in order.tolist()]
    return tuple((labels[i], labels[j], int(pairs[i, j])) for i, j in cells if pairs[i, j])
