"""Scores of classifiers that give a text any number of labels.

With a row for each text and a column for each label, every score equals that of ``sklearn.metrics`` with
``zero_division=0``, but for macro averages: they are over the labels that occur in the truth, as with one label a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# Cells that are sorted at a time, so that data of any size needs little memory.
_MAX_CELLS = 1 << 20
# Fields of MultiLabelMetrics of which higher is better.
SCORES = (
    "subset_accuracy", "micro_precision", "micro_recall", "micro_f1", "macro_precision", "macro_recall", "macro_f1",
    "weighted_f1", "samples_f1", "lrap",
)  # fmt: skip


@dataclass(frozen=True)
class LabelScores:
    """The scores of one label.

    Attributes:
        label: Name of the label.
        threshold: Probability from which on it is predicted.
        precision: Share of texts with the label among those where it is predicted; 0 if it is never predicted.
        recall: Share of texts where it is predicted among those with the label; 0 if there are none.
        f1: Harmonic mean of precision and recall.
        average_precision: Mean precision over the texts with the label, each with its probability as the threshold; 0
            if there are none.
        support: Number of texts with the label.
        predicted: Number of texts where it is predicted.
    """

    label: str
    threshold: float
    precision: float
    recall: float
    f1: float
    average_precision: float
    support: int
    predicted: int


@dataclass(frozen=True)
class MultiLabelMetrics:
    """Scores over a data set.

    Attributes:
        rows: Number of texts.
        loss: Mean binary cross-entropy over texts and labels, in nats.
        subset_accuracy: Share of texts with exactly the right labels.
        hamming_loss: Share of wrong decisions over texts and labels.
        lrap: Label ranking average precision: mean share of true labels among those that rank at least as high as each
            true label of a text. It does not depend on thresholds.
        micro_precision: Share of right labels among all predicted ones.
        micro_recall: Share of predicted labels among all true ones.
        micro_f1: Harmonic mean of these.
        macro_precision: Mean precision of the labels that occur in the truth.
        macro_recall: Mean recall of these labels.
        macro_f1: Mean F1 of these labels.
        weighted_f1: Mean F1 of all labels, weighted by support.
        samples_f1: Mean over the texts of the F1 of their labels; 0 for a text that has no label and gets none.
        per_label: One entry per label, in the order of the label ids.
    """

    rows: int
    loss: float
    subset_accuracy: float
    hamming_loss: float
    lrap: float
    micro_precision: float
    micro_recall: float
    micro_f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_f1: float
    samples_f1: float
    per_label: tuple[LabelScores, ...]

    @property
    def absent_labels(self) -> tuple[str, ...]:
        """Labels that do not occur in the truth."""
        return tuple(scores.label for scores in self.per_label if not scores.support)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Counts:
    """What precision, recall and F1 of each label follow from, ``[..., labels]`` each.

    Attributes:
        hits: Texts with the label where it is predicted.
        predicted: Texts where it is predicted.
        support: Texts with the label.
    """

    hits: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    support: npt.NDArray[Any]

    @classmethod
    def of(cls, truth: Bools, predicted: Bools) -> Counts:
        """Count texts, ``bool[texts, labels]`` each."""
        return cls((truth & predicted).sum(axis=0), predicted.sum(axis=0), truth.sum(axis=0))

    def f1(self) -> Floats:
        """Return the F1 of each label, ``float64[..., labels]``; 0 where it neither occurs nor is predicted."""
        f1: Floats = 2 * self.hits / np.maximum(self.predicted + self.support, 1)
        return f1

    def micro_f1(self) -> Floats:
        """Return micro F1, ``float64[...]``."""
        both = (self.predicted + self.support).sum(axis=-1)
        f1: Floats = 2 * self.hits.sum(axis=-1) / np.maximum(both, 1)
        return f1

    def macro_f1(self, occurs: Bools) -> Floats:
        """Return the mean F1 of the labels that occur, ``bool[labels]``, as ``float64[...]``; 0 if none does."""
        f1: Floats = self.f1()[..., occurs].sum(axis=-1) / max(1, int(occurs.sum()))
        return f1


def occurring(truth: Bools) -> Bools:
    """Return which labels occur, ``bool[texts, labels] -> bool[labels]``."""
    occurs: Bools = np.asarray(truth.any(axis=0))
    return occurs


def average_precisions(scores: npt.NDArray[Any], truth: Bools) -> Floats:
    """Return the average precision of each row, ``float64[rows]``; NaN where nothing is true.

    It is the mean, over the true cells of a row, of the share of true cells among those with at least the same score.
    Over the labels of a text, its mean is the label ranking average precision; over the texts of a label, it is the
    area under the steps of the curve of precision and recall.

    Args:
        scores: ``[rows, cells]``.
        truth: Which cells are true, ``bool[rows, cells]``.
    """
    step = max(1, _MAX_CELLS // scores.shape[1])
    parts = [slice(start, start + step) for start in range(0, len(scores), step)]
    return np.concatenate([_average_precisions(scores[part], truth[part]) for part in parts])


def _average_precisions(scores: npt.NDArray[Any], truth: Bools) -> Floats:
    cells = scores.shape[1]
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked, hits = np.take_along_axis(scores, order, axis=1), np.take_along_axis(truth, order, axis=1)
    # Cells of equal score rank together, at the last of them.
    last = np.tile(np.arange(cells), (len(scores), 1))
    last[:, :-1][ranked[:, 1:] == ranked[:, :-1]] = cells
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(np.cumsum(hits, axis=1), last, axis=1) / (last + 1)
    true = hits.sum(axis=1)
    return np.where(true > 0, (precision * hits).sum(axis=1) / np.maximum(true, 1), np.nan)


def ranking_precisions(probabilities: npt.NDArray[Any], truth: Bools) -> Floats:
    """Return the label ranking average precision of each text, ``float64[texts]``; 1 where there is nothing to rank."""
    return np.nan_to_num(average_precisions(probabilities, truth), nan=1.0)


def binary_losses(probabilities: npt.NDArray[np.float32], truth: Bools) -> Floats:
    """Return the mean binary cross-entropy of each text over the labels in nats, ``float64[texts]``."""
    likelihood = np.where(truth, probabilities, 1 - probabilities).astype(np.float64)
    losses: Floats = -np.log(np.maximum(likelihood, np.finfo(np.float32).tiny)).mean(axis=1)
    return losses


def compute_multilabel_metrics(
    labels: Sequence[str],
    thresholds: npt.NDArray[np.float32],
    truth: Bools,
    probabilities: npt.NDArray[np.float32],
    loss: float,
) -> MultiLabelMetrics:
    """Compute the metrics of at least one text.

    Args:
        labels: Names of the labels.
        thresholds: Probability from which on each is predicted, ``float32[labels]``.
        truth: Which labels each text has, ``bool[texts, labels]``.
        probabilities: ``float32[texts, labels]``.
        loss: Mean binary cross-entropy.
    """
    predicted = probabilities >= thresholds
    counts = Counts.of(truth, predicted)
    hits, occurs = int(counts.hits.sum()), occurring(truth)
    precision, recall = counts.hits / np.maximum(counts.predicted, 1), counts.hits / np.maximum(counts.support, 1)
    f1, sizes = counts.f1(), truth.sum(axis=1) + predicted.sum(axis=1)
    average = np.nan_to_num(average_precisions(probabilities.T, truth.T))
    macro = np.stack([precision, recall, f1])[:, occurs].sum(axis=1) / max(1, int(occurs.sum()))
    columns = [precision, recall, f1, average, counts.support, counts.predicted]
    return MultiLabelMetrics(
        rows=len(truth),
        loss=loss,
        subset_accuracy=float((predicted == truth).all(axis=1).mean()),
        hamming_loss=float((predicted != truth).mean()),
        lrap=float(ranking_precisions(probabilities, truth).mean()),
        micro_precision=hits / max(1, int(counts.predicted.sum())),
        micro_recall=hits / max(1, int(counts.support.sum())),
        micro_f1=float(counts.micro_f1()),
        macro_precision=float(macro[0]),
        macro_recall=float(macro[1]),
        macro_f1=float(macro[2]),
        weighted_f1=float((f1 * counts.support).sum() / max(1, counts.support.sum())),
        samples_f1=float((2 * (truth & predicted).sum(axis=1) / np.maximum(sizes, 1)).mean()),
        per_label=tuple(
            LabelScores(label, threshold, *values)
            for label, threshold, *values in zip(
                labels, thresholds.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ),
    )
