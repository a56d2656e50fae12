"""AdamW with a linear schedule, and layers that compute in a lower precision than their master weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from emoclass.config import TrainConfig
from emoclass.encoders.interface import Model
from emoclass.training.ranks import Ranks


def linear_schedule(step: int, *, total: int, warmup: int) -> float:
    """Return the factor on the learning rate: linear warm-up over ``warmup`` steps, linear decay to 0 at ``total``."""
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))


class WorkingLayers:
    """Copies of float32 layers in ``dtype`` for forward and backward passes (Micikevicius et al. 2018).

    Args:
        layers: The layers with the master weights, which get the gradients.
        dtype: Dtype of the copies. For float32 they are the layers themselves.

    Attributes:
        layers: The copies, in training mode.
    """

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype) -> None:
        self.layers = list(layers)
        self._pairs: list[tuple[Tensor, Tensor]] = []
        if dtype != torch.float32:
            self.layers = [copy.deepcopy(layer).to(dtype).train() for layer in layers]
            self._pairs = [
                (own, copied)
                for layer, copied_layer in zip(layers, self.layers, strict=True)
                for own, copied in zip(layer.parameters(), copied_layer.parameters(), strict=True)
            ]

    def has(self, weight: Tensor) -> bool:
        """Return whether this weight has a copy."""
        return any(own is weight for own, _ in self._pairs)

    def copy_grads_to_master(self) -> None:
        """Replace the gradients of the master weights by those of the copies."""
        for own, copied in self._pairs:
            own.grad = torch.empty_like(own) if own.grad is None else own.grad
            own.grad.zero_() if copied.grad is None else own.grad.copy_(copied.grad)
            copied.grad = None

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the master weights into the copies."""
        for own, copied in self._pairs:
            copied.copy_(own)


class Optimizer:
    """AdamW on the trainable parameters, with clipping and the linear schedule.

    Args:
        model: The model, frozen by the recipe.
        working: The copies in which its trainable layers are computed.
        config: The recipe.
        total_steps: Steps of the whole training.
        ranks: The processes that take each step together.
    """

    def __init__(
        self, model: Model, working: WorkingLayers, config: TrainConfig, total_steps: int, ranks: Ranks
    ) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._working, self._ranks = working, ranks
        # Those of the others are written over.
        self._own_gradients = [p for p in self._parameters if not working.has(p)]
        self._max_grad_norm = config.max_grad_norm
        fused = self._parameters[0].device.type in ("cpu", "cuda")
        groups = _by_rate(model, config.layer_decay)
        self._adamw = AdamW(groups, config.learning_rate, weight_decay=config.weight_decay, fused=fused)
        if self._parameters[0].is_cuda:  # where a CUDA graph reads it
            for group in self._adamw.param_groups:
                group["lr"] = torch.tensor(config.learning_rate, device=self._parameters[0].device)
        self._peak, self._total = config.learning_rate, total_steps
        self._warmup = int(total_steps * config.warmup_ratio)
        self._steps = 0
        # The gradient of the word embeddings, and the rows of it that are not 0.
        self._dense, self._rows = torch.empty(0), torch.empty(0)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step; before the first step, that of the first."""
        return self._rate(max(0, self._steps - 1))

    def _rate(self, step: int) -> float:
        return self._peak * linear_schedule(step, total=self._total, warmup=self._warmup)

    def step(self, losses: Iterable[Tensor]) -> None:
        """Step along the gradient of the sum of all ranks' losses; each is freed before the next is computed."""
        self.advance()
        self.descend(losses)

    def advance(self) -> None:
        """Set the learning rate of the next step."""
        for group in self._adamw.param_groups:
            rate = self._rate(self._steps) * group["factor"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self._steps += 1

    @contextmanager
    def capturable(self) -> Iterator[None]:
        """Let ``descend`` be captured in a CUDA graph; it must have run before."""
        for group in self._adamw.param_groups:
            group["capturable"] = True
        try:
            yield
        finally:
            for group in self._adamw.param_groups:
                group["capturable"] = False

    def descend(self, losses: Iterable[Tensor]) -> None:
        """Do what ``step`` does, at the learning rate that is set."""
        for parameter in self._own_gradients:
            parameter.grad = None
        for loss in losses:
            loss.backward()  # type: ignore[no-untyped-call]
            del loss  # with its graph, before the next micro-batch allocates its own
        for parameter in self._own_gradients:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = self._filled_in(parameter.grad)
        self._working.copy_grads_to_master()
        self._ranks.sum_gradients(self._parameters)
        torch.nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        self._adamw.step()
        self._working.refresh()

    def _filled_in(self, sparse: Tensor) -> Tensor:
        """Return a sparse gradient as a dense one, in memory that is reused: clearing all of it would take longest."""
        if self._dense.shape != sparse.shape:
            self._dense = torch.zeros(sparse.shape, device=sparse.device)
        else:
            self._dense.index_fill_(0, self._rows, 0)
        self._rows = sparse._indices()[0]
        return self._dense.index_add_(0, self._rows, sparse._values())

    def tensors(self) -> dict[str, Tensor]:
        """Return the moments of each parameter, by name; there are none before the first step."""
        return {
            f"optimizer.{number}.{name}": value
            for number, parameter in enumerate(self._parameters)
            for name, value in self._adamw.state[parameter].items()
        }

    def restore(self, tensors: Mapping[str, Tensor], *, steps: int) -> None:
        """Restore the moments that ``tensors`` returned after so many steps; the weights are restored already."""
        self._steps = steps
        for number, parameter in enumerate(self._parameters):
            prefix = f"optimizer.{number}."
            moments = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            self._adamw.state[parameter] = {name: value.to(parameter.device) for name, value in moments.items()}
        self._working.refresh()


def _by_rate(model: Model, layer_decay: float) -> list[dict[str, Any]]:
    """Return AdamW's groups of trainable parameters by their factor on the learning rate: 1 from the last layer on."""
    factors: dict[Tensor, float] = {}
    for distance, module in enumerate([*reversed(model.layers), model.embeddings]):
        factors |= dict.fromkeys(module.parameters(), layer_decay**distance)
    groups: dict[float, list[Tensor]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]
