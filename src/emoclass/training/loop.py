"""The training loop: optimizer, schedule, and one generator that yields what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from emoclass.config import TrainConfig
from emoclass.errors import EmoclassError
from emoclass.model.encoder import PackedBert
from emoclass.model.prefix import ActivationSource


class Scores(NamedTuple):
    """What an evaluation during training tells."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class StepDone:
    """One optimizer step has been taken.

    Attributes:
        epoch: Counted from 1.
        step: Counted from 1 within the epoch.
        steps: Steps per epoch.
        texts: Texts in the batch.
        loss: Mean loss of the epoch so far; measured every few steps.
        learning_rate: The rate that the step used.
    """

    epoch: int
    step: int
    steps: int
    texts: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class EpochDone:
    """One epoch is over. Training figures are means over its batches, taken while learning, with dropout."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float


TrainEvent = StepDone | EpochDone

_LOSS_EVERY = 10


def linear_schedule(step: int, *, total: int, warmup: int) -> float:
    """Factor on the learning rate: rises linearly over ``warmup`` steps, then falls linearly to 0 at ``total``."""
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))


def training_loop(
    model: PackedBert,
    source: ActivationSource,
    labels: npt.NDArray[np.int64],
    config: TrainConfig,
    *,
    evaluate: Callable[[], Scores],
) -> Iterator[TrainEvent]:
    """Trains the model's trainable parameters in place, yielding after every step and every epoch.

    Args:
        model: The model, frozen as wanted.
        source: Input of its first layer that trains, for all training texts.
        labels: Class number of each text, ``int64[texts]``.
        config: The recipe.
        evaluate: Scores on the validation part; called at the end of each epoch in evaluation mode.

    Raises:
        EmoclassError: The loss is no longer a finite number.
    """
    device = next(model.parameters()).device
    targets = torch.from_numpy(labels).to(device)
    steps = math.ceil(len(labels) / config.batch_size)
    optimizer = _Optimizer(model, config, steps * config.epochs)
    generator = torch.Generator().manual_seed(config.seed)
    for epoch in range(1, config.epochs + 1):
        start = time.perf_counter()
        model.train()
        sums = torch.zeros(2, device=device)  # loss and correct predictions, on the device: reading them waits for it
        mean_loss = math.nan
        for step, chosen in enumerate(_batches(source.lengths, config.batch_size, generator), start=1):
            hidden, lengths = source.batch(chosen)
            target = targets[torch.from_numpy(chosen)]
            logits = model.suffix(hidden, lengths, source.depth)
            loss = functional.cross_entropy(logits, target)
            learning_rate = optimizer.step(loss)
            with torch.no_grad():
                sums += torch.stack([loss * len(target), (logits.argmax(-1) == target).sum().float()])
            if step % _LOSS_EVERY == 1 or step == steps:
                mean_loss = float(sums[0]) / min(step * config.batch_size, len(labels))
                _require_finite(mean_loss, epoch, step)
            yield StepDone(epoch, step, steps, len(chosen), mean_loss, learning_rate)
        train_loss, train_accuracy = (sums / len(labels)).tolist()
        model.eval()
        val = evaluate()
        seconds = time.perf_counter() - start
        yield EpochDone(epoch, train_loss, train_accuracy, val.loss, val.accuracy, learning_rate, seconds)


def _batches(
    lengths: npt.NDArray[np.int64], batch_size: int, generator: torch.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of all texts in random order, in batches.

    Within a batch the longest comes first: texts of like length side by side make attention cheap, and the mean
    loss does not depend on their order.
    """
    shuffled = torch.randperm(len(lengths), generator=generator).numpy()
    for start in range(0, len(shuffled), batch_size):
        chosen = shuffled[start : start + batch_size]
        yield chosen[np.argsort(-lengths[chosen], kind="stable")]


class _Optimizer:
    """AdamW on what trains, with clipping and the linear schedule."""

    def __init__(self, model: PackedBert, config: TrainConfig, total_steps: int) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._max_grad_norm = config.max_grad_norm
        fused = self._parameters[0].device.type in ("cpu", "cuda")
        self._adamw = AdamW(self._parameters, config.learning_rate, weight_decay=config.weight_decay, fused=fused)
        warmup = int(total_steps * config.warmup_ratio)
        factor = partial(linear_schedule, total=total_steps, warmup=warmup)
        self._schedule = LambdaLR(self._adamw, factor)

    def step(self, loss: Tensor) -> float:
        """Follows the gradient of the loss; returns the learning rate that was used."""
        learning_rate = float(self._schedule.get_last_lr()[0])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        self._adamw.step()
        self._adamw.zero_grad()
        self._schedule.step()
        return learning_rate


def _require_finite(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise EmoclassError(
            f"the training loss became {loss} in epoch {epoch}, step {step}; lower --learning-rate or use "
            "--precision fp32"
        )
