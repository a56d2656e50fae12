"""What a training does differently for one label a text and for any number of them: one object says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from emoclass.data.columns.labels import LabelSet
from emoclass.encoders.bert.numpy_model import sigmoid
from emoclass.evaluation.calibration import fit_temperature
from emoclass.evaluation.metrics import compute_metrics, confusion_matrix
from emoclass.evaluation.significance import Gain, bootstrap_gain
from emoclass.evaluation.thresholds import fit_calibration, fit_thresholds
from emoclass.training.events import Scores


@dataclass(frozen=True)
class Calibrated:
    """How the logits of a trained model are calibrated.

    Attributes:
        slopes: What each logit is multiplied by, ``float64[classes]``.
        offsets: What is added to each, ``float64[classes]``.
        thresholds: Probability from which on each label is predicted, ``float32[classes]``; empty with one label.
        record: Method and values as plain JSON, for the manifest.
    """

    slopes: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float32]
    record: dict[str, Any]


class Task(Protocol):
    """What depends on the number of labels of a text."""

    def scores(self, logits: Tensor, targets: npt.NDArray[Any]) -> Scores:
        """Return the scores of logits, ``float32[texts, classes]``."""

    def calibrated(self, logits: Tensor, targets: npt.NDArray[Any], *, with_offset: bool) -> Calibrated:
        """Fit the calibration on held-out texts; ``with_offset`` says whether the classifier has biases."""

    def gain(self, targets: npt.NDArray[Any], first: Tensor, second: Tensor, metric: str) -> Gain:
        """Return what the second model's logits gain over those of the first."""


def task_of(labels: LabelSet) -> Task:
    """Return the task of these classes."""
    return SingleLabel(labels) if labels.task == "single" else MultiLabel(labels)


@dataclass(frozen=True)
class SingleLabel:
    """One label a text: softmax, a temperature, the most probable class."""

    labels: LabelSet

    def scores(self, logits: Tensor, targets: npt.NDArray[Any]) -> Scores:
        """Return cross-entropy, accuracy and macro F1."""
        loss = float(functional.cross_entropy(logits, torch.from_numpy(targets)))
        matrix = confusion_matrix(targets, logits.argmax(-1).numpy(), len(self.labels))
        metrics = compute_metrics(self.labels.names, matrix, loss)
        return Scores(loss, metrics.accuracy, metrics.macro_f1)

    def calibrated(self, logits: Tensor, targets: npt.NDArray[Any], *, with_offset: bool) -> Calibrated:
        """Fit a temperature, by which all logits are divided."""
        temperature = fit_temperature(logits.numpy(), targets)
        record = {"method": "temperature", "temperature": temperature, "rows": len(targets)}
        classes = len(self.labels)
        return Calibrated(np.full(classes, 1 / temperature), np.zeros(classes), np.zeros(0, np.float32), record)

    def gain(self, targets: npt.NDArray[Any], first: Tensor, second: Tensor, metric: str) -> Gain:
        """Return the gain in accuracy or macro F1."""
        old, new = (logits.argmax(-1).numpy() for logits in (first, second))
        return bootstrap_gain(targets, old, new, len(self.labels), metric)


@dataclass(frozen=True)
class MultiLabel:
    """Any number of labels a text: a sigmoid, a calibration and a threshold for each label."""

    labels: LabelSet

    def scores(self, logits: Tensor, targets: npt.NDArray[Any]) -> Scores:
        """Return binary cross-entropy, and the scores at the thresholds that these texts choose."""
        from sklearn.metrics import label_ranking_average_precision_score

        loss = float(functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(targets).float()))
        found = self.calibrated(logits, targets, with_offset=True)
        probabilities = sigmoid(logits.numpy() * found.slopes + found.offsets)
        predicted = probabilities >= found.thresholds
        hits, both = (predicted & targets).sum(axis=0), predicted.sum(axis=0) + targets.sum(axis=0)
        occurs = targets.any(axis=0)
        return Scores(
            loss=loss,
            accuracy=float((predicted == targets).all(axis=1).mean()),
            macro_f1=float((2 * hits / np.maximum(both, 1))[occurs].mean()),
            micro_f1=float(2 * hits.sum() / max(both.sum(), 1)),
            lrap=float(label_ranking_average_precision_score(targets, probabilities)),
        )

    def calibrated(self, logits: Tensor, targets: npt.NDArray[Any], *, with_offset: bool) -> Calibrated:
        """Fit a slope, an offset and a threshold for each label."""
        slopes, offsets = fit_calibration(logits.numpy(), targets, with_offset=with_offset)
        thresholds = fit_thresholds(sigmoid(logits.numpy() * slopes + offsets), targets)
        record = {"method": "platt", "slopes": slopes.tolist(), "offsets": offsets.tolist(), "rows": len(targets)}
        return Calibrated(slopes, offsets, thresholds, record)

    def gain(self, targets: npt.NDArray[Any], first: Tensor, second: Tensor, metric: str) -> Gain:
        """Return the gain."""
        raise NotImplementedError
