"""Tensors into a PackedBert, with a new head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from emoclass.encoders.bert.checkpoint import check_shapes, tensor_shapes
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert

_POOLER, _CLASSIFIER = "bert.pooler.dense", "classifier"


def add_head(tensors: dict[str, Tensor], config: EncoderConfig, num_labels: int, seed: int) -> bool:
    """Add a new classifier to the tensors of a base model, and a new pooler if there is none.

    Args:
        tensors: The tensors by BERT's names; changed in place.
        config: The base model's sizes.
        num_labels: Number of classes.
        seed: Seed of the new weights.

    Returns:
        Whether the pooler is new, and not trained unless that is asked for.
    """
    generator = torch.Generator().manual_seed(seed)
    has_pooler = f"{_POOLER}.weight" in tensors
    heads = {} if has_pooler else {_POOLER: config.hidden_size}
    for name, outputs in (heads | {_CLASSIFIER: num_labels}).items():
        # Initialised as in BERT: normally distributed weights, and a bias of zeros.
        weight = torch.empty(outputs, config.hidden_size)
        tensors[f"{name}.weight"] = nn.init.normal_(weight, std=config.initializer_range, generator=generator)
        tensors[f"{name}.bias"] = torch.zeros(outputs)
    return not has_pooler and config.family.has_own_pooler


def build_model(config: EncoderConfig, num_labels: int, tensors: Mapping[str, Tensor], source: Path) -> PackedBert:
    """Build a model with these weights in float32, in evaluation mode; float32 tensors are used, not copied.

    Args:
        config: Its sizes.
        num_labels: Number of classes.
        tensors: The tensors by BERT's names; others are ignored.
        source: Directory or file that errors name.

    Raises:
        ModelError: Tensors are missing or have other shapes than the config says.
    """
    shapes = tensor_shapes(config, num_labels)
    check_shapes(tensors, shapes, source)
    with torch.device("meta"):  # allocates no memory; the tensors replace the parameters
        model = PackedBert(config, num_labels)
    state = {name: tensors[name].float() for name in shapes}
    model.load_state_dict(state, assign=True)
    # The parameters take requires_grad from the tensors; ``freeze`` decides what trains.
    return model.requires_grad_(False).eval()
