"""How long a training will take, before it begins."""

from __future__ import annotations

import math
import time

import torch
from torch.nn import functional

from emoclass.config import TrainConfig
from emoclass.encoders.freezing import count_parameters, frozen_depth
from emoclass.encoders.generic.model import GenericModel
from emoclass.encoders.interface import Model
from emoclass.training.context import Context

# Of the rate of large matrix products: what layers reach, with attention, activations and dropout (docs/benchmarks.md).
_SHARE = 0.5
# Seconds of a step beside that, for each trainable layer and each trainable parameter.
_CPU_SECONDS, _GPU_SECONDS = (0.0015, 1e-9), (0.004, 1e-11)
_ROWS, _REPEATS = 1024, 3


def estimated_seconds(context: Context, config: TrainConfig, model: Model) -> float:
    """Return about how many seconds the frozen layers and all epochs take.

    Args:
        context: Data and hardware.
        config: The recipe.
        model: The model, frozen by the recipe.
    """
    hardware, layers = context.hardware, model.layers
    for_layer, for_parameter = _CPU_SECONDS if hardware.device.type == "cpu" else _GPU_SECONDS
    depth = frozen_depth(model) or 0
    work = 2 * sum(p.numel() for p in layers[-1].parameters()) / (_SHARE * _rate(context, model))
    tokens = {name: int(texts.lengths.sum()) for name, texts in context.tokenized.items() if name != "test"}
    whole_layers, passes = max(0, len(layers) - depth - 1), 2 if config.r_drop else 1
    texts = len(context.data.train)
    steps = math.ceil(texts / config.batch_size)
    frozen = sum(tokens.values()) * depth * work
    # Forward and backward; of the last layer [CLS] alone where the model is packed.
    is_packed = not isinstance(model, GenericModel)
    last = texts if is_packed else tokens["train"]
    forward_backward = 3 * (tokens["train"] * whole_layers + passes * last) * work
    overhead = steps * ((whole_layers + 1) * for_layer + count_parameters(model).trainable * for_parameter)
    scoring = tokens.get("val", 0) * (whole_layers + (not is_packed)) * work
    return (frozen + config.seeds * config.epochs * (forward_backward + overhead + scoring)) / hardware.ranks.size


def _rate(context: Context, model: Model) -> float:
    """Return the operations per second of one matrix product in the shape and precision of the layers."""
    hardware = context.hardware
    weight = max((p.flatten(1) for p in model.layers[-1].parameters() if p.dim() > 1), key=lambda p: p.numel())
    right = torch.zeros(weight.shape, dtype=hardware.dtype, device=hardware.device)
    rows = torch.zeros(_ROWS, weight.shape[1], dtype=hardware.dtype, device=hardware.device)
    return 2 * _ROWS * weight.numel() / min(_timed(rows, right) for _ in range(_REPEATS))


def _timed(rows: torch.Tensor, weight: torch.Tensor) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        product = functional.linear(rows, weight)
    float(product[0, 0])  # waits for a GPU
    return max(time.perf_counter() - start, 1e-9)
