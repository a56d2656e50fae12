"""The training objective: cross-entropy, with R-Drop or mixup where the recipe has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from emoclass.activations.sources import ActivationSource
from emoclass.config import TrainConfig
from emoclass.encoders.batching import micro_batch_tokens, padded_chunks, token_chunks
from emoclass.encoders.bert.layer import BertLayer
from emoclass.encoders.generic.model import GenericModel
from emoclass.encoders.interface import Model
from emoclass.runtime import to_device


@dataclass(frozen=True)
class Objective:
    """The loss of a batch.

    Attributes:
        model: The model.
        layers: Its trainable layers, in the dtype in which they are computed.
        sums: Loss and correct predictions of the epoch, ``float32[2]``; each loss is added.
        source: Input of the first trainable layer.
        labels: Label id of each of the source's texts.
        weights: Weight of each class, on the model's device.
        config: The recipe.
    """

    model: Model
    layers: Sequence[BertLayer]
    sums: Tensor
    source: ActivationSource
    labels: npt.NDArray[np.int64]
    weights: Tensor
    config: TrainConfig

    @property
    def passes(self) -> int:
        """How many times each text runs through the last layer."""
        return 2 if self.config.r_drop else 1

    def losses(self, own: npt.NDArray[np.int64], total: float, texts: int) -> Iterator[Tensor]:
        """Yield the loss of a batch in micro-batches that fit into memory.

        Args:
            own: This rank's texts of the batch, sorted by length.
            total: Sum of the class weights of the texts of all ranks, by which the loss is divided.
            texts: Number of texts of all ranks.
        """
        for part in self.micro_batches(own) if len(own) else ():
            yield self._micro_loss(own[part], total, texts)

    def _micro_loss(self, own: npt.NDArray[np.int64], total: float, texts: int) -> Tensor:
        # Not in the generator: it would keep the activations until the next micro-batch.
        hidden, lengths = self.source.batch(own)
        target = to_device(torch.from_numpy(self.labels[own]), self.weights.device)
        cls = self.model.cls_hidden(hidden, lengths, self.layers, passes=self.passes)
        return self.loss(cls, target, total, texts)

    def micro_batches(self, own: npt.NDArray[np.int64]) -> list[slice]:
        """Cut a batch so that what each part keeps until its backward pass fits into memory."""
        if not self.layers:
            return [slice(len(own))]
        if isinstance(self.model, GenericModel):
            return padded_chunks(self.source.lengths[own].tolist(), self.weights.device)
        budget = micro_batch_tokens(self.weights.device, len(self.layers))
        return token_chunks(self.source.lengths[own].tolist(), budget)

    def loss(self, cls: Tensor, target: Tensor, total: float | Tensor, texts: int) -> Tensor:
        """Return the loss, a scalar, and add it to the sums.

        Args:
            cls: [CLS] after the last layer, ``float32[passes * texts, hidden_size]``.
            target: Label id of each text, ``int64[texts]``.
            total: Divisor of the sum over the texts.
            texts: Number of texts of all ranks.
        """
        config, weights, passes = self.config, self.weights, self.passes
        mixed = [(target, 1.0)]
        if config.mixup:
            others, share = _partners(len(target), config.mixup)
            others = to_device(others, weights.device)
            cls = cls.lerp(cls.view(passes, len(target), -1)[:, others].flatten(0, 1), share)
            mixed = [(target, 1 - share), (target[others], share)]
        logits = self.model.classify(cls)
        losses = [
            share
            * functional.cross_entropy(
                logits, wanted.repeat(passes), weights, reduction="sum", label_smoothing=config.label_smoothing
            )
            for wanted, share in mixed
        ]
        loss = torch.stack(losses).sum() / passes / total
        right = (logits[: len(target)].detach().argmax(-1) == target).sum().float()
        self.sums.add_(torch.stack([loss.detach() * texts, right]))
        if config.r_drop:
            loss = loss + config.r_drop * (weights[target] * _divergence(*logits.chunk(2))).sum() / total
        return loss


def class_weights(labels: npt.NDArray[np.int64], classes: int, kind: str) -> npt.NDArray[np.float32]:
    """Return the weight of each class, ``float32[classes]``; their mean over the texts is 1."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weights = counts ** {"none": 0.0, "sqrt": -0.5, "balanced": -1.0}[kind]
    result: npt.NDArray[np.float32] = (weights * len(labels) / (weights * counts).sum()).astype(np.float32)
    return result


def _partners(texts: int, alpha: float) -> tuple[Tensor, float]:
    """Return another text for each text, ``int64[texts]``, and the share of it to mix in, at most a half."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return torch.randperm(texts), min(share, 1 - share)


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return the symmetric Kullback-Leibler divergence between two passes for each text, ``float32[texts]``."""
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    # p (log p - log q) + q (log q - log p) = (p - q) (log p - log q)
    return ((p.exp() - q.exp()) * (p - q)).sum(-1) / 2
