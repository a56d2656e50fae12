"""The training objective: the loss of the task, with R-Drop or mixup where the recipe has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.activations.sources import ActivationSource
from emoclass.config import TrainConfig
from emoclass.encoders.batching import micro_batch_tokens, padded_chunks, token_chunks
from emoclass.encoders.bert.layer import BertLayer
from emoclass.encoders.generic.model import GenericModel
from emoclass.encoders.interface import Model
from emoclass.runtime import to_device
from emoclass.training.losses import Loss


@dataclass(frozen=True)
class Objective:
    """The loss of a batch.

    Attributes:
        model: The model.
        layers: Its trainable layers, in the dtype in which they are computed.
        sums: Loss and correct predictions of the epoch, ``float32[2]``; each loss is added.
        source: Input of the first trainable layer.
        targets: Those of the source's texts: label ids, ``int64[texts]``, or which labels apply,
            ``bool[texts, classes]``.
        loss: The loss of the task.
        config: The recipe.
    """

    model: Model
    layers: Sequence[BertLayer]
    sums: Tensor
    source: ActivationSource
    targets: npt.NDArray[Any]
    loss: Loss
    config: TrainConfig

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.sums.device

    @property
    def passes(self) -> int:
        """How many times each text runs through the last layer."""
        return 2 if self.config.r_drop else 1

    def losses(self, own: npt.NDArray[np.int64], total: float, texts: int) -> Iterator[Tensor]:
        """Yield the loss of a batch in micro-batches that fit into memory.

        Args:
            own: This rank's texts of the batch, sorted by length.
            total: What the loss of the texts of all ranks is divided by.
            texts: Number of texts of all ranks.
        """
        for part in self.micro_batches(own) if len(own) else ():
            yield self._micro_loss(own[part], total, texts)

    def _micro_loss(self, own: npt.NDArray[np.int64], total: float, texts: int) -> Tensor:
        # Not in the generator: it would keep the activations until the next micro-batch.
        hidden, lengths = self.source.batch(own)
        target = self.loss.target_of(to_device(torch.from_numpy(self.targets[own]), self.device))
        cls = self.model.cls_hidden(hidden, lengths, self.layers, passes=self.passes)
        return self.loss_of(cls, target, total, texts)

    def micro_batches(self, own: npt.NDArray[np.int64]) -> list[slice]:
        """Cut a batch so that what each part keeps until its backward pass fits into memory."""
        if not self.layers:
            return [slice(len(own))]
        if isinstance(self.model, GenericModel):
            return padded_chunks(self.source.lengths[own].tolist(), self.device)
        budget = micro_batch_tokens(self.device, len(self.layers))
        return token_chunks(self.source.lengths[own].tolist(), budget)

    def loss_of(self, cls: Tensor, target: Tensor, total: float | Tensor, texts: int) -> Tensor:
        """Return the loss, a scalar, and add it to the sums.

        Args:
            cls: [CLS] after the last layer, ``float32[passes * texts, hidden_size]``.
            target: The target of each text, from ``Loss.target_of``.
            total: Divisor of the sum over the texts.
            texts: Number of texts of all ranks.
        """
        config, passes = self.config, self.passes
        mixed = [(target, 1.0)]
        if config.mixup:
            others, share = _partners(len(target), config.mixup)
            others = to_device(others, self.device)
            cls = cls.lerp(cls.view(passes, len(target), -1)[:, others].flatten(0, 1), share)
            mixed = [(target, 1 - share), (target[others], share)]
        logits = self.model.classify(cls)
        losses = [share * self.loss.sum(logits, torch.cat([wanted] * passes)) for wanted, share in mixed]
        loss = torch.stack(losses).sum() / passes / total
        right = self.loss.right(logits[: len(target)].detach(), target).sum().float()
        self.sums.add_(torch.stack([loss.detach() * texts, right]))
        if config.r_drop:
            first, second = logits.chunk(2)
            loss = loss + config.r_drop * self.loss.divergence(first, second, target) / total
        return loss


def _partners(texts: int, alpha: float) -> tuple[Tensor, float]:
    """Return another text for each text, ``int64[texts]``, and the share of it to mix in, at most a half."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return torch.randperm(texts), min(share, 1 - share)
