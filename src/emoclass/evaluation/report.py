"""A classifier against labelled data, with all that makes the numbers less than they seem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from emoclass.data.cleaning import CleanData
from emoclass.data.folding import text_hashes
from emoclass.errors import DataError
from emoclass.evaluation import baseline as baselines
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.calibration import (
    CoveragePoint,
    ReliabilityBin,
    coverage_curve,
    expected_calibration_error,
    reliability,
    threshold_for,
    with_temperature,
)
from emoclass.evaluation.metrics import Metrics, compute_metrics
from emoclass.evaluation.significance import Interval, PairedTest, bootstrap_intervals, paired_test
from emoclass.inference.predictor import Classifier
from emoclass.model.tokenization import TokenizedTexts

_WINDOW = 4096
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


@dataclass(frozen=True, eq=False)
class Rows:
    """What became of each scored row.

    Attributes:
        numbers: 1-based data rows, ``int64[rows]``.
        texts: The texts.
        true: True class numbers, ``int64[rows]``.
        probabilities: ``float32[rows, classes]``.
    """

    numbers: npt.NDArray[np.int64]
    texts: Sequence[str]
    true: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Predicted class numbers, ``int64[rows]``."""
        result: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return result

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which predictions are right, ``bool[rows]``."""
        result: npt.NDArray[np.bool_] = self.predicted == self.true
        return result

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """Negative log probability of the true class, ``float64[rows]``."""
        likelihood = self.probabilities[np.arange(len(self.true)), self.true].astype(np.float64)
        result: npt.NDArray[np.float64] = -np.log(np.maximum(likelihood, np.finfo(np.float32).tiny))
        return result


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction.

    Attributes:
        row: 1-based data row.
        text: The text.
        label: The true class.
        label_probability: What the classifier gives it.
        prediction: The predicted class.
        confidence: What the classifier gives that.
        loss: Negative log probability of the true class.
    """

    row: int
    text: str
    label: str
    label_probability: float
    prediction: str
    confidence: float
    loss: float


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
        rows: What became of each row; not part of ``to_dict``.
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
        return threshold_for(self.rows.probabilities, self.rows.true, accuracy)

    def worst_mistakes(self, count: int) -> list[Mistake]:
        """The wrong predictions with the highest loss, the worst first."""
        rows, labels, predicted = self.rows, self.labels, self.rows.predicted
        wrong = np.flatnonzero(predicted != rows.true)
        losses = rows.losses
        chosen = wrong[np.argsort(-losses[wrong], kind="stable")][:count]
        return [
            Mistake(
                row=int(rows.numbers[i]),
                text=rows.texts[i],
                label=labels[rows.true[i]],
                label_probability=float(rows.probabilities[i, rows.true[i]]),
                prediction=labels[predicted[i]],
                confidence=float(rows.probabilities[i].max()),
                loss=float(losses[i]),
            )
            for i in chosen.tolist()
        ]

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


def evaluate_classifier(
    classifier: Classifier,
    data: CleanData,
    *,
    training_hashes: npt.NDArray[np.int64],
    baseline: Baseline | None = None,
    temperature: float = 1.0,
    logits_of: Callable[[TokenizedTexts], Tensor] | None = None,
    on_texts: Callable[[int], None] = lambda texts: None,
) -> Evaluation:
    """Scores of a classifier on cleaned, labelled data.

    Args:
        classifier: The classifier.
        data: The data.
        training_hashes: What ``text_hashes`` gave for the training part.
        baseline: A simpler classifier of the same classes.
        temperature: What the classifier's logits were divided by when training ended.
        logits_of: Gives the classifier's logits in another way.
        on_texts: Called with the number of texts just done.

    Raises:
        DataError: The classifier knows none of the labels.
    """
    ids = {label: number for number, label in enumerate(classifier.labels)}
    known = [row for row, label in enumerate(data.labels) if label in ids]
    unknown = Counter(label for label in data.labels if label not in ids)
    if not known:
        raise DataError(
            f"{data.name}: none of its labels ({_some(list(unknown))}) is known to the model "
            f"({_some(list(classifier.labels))}); evaluate with data of the same classes, or name --label-column"
        )
    texts = [data.texts[row] for row in known]
    true = np.array([ids[data.labels[row]] for row in known], dtype=np.int64)
    probabilities = np.empty((len(texts), len(ids)), dtype=np.float32)
    lengths, truncated = np.empty(len(texts), dtype=np.int64), np.empty(len(texts), dtype=np.bool_)
    for start in range(0, len(texts), _WINDOW):
        chosen = slice(start, start + _WINDOW)
        tokenized = classifier.tokenizer(texts[chosen])
        probabilities[chosen] = (logits_of or classifier.logits)(tokenized).softmax(-1).numpy()
        lengths[chosen], truncated[chosen] = tokenized.lengths, tokenized.truncated
        on_texts(len(tokenized))
    rows = Rows(data.rows[known], texts, true, probabilities)
    seen = np.isin(text_hashes(texts), training_hashes)
    metrics = compute_metrics(classifier.labels, true, probabilities)
    return Evaluation(
        source=data.name,
        metrics=metrics,
        intervals=bootstrap_intervals(np.array(metrics.confusion_matrix)),
        baselines=_compare(baseline, rows),
        calibration=_calibration(probabilities, true, temperature),
        coverage=coverage_curve(probabilities, true),
        by_length=_by_length(lengths, truncated, rows.correct),
        removed_rows=data.removed_counts,
        unknown_labels=dict(unknown),
        seen_in_training=int(seen.sum()),
        accuracy_unseen=None if seen.all() else float(rows.correct[~seen].mean()),
        truncated=int(truncated.sum()),
        rows=rows,
    )


def _compare(baseline: Baseline | None, rows: Rows) -> tuple[BaselineResult, ...]:
    if baseline is None:
        return ()
    from sklearn.metrics import f1_score

    predictions = {
        "majority class": np.full(len(rows.true), baseline.majority),
        baselines.NAME: baseline.predict(rows.texts),
    }
    return tuple(
        BaselineResult(
            name=name,
            accuracy=float((predicted == rows.true).mean()),
            macro_f1=float(f1_score(rows.true, predicted, labels=np.unique(rows.true), average="macro")),
            test=paired_test(rows.correct, predicted == rows.true),
        )
        for name, predicted in predictions.items()
    )


def _calibration(
    probabilities: npt.NDArray[np.float32], true: npt.NDArray[np.int64], temperature: float
) -> Calibration:
    bins = reliability(probabilities, true)
    before = reliability(with_temperature(probabilities, 1 / temperature), true)
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


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
