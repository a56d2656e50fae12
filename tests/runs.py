"""Trainings from Python, with the options of a run as keywords, and contexts of their models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from emoclass.activations.cache import CacheBudget
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.base import resolve_base
from emoclass.encoders.weights import map_tensors
from emoclass.training.context import Context, Hardware, base_weights, tokenize
from emoclass.training.options import RunOptions
from emoclass.training.ranks import Ranks
from emoclass.training.train import TrainResult, train


def run_training(
    data: TrainingData,
    config: TrainConfig,
    *,
    fixed: Iterable[str] = (),
    on_event: Any = lambda event: None,
    should_stop: Any = lambda: False,
    **options: Any,
) -> TrainResult:
    result = train(data, config, RunOptions(**options), fixed=fixed, on_event=on_event, should_stop=should_stop)
    assert result is not None
    return result


def context_of(data: TrainingData, recipe: TrainConfig, dtype: torch.dtype, memory: int = 10**9) -> Context:
    base, device = resolve_base(recipe.base_model), torch.device("cpu")
    tokenizer = base.tokenizer(recipe.truncation)
    return Context(
        data=data,
        base=base,
        weights=base_weights(base, device),
        tokenizer=tokenizer,
        tokenized=tokenize(data, tokenizer, Ranks()),
        hardware=Hardware(device=device, dtype=dtype, ranks=Ranks()),
        budget=CacheBudget(memory, 0),
    )


def read_tensors(directory: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a model directory, by name."""
    return {name: torch.from_numpy(array) for name, array in map_tensors(directory).items()}
