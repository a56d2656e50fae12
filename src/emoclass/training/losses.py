"""The loss of a task: cross-entropy for one label a text, binary cross-entropy for any number of them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Floats = npt.NDArray[np.float32]

_POWERS = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}


class Loss(Protocol):
    """The loss of texts with targets of some kind; ``target`` is those of a batch, as ``target_of`` returns them."""

    def divisor(self, targets: npt.NDArray[Any]) -> float:
        """Return what the sum over texts with these targets is divided by to be a mean."""

    def divisor_of(self, target: Tensor) -> Tensor | float:
        """Return the same on the device."""

    def target_of(self, numbers: Tensor) -> Tensor:
        """Return targets from the integers in which they are copied to the device."""

    def sum(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the sum over texts, ``float32[texts, classes]`` to a scalar."""

    def divergence(self, first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        """Return the sum of the divergence between two passes over the same texts, a scalar."""

    def right(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return whether each text's prediction is right as a whole, ``bool[texts]``."""


def loss_of(
    targets: npt.NDArray[Any],
    classes: int,
    *,
    class_weights: str,
    label_smoothing: float,
    focal_gamma: float = 0.0,
    device: torch.device,
) -> Loss:
    """Return the loss for targets: label ids, ``int64[texts]``, or which labels apply, ``bool[texts, classes]``.

    Args:
        targets: The targets of all training texts, by which classes are weighted.
        classes: Number of classes.
        class_weights: How; see ``TrainConfig``.
        label_smoothing: Share of the target that is spread over the classes.
        focal_gamma: Exponent of the focal loss; see ``TrainConfig``.
        device: Where to compute.
    """
    if targets.ndim == 1:
        return CrossEntropy(class_weights_of(targets, classes, class_weights), label_smoothing, device=device)
    return BinaryCrossEntropy(positive_weights(targets, class_weights), label_smoothing, focal_gamma, device=device)


class CrossEntropy:
    """Cross-entropy of one label a text.

    Args:
        weights: Weight of each class, ``float32[classes]``.
        label_smoothing: Share of the target that is spread over all classes.
        device: Where to compute.
    """

    def __init__(self, weights: Floats, label_smoothing: float = 0.0, *, device: torch.device) -> None:
        self._on_cpu, self._smoothing = weights, label_smoothing
        self._weights = torch.from_numpy(weights).to(device)

    def divisor(self, targets: npt.NDArray[Any]) -> float:
        """Return the sum of the texts' class weights."""
        return float(self._on_cpu[targets].sum())

    def divisor_of(self, target: Tensor) -> Tensor | float:
        """Return the same on the device."""
        return self._weights[target].sum()

    def target_of(self, numbers: Tensor) -> Tensor:
        """Return label ids as they are."""
        return numbers

    def sum(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the weighted cross-entropy, summed over texts."""
        return functional.cross_entropy(logits, target, self._weights, reduction="sum", label_smoothing=self._smoothing)

    def divergence(self, first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        """Return the symmetric Kullback-Leibler divergence of both distributions, weighted and summed over texts."""
        p, q = first.log_softmax(-1), second.log_softmax(-1)
        # p (log p - log q) + q (log q - log p) = (p - q) (log p - log q)
        each = ((p.exp() - q.exp()) * (p - q)).sum(-1) / 2
        return (self._weights[target] * each).sum()

    def right(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return whether the most probable class is the label."""
        return logits.argmax(-1) == target


class BinaryCrossEntropy:
    """Binary cross-entropy of any number of labels a text, its mean over the labels, as transformers has it.

    Args:
        weights: Weight of each label where it applies, ``float32[labels]``.
        label_smoothing: Share of the target that is spread over both outcomes of each label.
        focal_gamma: Exponent of the focal loss.
        device: Where to compute.
    """

    def __init__(
        self, weights: Floats, label_smoothing: float = 0.0, focal_gamma: float = 0.0, *, device: torch.device
    ) -> None:
        self._weights, self._smoothing, self._gamma = torch.from_numpy(weights).to(device), label_smoothing, focal_gamma

    def divisor(self, targets: npt.NDArray[Any]) -> float:
        """Return the number of texts."""
        return len(targets)

    def divisor_of(self, target: Tensor) -> Tensor | float:
        """Return the same."""
        return len(target)

    def target_of(self, numbers: Tensor) -> Tensor:
        """Return 1 where a label applies, else 0, ``float32[texts, labels]``."""
        return numbers.view(-1, len(self._weights)).float()

    def sum(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over labels, summed over texts."""
        if self._smoothing:
            target = target * (1 - self._smoothing) + self._smoothing / 2
        if self._gamma:
            applies = self._weights * target * (-logits).sigmoid() ** self._gamma * functional.logsigmoid(logits)
            does_not = (1 - target) * logits.sigmoid() ** self._gamma * functional.logsigmoid(-logits)
            return -(applies + does_not).sum() / logits.shape[1]
        return (
            functional.binary_cross_entropy_with_logits(logits, target, pos_weight=self._weights, reduction="sum")
            / logits.shape[1]
        )

    def divergence(self, first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        """Return the symmetric divergence of each label's two outcomes, its mean over labels, summed over texts."""
        return ((first.sigmoid() - second.sigmoid()) * (first - second)).mean(-1).sum() / 2

    def right(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return whether the labels with a probability above a half are those that apply."""
        return ((logits > 0) == (target > 0)).all(-1)


def class_weights_of(labels: npt.NDArray[np.int64], classes: int, kind: str) -> npt.NDArray[np.float32]:
    """Return the weight of each class, ``float32[classes]``; their mean over the texts is 1."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weights = counts ** -_POWERS[kind]
    result: npt.NDArray[np.float32] = (weights * len(labels) / (weights * counts).sum()).astype(np.float32)
    return result


def positive_weights(truth: npt.NDArray[np.bool_], kind: str) -> npt.NDArray[np.float32]:
    """Return the weight of each label where it applies, ``float32[labels]``: texts without it for each text with it."""
    counts = np.maximum(truth.sum(axis=0), 1)
    ratios = np.maximum((len(truth) - counts) / counts, 1.0)
    result: npt.NDArray[np.float32] = (ratios ** _POWERS[kind]).astype(np.float32)
    return result
