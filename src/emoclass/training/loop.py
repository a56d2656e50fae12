"""The training loop: optimizer, schedule, and one generator that yields what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.activations.sources import ActivationSource
from emoclass.config import TrainConfig
from emoclass.encoders.freezing import frozen_depth
from emoclass.encoders.generic.model import GenericModel
from emoclass.encoders.interface import Model
from emoclass.errors import LossError
from emoclass.torch_state import seed_torch
from emoclass.training.events import EpochDone, Scores, StepDone, TrainEvent
from emoclass.training.losses import loss_of
from emoclass.training.objective import Objective
from emoclass.training.optimizer import Optimizer, WorkingLayers
from emoclass.training.ranks import Ranks
from emoclass.training.step_graphs import StepGraphs, is_usable

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
        fixed_shapes: Whether steps are taken in few shapes, as CUDA graphs.
    """

    def __init__(
        self,
        model: Model,
        texts: int,
        config: TrainConfig,
        dtype: torch.dtype = torch.float32,
        ranks: Ranks | None = None,
    ) -> None:
        self.model, self.ranks, self._seed = model, ranks or Ranks(), config.seed
        depth = frozen_depth(model)
        is_generic = isinstance(model, GenericModel)
        # A generic model computes in other precisions by itself.
        self.working = WorkingLayers(model.layers[depth or 0 :], torch.float32 if is_generic else dtype)
        self.steps = math.ceil(texts / config.batch_size)
        self.optimizer = Optimizer(model, self.working, config, self.steps * config.epochs, self.ranks)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epoch, self.step = 1, 0
        self.device = next(model.parameters()).device
        self.fixed_shapes = (
            depth is not None
            and not is_generic
            and is_usable(self.device, len(self.working.layers), config, self.ranks)
        )
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
        place = self.epoch * self.steps + self.step
        seed_torch(self._seed + self.ranks.rank + self.ranks.size * place, self.device)
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
    model: Model,
    source: ActivationSource,
    targets: npt.NDArray[Any],
    config: TrainConfig,
    *,
    evaluate: Callable[[], Scores],
    state: LoopState | None = None,
) -> Iterator[TrainEvent]:
    """Train the model's trainable parameters in place; yield after every step and every epoch.

    Args:
        model: The model, frozen by the recipe.
        source: Input of its first trainable layer, for this rank's training texts.
        targets: Those of the texts of all ranks: label ids, ``int64[texts]``, or which labels apply,
            ``bool[texts, classes]``.
        config: The recipe.
        evaluate: Returns the scores on the validation set; called at the end of each epoch in evaluation mode.
        state: Where to start; at each yield it is where to resume.

    Raises:
        LossError: The loss is no longer a finite number.
    """
    state = state or LoopState(model, len(targets), config)
    loss = loss_of(
        targets,
        model.classifier.out_features,
        class_weights=config.class_weights,
        label_smoothing=config.label_smoothing,
        focal_gamma=config.focal_gamma,
        device=state.device,
    )
    own_targets = targets[state.ranks.shard(len(targets))]
    objective = Objective(model, state.working.layers, state.sums, source, own_targets, loss, config)
    graphs = StepGraphs(objective, state.optimizer) if state.fixed_shapes else None
    while state.epoch <= config.epochs:
        start = time.perf_counter()
        model.train()
        state.begin_epoch()
        sums, mean_loss = state.sums, math.nan
        for chosen in islice(_batches(len(targets), config.batch_size, state.generator), state.step, None):
            own = state.ranks.local(chosen)
            # Sorting by length makes attention cheaper; the loss does not depend on the order.
            own = own[np.argsort(-source.lengths[own], kind="stable")]
            if graphs is None or not graphs.step(own):
                # The mean over all ranks' texts of the batch.
                state.optimizer.step(objective.losses(own, loss.divisor(targets[chosen]), len(chosen)))
            state.step += 1
            if state.step % _LOSS_EVERY == 1 or state.step == state.steps:
                mean_loss = float(state.ranks.total(sums)[0]) / min(state.step * config.batch_size, len(targets))
                _require_finite(mean_loss, state.epoch, state.step)
            yield StepDone(state.epoch, state.step, state.steps, len(chosen), mean_loss, state.optimizer.learning_rate)
        train_loss, train_accuracy = (state.ranks.total(sums) / len(targets)).tolist()
        model.eval()
        val = evaluate()
        done = EpochDone(
            epoch=state.epoch,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            **val.to_dict(),
            learning_rate=state.optimizer.learning_rate,
            seconds=time.perf_counter() - start,
        )
        state.end_epoch()
        yield done


def _batches(texts: int, batch_size: int, generator: torch.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the indices of all texts in random order, in batches; the same on all ranks."""
    shuffled = torch.randperm(texts, generator=generator).numpy()
    for start in range(0, texts, batch_size):
        yield shuffled[start : start + batch_size]


def _require_finite(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise LossError(
            f"the training loss became {loss} in epoch {epoch}, step {step}; lower --learning-rate or use "
            "--precision fp32"
        )
