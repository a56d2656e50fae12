"""The training loop: optimizer, schedule, and one generator that yields what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from emoclass.activations.sources import ActivationSource
from emoclass.config import TrainConfig
from emoclass.encoders.batching import micro_batch_tokens, token_chunks
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.freezing import frozen_depth
from emoclass.errors import LossError
from emoclass.runtime import to_device
from emoclass.training.events import EpochDone, StepDone, TrainEvent
from emoclass.training.optimizer import Optimizer, WorkingLayers
from emoclass.training.ranks import Ranks


class Scores(NamedTuple):
    """The scores of an evaluation during training."""

    loss: float
    accuracy: float
    macro_f1: float


_LOSS_EVERY = 10


class LoopState:
    """All that a training needs to continue from between two steps.

    Args:
        model: The model, frozen by the recipe.
        texts: Number of training texts.
        config: The recipe.
        dtype: Dtype in which the trainable layers compute; their weights are float32.
        ranks: The processes that train together.

    Attributes:
        epoch: The current epoch, counted from 1.
        step: Steps taken in it.
    """

    def __init__(
        self,
        model: PackedBert,
        texts: int,
        config: TrainConfig,
        dtype: torch.dtype = torch.float32,
        ranks: Ranks | None = None,
    ) -> None:
        self.model, self.ranks, self._seed = model, ranks or Ranks(), config.seed
        self.working = WorkingLayers(model.layers[frozen_depth(model) or 0 :], dtype)
        self.steps = math.ceil(texts / config.batch_size)
        self.optimizer = Optimizer(model, self.working, config, self.steps * config.epochs, self.ranks)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epoch, self.step = 1, 0
        self.device = next(model.parameters()).device
        # Loss and correct predictions of the epoch, of this rank, on the device: reading them waits for it.
        self.sums = torch.zeros(2, device=self.device)
        self.order_state = self.generator.get_state()

    def begin_epoch(self) -> None:
        """Save the state of the order of texts, and reset the sums unless the epoch has begun already."""
        if self.step:
            self.generator.set_state(self.order_state)
        else:
            self.order_state = self.generator.get_state()
            self.sums.zero_()

    def end_epoch(self) -> None:
        """Advance to the next epoch."""
        self.epoch, self.step = self.epoch + 1, 0
        self.order_state = self.generator.get_state()

    def tensors(self) -> dict[str, Tensor]:
        """Return trained weights, optimizer and random numbers, by name; they change with the next step."""
        trained = {f"model.{n}": p for n, p in self.model.named_parameters() if p.requires_grad}
        return {
            **trained,
            **self.optimizer.tensors(),
            "order": self.order_state,
            **_random_states(self.device),
            "sums": self.ranks.total(self.sums),
        }

    def metadata(self) -> dict[str, int]:
        """Return the position as plain JSON values."""
        return {"epoch": self.epoch, "step": self.step}

    def restore(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Return to the position at which ``tensors`` and ``metadata`` were taken."""
        self.epoch, self.step = int(metadata["epoch"]), int(metadata["step"])
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(tensors[f"model.{name}"])
        self.optimizer.restore(tensors, steps=(self.epoch - 1) * self.steps + self.step)
        self.order_state = tensors["order"]
        self.generator.set_state(self.order_state)
        # Generators whose state is not saved: of other ranks, and of a device that the training has moved to.
        torch.manual_seed(self._seed + self.ranks.rank + self.ranks.size * (self.epoch * self.steps + self.step))
        if self.ranks.is_first:
            _restore_random_states(self.device, tensors)
            self.sums.copy_(tensors["sums"])


