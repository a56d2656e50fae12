"""Scores of predictions against true labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Scores of Metrics that are better when larger.
SCORES = (
    "accuracy", "macro_precision", "macro_recall", "macro_f1",
    "weighted_precision", "weighted_recall", "weighted_f1",
)  # fmt: skip


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        label: The class.
        precision: Share of the texts predicted as this class that are of it; 0 if there are none.
        recall: Share of the texts of this class that were predicted as it; 0 if there are none.
        f1: Harmonic mean of the two.
        support: Texts of this class.
        predicted: Texts predicted as this class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True)
class Metrics:
    """Scores over all texts.

    Macro scores are means over the classes that occur among the true labels; weighted scores are means weighted
    by support.

    Attributes:
        rows: Number of texts.
        loss: Mean negative log probability of the true class, in nats.
        per_class: One entry a class, in the order of the class numbers.
        confusion_matrix: ``confusion_matrix[i][j]`` texts of class ``i`` were predicted as class ``j``.
    """

    rows: int
    loss: float
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    per_class: tuple[ClassScores, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]

    @property
    def confusion_matrix_normalized(self) -> tuple[tuple[float, ...], ...]:
        """The confusion matrix with each row divided by its sum; rows of classes that do not occur are 0."""
        return tuple(tuple(n / max(1, sum(row)) for n in row) for row in self.confusion_matrix)

    @property
    def absent_labels(self) -> tuple[str, ...]:
        """Classes that do not occur among the true labels."""
        return tuple(scores.label for scores in self.per_class if not scores.support)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {**asdict(self), "confusion_matrix_normalized": self.confusion_matrix_normalized}
        values["labels"] = [scores.label for scores in self.per_class]
        return values


def compute_metrics(
    labels: Sequence[str], true: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]
) -> Metrics:
    """Scores of probabilities against true class numbers.

    Args:
        labels: All classes of the classifier.
        true: ``int64[texts]``, at least one.
        probabilities: ``float32[texts, classes]``.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    ids = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1)
    matrix = confusion_matrix(true, predicted, labels=ids)
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted, labels=ids, zero_division=0)
    table = np.stack([precision, recall, f1])
    macro = table[:, support > 0].mean(axis=1).tolist()
    weighted = (table @ support / support.sum()).tolist()
    likelihood = np.maximum(probabilities[np.arange(len(true)), true].astype(np.float64), np.finfo(np.float32).tiny)
    return Metrics(
        rows=len(true),
        loss=float(-np.log(likelihood).mean()),
        accuracy=float((predicted == true).mean()),
        macro_precision=macro[0],
        macro_recall=macro[1],
        macro_f1=macro[2],
        weighted_precision=weighted[0],
        weighted_recall=weighted[1],
        weighted_f1=weighted[2],
        per_class=tuple(
            ClassScores(
                label=label,
                precision=float(precision[i]),
                recall=float(recall[i]),
                f1=float(f1[i]),
                support=int(support[i]),
                predicted=int(matrix[:, i].sum()),
            )
            for i, label in enumerate(labels)
        ),
        confusion_matrix=tuple(tuple(map(int, row)) for row in matrix),
    )
