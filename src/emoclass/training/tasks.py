"""What a training does differently for one label a text and for any number of them: one object says which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from emoclass.data.columns.labels import LabelSet
from emoclass.encoders.bert.numpy_model import sigmoid
from emoclass.evaluation.baseline import Baseline, fit_baseline
from emoclass.evaluation.calibration import fit_temperature
from emoclass.evaluation.metrics import compute_metrics, confusion_matrix
from emoclass.evaluation.multilabel_baseline import MultiLabelBaseline, fit_multilabel_baseline
from emoclass.evaluation.multilabel_metrics import Counts, occurring, ranking_precisions
from emoclass.evaluation.multilabel_significance import multilabel_gain
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


@dataclass(frozen=True)
class Outputs:
    """What a trained model computes.

    Attributes:
        logits: Logits of some texts, ``float32[texts, classes]``.
        held_out: Returns logits and targets of the validation set, which choose thresholds.
    """

    logits: Tensor
    held_out: Callable[[], tuple[Tensor, npt.NDArray[Any]]]


class Task(Protocol):
    """What depends on the number of labels of a text."""

    def initial_bias(self, targets: npt.NDArray[Any]) -> Tensor | None:
        """Return the biases with which a new classifier begins, ``float32[classes]``; ``None`` for zeros."""

    def scores(self, logits: Tensor, targets: npt.NDArray[Any]) -> Scores:
        """Return the scores of logits, ``float32[texts, classes]``."""

    def calibrated(self, logits: Tensor, targets: npt.NDArray[Any], *, with_offset: bool) -> Calibrated:
        """Fit the calibration on held-out texts; ``with_offset`` says whether the classifier has biases."""

    def gain(self, targets: npt.NDArray[Any], first: Outputs, second: Outputs, metric: str) -> Gain:
        """Return what the second model's outputs gain over those of the first."""

    def fit_baseline(
        self, texts: Sequence[str], targets: npt.NDArray[Any], val_texts: Sequence[str], val_targets: npt.NDArray[Any]
    ) -> Baseline | MultiLabelBaseline:
        """Fit the baseline on training texts; the validation set selects its settings."""


def task_of(labels: LabelSet) -> Task:
    """Return the task of these classes."""
    return SingleLabel(labels) if labels.task == "single" else MultiLabel(labels)


@dataclass(frozen=True)
class SingleLabel:
    """One label a text: softmax, a temperature, the most probable class."""

    labels: LabelSet

    def initial_bias(self, targets: npt.NDArray[Any]) -> Tensor | None:
        """Return none: a softmax of zeros is as good a start as any."""
        return None

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

    def gain(self, targets: npt.NDArray[Any], first: Outputs, second: Outputs, metric: str) -> Gain:
        """Return the gain in accuracy or macro F1."""
        old, new = (each.logits.argmax(-1).numpy() for each in (first, second))
        return bootstrap_gain(targets, old, new, len(self.labels), metric)

    def fit_baseline(
        self, texts: Sequence[str], targets: npt.NDArray[Any], val_texts: Sequence[str], val_targets: npt.NDArray[Any]
    ) -> Baseline:
        """Fit a linear SVM on TF-IDF."""
        return fit_baseline(texts, targets, val_texts, val_targets, len(self.labels))


@dataclass(frozen=True)
class MultiLabel:
    """Any number of labels a text: a sigmoid, a calibration and a threshold for each label."""

    labels: LabelSet

    def initial_bias(self, targets: npt.NDArray[Any]) -> Tensor | None:
        """Return the log odds of each label, so that the first steps need not learn how rare labels are."""
        counts = torch.from_numpy(targets.sum(axis=0)).float()
        return ((counts + 1) / (len(targets) - counts + 1)).log()

    def scores(self, logits: Tensor, targets: npt.NDArray[Any]) -> Scores:
        """Return binary cross-entropy, and the scores at the thresholds that these texts choose."""
        loss = float(functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(targets).float()))
        predicted, ranking = self._decided(logits, self.calibrated(logits, targets, with_offset=True), targets)
        counts = Counts.of(targets, predicted)
        return Scores(
            loss=loss,
            accuracy=float((predicted == targets).all(axis=1).mean()),
            macro_f1=float(counts.macro_f1(occurring(targets))),
            micro_f1=float(counts.micro_f1()),
            lrap=float(ranking.mean()),
        )

    def calibrated(self, logits: Tensor, targets: npt.NDArray[Any], *, with_offset: bool) -> Calibrated:
        """Fit a slope, an offset and a threshold for each label."""
        slopes, offsets = fit_calibration(logits.numpy(), targets, with_offset=with_offset)
        thresholds = fit_thresholds(sigmoid(logits.numpy() * slopes + offsets), targets)
        record = {"method": "platt", "slopes": slopes.tolist(), "offsets": offsets.tolist(), "rows": len(targets)}
        return Calibrated(slopes, offsets, thresholds, record)

    def gain(self, targets: npt.NDArray[Any], first: Outputs, second: Outputs, metric: str) -> Gain:
        """Return the gain in macro F1, micro F1 or label ranking average precision.

        Each model is calibrated, and has its thresholds chosen, on the validation set.
        """
        old, new = (
            self._decided(each.logits, self.calibrated(*each.held_out(), with_offset=True), targets)
            for each in (first, second)
        )
        return multilabel_gain(targets, old, new, metric)

    def fit_baseline(
        self, texts: Sequence[str], targets: npt.NDArray[Any], val_texts: Sequence[str], val_targets: npt.NDArray[Any]
    ) -> MultiLabelBaseline:
        """Fit a linear SVM for each label on TF-IDF."""
        return fit_multilabel_baseline(texts, targets, val_texts, val_targets)

    def _decided(
        self, logits: Tensor, found: Calibrated, targets: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return which labels are predicted, and the label ranking average precision of each text."""
        probabilities = sigmoid(logits.numpy() * found.slopes + found.offsets)
        return probabilities >= found.thresholds, ranking_precisions(probabilities, targets)