def _random_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's global random number generators, by name; dropout on a GPU uses the GPU's own."""
    states = {"random": torch.random.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["random.mps"] = torch.mps.get_rng_state()
    return states


def _restore_random_states(device: torch.device, states: Mapping[str, Tensor]) -> None:
    torch.random.set_rng_state(states["random"])
    if device.type == "cuda" and "random.cuda" in states:
        torch.cuda.set_rng_state(states["random.cuda"], device)
    if device.type == "mps" and "random.mps" in states:
        torch.mps.set_rng_state(states["random.mps"])


def training_loop(
    model: PackedBert,
    source: ActivationSource,
    labels: npt.NDArray[np.int64],
    config: TrainConfig,
    *,
    evaluate: Callable[[], Scores],
    state: LoopState | None = None,
) -> Iterator[TrainEvent]:
    """Train the model's trainable parameters in place; yield after every step and every epoch.

    Args:
        model: The model, frozen by the recipe.
        source: Input of its first trainable layer, for this rank's training texts.
        labels: Label id of each text of all ranks, ``int64[texts]``.
        config: The recipe.
        evaluate: Returns the scores on the validation set; called at the end of each epoch in evaluation mode.
        state: Where to start; at each yield it is where to resume.

    Raises:
        LossError: The loss is no longer a finite number.
    """
    state = state or LoopState(model, len(labels), config)
    device = state.device
    class_weights = _class_weights(labels, model.classifier.out_features, config.class_weights)
    own_labels = labels[state.ranks.shard(len(labels))]
    objective = _Objective(state, source, own_labels, torch.from_numpy(class_weights).to(device), config)
    while state.epoch <= config.epochs:
        start = time.perf_counter()
        model.train()
        state.begin_epoch()
        sums, mean_loss = state.sums, math.nan
        for chosen in islice(_batches(len(labels), config.batch_size, state.generator), state.step, None):
            own = state.ranks.local(chosen)
            # Sorting by length makes attention cheaper; the loss does not depend on the order.
            own = own[np.argsort(-source.lengths[own], kind="stable")]
            # The mean over all ranks' texts of the batch.
            total = float(class_weights[labels[chosen]].sum())
            state.optimizer.step(objective.losses(own, total, len(chosen)))
            state.step += 1
            if state.step % _LOSS_EVERY == 1 or state.step == state.steps:
                mean_loss = float(state.ranks.total(sums)[0]) / min(state.step * config.batch_size, len(labels))
                _require_finite(mean_loss, state.epoch, state.step)
            yield StepDone(state.epoch, state.step, state.steps, len(chosen), mean_loss, state.optimizer.learning_rate)
        train_loss, train_accuracy = (state.ranks.total(sums) / len(labels)).tolist()
        model.eval()
        val = evaluate()
        seconds = time.perf_counter() - start
        epoch, rate = state.epoch, state.optimizer.learning_rate
        state.end_epoch()
        yield EpochDone(epoch, train_loss, train_accuracy, val.loss, val.accuracy, val.macro_f1, rate, seconds)


@dataclass(frozen=True)
class _Objective:
    """The training objective: cross-entropy, and R-Drop's divergence if the recipe has it.

    Attributes:
        state: State of the training.
        source: Input of the first trainable layer.
        labels: Label id of each of the source's texts.
        weights: Weight of each class.
        config: The recipe.
    """

    state: LoopState
    source: ActivationSource
    labels: npt.NDArray[np.int64]
    weights: Tensor
    config: TrainConfig

    def losses(self, own: npt.NDArray[np.int64], total: float, texts: int) -> Iterator[Tensor]:
        """Yield the loss of a batch in micro-batches that fit into memory; the state's sums count them.

        Args:
            own: This rank's texts of the batch, sorted by length.
            total: Divisor of the sum over the texts of all ranks.
            texts: Number of texts of all ranks.
        """
        if not len(own):
            return
        parts = [slice(len(own))]
        if layers := len(self.state.working.layers):
            parts = token_chunks(self.source.lengths[own].tolist(), micro_batch_tokens(self.weights.device, layers))
        for part in parts:
            yield self._loss(own[part], total, texts)

    def _loss(self, own: npt.NDArray[np.int64], total: float, texts: int) -> Tensor:
        state, config, weights = self.state, self.config, self.weights
        passes = 2 if config.r_drop else 1
        hidden, lengths = self.source.batch(own)
        target = to_device(torch.from_numpy(self.labels[own]), weights.device)
        first = state.model.cls_hidden(hidden, lengths, state.working.layers, passes=passes)
        mixed = [(target, 1.0)]
        if config.mixup:
            others, share = _partners(len(lengths), config.mixup)
            others = to_device(others, weights.device)
            first = first.lerp(first.view(passes, len(lengths), -1)[:, others].flatten(0, 1), share)
            mixed = [(target, 1 - share), (target[others], share)]
        logits = state.model.classify(first)
        losses = [
            share
            * functional.cross_entropy(
                logits, wanted.repeat(passes), weights, reduction="sum", label_smoothing=config.label_smoothing
            )
            for wanted, share in mixed
        ]
        loss = torch.stack(losses).sum() / passes / total
        right = (logits[: len(lengths)].detach().argmax(-1) == target).sum().float()
        state.sums.add_(torch.stack([loss.detach() * texts, right]))
        if config.r_drop:
            loss = loss + config.r_drop * (weights[target] * _divergence(*logits.chunk(2))).sum() / total
        return loss


def _batches(texts: int, batch_size: int, generator: torch.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the indices of all texts in random order, in batches; the same on all ranks."""
    shuffled = torch.randperm(texts, generator=generator).numpy()
    for start in range(0, texts, batch_size):
        yield shuffled[start : start + batch_size]


def _partners(texts: int, alpha: float) -> tuple[Tensor, float]:
    """Return another text for each text, ``int64[texts]``, and the share of it to mix in, at most a half."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return torch.randperm(texts), min(share, 1 - share)


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return the symmetric Kullback-Leibler divergence between two passes for each text, ``float32[texts]``."""
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    # p (log p - log q) + q (log q - log p) = (p - q) (log p - log q)
    return ((p.exp() - q.exp()) * (p - q)).sum(-1) / 2


def _class_weights(labels: npt.NDArray[np.int64], classes: int, kind: str) -> npt.NDArray[np.float32]:
    """Return the weight of each class, ``float32[classes]``; their mean over the texts is 1."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weights = counts ** {"none": 0.0, "sqrt": -0.5, "balanced": -1.0}[kind]
    result: npt.NDArray[np.float32] = (weights * len(labels) / (weights * counts).sum()).astype(np.float32)
    return result


def _require_finite(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise LossError(
            f"the training loss became {loss} in epoch {epoch}, step {step}; lower --learning-rate or use "
            "--precision fp32"
        )
