"""Classification metrics: accuracy, precision, recall, F1, loss and the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# More classes have no matrix in JSON.
MATRIX_CLASSES = 100
# Fields of Metrics of which higher is better.
SCORES = (
    "accuracy", "macro_precision", "macro_recall", "macro_f1",
    "weighted_precision", "weighted_recall", "weighted_f1",
)  # fmt: skip


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class.

    Attributes:
        label: Name of the class.
        precision: Share of correct predictions among those of this class; 0 if it is never predicted.
        recall: Share of correct predictions among the texts of this class; 0 if there are none.
        f1: Harmonic mean of precision and recall.
        support: Number of texts of this class.
        predicted: Number of texts predicted as this class.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True)
class Metrics:
    """Scores over a data set.

    Attributes:
        rows: Number of texts.
        loss: Mean negative log probability of the true class, in nats.
        accuracy: Share of correct predictions.
        macro_precision: Mean precision of the classes that occur among the true labels.
        macro_recall: Mean recall of those classes.
        macro_f1: Mean F1 of those classes.
        weighted_precision: Mean precision of all classes, weighted by support.
        weighted_recall: Mean recall of all classes, weighted by support.
        weighted_f1: Mean F1 of all classes, weighted by support.
        per_class: One entry per class, in the order of the label ids.
        confusion_matrix: ``confusion_matrix[i][j]`` is the number of texts of class ``i`` predicted as class ``j``.
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
        """The confusion matrix with each row divided by its sum; rows of absent classes are 0."""
        sums = [max(1, sum(row)) for row in self.confusion_matrix]
        return tuple(tuple(n / total for n in row) for row, total in zip(self.confusion_matrix, sums, strict=True))

    @property
    def absent_labels(self) -> tuple[str, ...]:
        """Classes that do not occur among the true labels."""
        return tuple(scores.label for scores in self.per_class if not scores.support)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; of many classes, the cells of the matrix that are not 0 in place of the matrix."""
        values = {**vars(self), "per_class": [vars(scores) for scores in self.per_class]}
        values["labels"] = labels = [scores.label for scores in self.per_class]
        if len(labels) <= MATRIX_CLASSES:
            return {**values, "confusion_matrix_normalized": self.confusion_matrix_normalized}
        cells = np.argwhere(np.array(self.confusion_matrix)).tolist()
        confusions = [
            {"label": labels[true], "predicted": labels[predicted], "rows": self.confusion_matrix[true][predicted]}
            for true, predicted in cells
        ]
        return {**values, "confusion_matrix": None, "confusions": confusions}


def log_losses(probabilities: npt.NDArray[np.float32], true: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Return negative log probabilities of the true classes in nats, ``float32[texts, classes] -> float64[texts]``."""
    likelihood = probabilities[np.arange(len(true)), true].astype(np.float64)
    result: npt.NDArray[np.float64] = -np.log(np.maximum(likelihood, np.finfo(np.float32).tiny))
    return result


def standard_error(score: float, texts: int) -> float:
    """Return the binomial standard error of an accuracy on this many texts; a close estimate for F1, too."""
    return math.sqrt(max(score * (1 - score), 0.0) / texts)


def confusion_matrix(
    true: npt.NDArray[np.integer[Any]], predicted: npt.NDArray[np.integer[Any]], classes: int
) -> npt.NDArray[np.int64]:
    """Count texts by true class (rows) and predicted class (columns), ``int64[classes, classes]``."""
    cells = true.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_f1(matrices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the F1 per class, ``int64[..., classes, classes] -> float64[..., classes]``; NaN for absent classes."""
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    support, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)
    f1: npt.NDArray[np.float64] = np.where(support > 0, 2 * hits / np.maximum(support + predicted, 1), np.nan)
    return f1


def compute_metrics(labels: Sequence[str], matrix: npt.NDArray[np.int64], loss: float) -> Metrics:
    """Compute the metrics from a confusion matrix.

    Args:
        labels: Class names of the classifier, by label id.
        matrix: ``int64[classes, classes]`` with at least one text.
        loss: Mean negative log probability of the true class.
    """
    hits, support, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(support, 1)
    f1 = np.nan_to_num(class_f1(matrix))
    table = np.stack([precision, recall, f1])
    macro = table[:, support > 0].mean(axis=1).tolist()
    weighted = (table @ support / support.sum()).tolist()
    return Metrics(
        rows=int(matrix.sum()),
        loss=loss,
        accuracy=float(hits.sum() / matrix.sum()),
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
                predicted=int(predicted[i]),
            )
            for i, label in enumerate(labels)
        ),
        confusion_matrix=tuple(tuple(map(int, row)) for row in matrix),
    )
