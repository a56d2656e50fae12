"""Training steps as CUDA graphs, where the last layer or the classifier alone trains.

Such a step has so little work for a GPU that launching its hundred kernels one by one takes twenty times as long as
running them (docs/benchmarks.md). A graph is launched as a whole, but its shapes are fixed: batches are padded to one
of few lengths, and each of these has a graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.config import TrainConfig
from emoclass.runtime import to_device
from emoclass.training.objective import Objective
from emoclass.training.optimizer import Optimizer
from emoclass.training.ranks import Ranks

# Lengths are rounded up to a multiple of the first, beyond the second to one of the third: 15 lengths up to 512 tokens.
_FINE, _FINE_LIMIT, _COARSE = 16, 128, 64


def is_usable(device: torch.device, layers: int, config: TrainConfig, ranks: Ranks) -> bool:
    """Return whether steps can be captured in graphs: on one GPU, at most one layer, nothing drawn on the CPU."""
    return device.type == "cuda" and layers <= 1 and not config.mixup and ranks.size == 1


class StepGraphs:
    """Takes training steps, each shape's first one kernel by kernel and all others as a graph.

    Args:
        objective: The loss.
        optimizer: The optimizer.
    """

    def __init__(self, objective: Objective, optimizer: Optimizer) -> None:
        self._objective, self._optimizer = objective, optimizer
        self._steps: dict[tuple[int, int], _Step] = {}
        # Graphs run one after the other, and can share memory.
        self._pool = torch.cuda.graph_pool_handle() if objective.device.type == "cuda" else None

    def step(self, own: npt.NDArray[np.int64]) -> bool:
        """Take a step along the gradient of a batch's loss.

        Args:
            own: Indices of the texts.

        Returns:
            Whether it did: a batch that must be cut to fit into memory is left to the caller.
        """
        if len(self._objective.micro_batches(own)) > 1:
            return False
        hidden, rows = self._objective.source.batch(own)
        shape = len(own), _rounded(max(rows))
        if shape not in self._steps:
            self._steps[shape] = _Step(self._objective, self._optimizer, *shape, hidden)
        step = self._steps[shape]
        step.fill(hidden, np.asarray(rows), self._objective.targets[own])
        if self._pool is not None and step.is_warm and not step.is_captured:
            try:
                step.capture(self._pool)
            except RuntimeError:  # a GPU or driver that cannot: the same, more slowly
                self._pool = None
        self._optimizer.advance()
        step.run()
        return True


def _rounded(rows: int) -> int:
    if rows == 1:  # [CLS] alone, as only the classifier trains
        return 1
    multiple = _FINE if rows <= _FINE_LIMIT else _COARSE
    return -(-rows // multiple) * multiple


class _Step:
    """A step in one shape.

    Args:
        objective: The loss.
        optimizer: The optimizer.
        texts: Texts of the batch.
        length: Rows that each is padded to.
        like: Activations, of the dtype and on the device that they will have.

    Attributes:
        is_warm: Whether it has run.
    """

    def __init__(self, objective: Objective, optimizer: Optimizer, texts: int, length: int, like: Tensor) -> None:
        self._objective, self._optimizer, self._texts, self._length = objective, optimizer, texts, length
        self._hidden = like.new_empty(texts * length, like.shape[1])
        # Row of each position, length of each text, target of each text: one transfer.
        size = texts * (length + 1) + objective.targets[:texts].size
        self._numbers = torch.zeros(size, dtype=torch.int64, device=like.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self.is_warm = False

    def fill(self, hidden: Tensor, rows: npt.NDArray[np.int64], targets: npt.NDArray[Any]) -> None:
        """Take the batch: ``[rows, hidden_size]``, the rows of each text, and its target."""
        places = np.arange(self._length)
        starts = np.cumsum(rows) - rows
        # Padding repeats the first row; it is masked.
        index = np.where(places < rows[:, None], starts[:, None] + places, 0)
        numbers = torch.from_numpy(np.concatenate([index.ravel(), rows, targets.ravel()]))
        self._numbers.copy_(to_device(numbers, self._numbers.device))
        torch.index_select(hidden, 0, self._numbers[: index.size], out=self._hidden)

    @property
    def is_captured(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def capture(self, pool: Any) -> None:
        """Make the graph, in memory that all graphs share; ``run`` must have loaded the kernels before."""
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile.
        captured = torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local")
        with self._optimizer.capturable(), captured:
            self._optimizer.descend(self._losses())
        self._graph = graph

    def run(self) -> None:
        """Take the step."""
        if self._graph is None:
            self._optimizer.descend(self._losses())
            self.is_warm = True
        else:
            self._graph.replay()

    def _losses(self) -> Iterator[Tensor]:
        yield self._loss()

    def _loss(self) -> Tensor:
        objective, passes = self._objective, self._objective.passes
        inputs = self._hidden.view(self._texts, self._length, -1)
        places = self._texts * self._length
        lengths, numbers = self._numbers[places:].tensor_split([self._texts])
        target = objective.loss.target_of(numbers)
        mask = torch.arange(self._length, device=inputs.device) < lengths[:, None]
        if objective.layers:
            cls = objective.layers[-1].forward_padded_cls(inputs, mask, passes)
        else:
            cls = inputs[:, 0].repeat(passes, 1)
        return objective.loss_of(cls.float(), target, objective.loss.divisor_of(target), self._texts)
