"""Which parameters are trainable, and how many."""

from __future__ import annotations

from typing import NamedTuple

from emoclass.config import Unfreeze
from emoclass.encoders.interface import Model
from emoclass.errors import ConfigError


class ParameterCounts(NamedTuple):
    """Numbers of parameters."""

    trainable: int
    total: int

    @property
    def share(self) -> float:
        """Trainable share of all, 0 to 1."""
        return self.trainable / self.total


def freeze(model: Model, unfreeze: Unfreeze, *, train_pooler: bool = False) -> None:
    """Make the last ``unfreeze`` encoder layers and the classifier trainable, and freeze everything else.

    Args:
        model: The model, changed in place.
        unfreeze: Number of layers; ``"encoder"`` for all of them, ``"all"`` for embeddings and pooler as well.
        train_pooler: Whether what stands between the encoder and the classifier trains, too; what is new always does.

    Raises:
        ConfigError: The model has fewer layers.
    """
    layers = model.layers
    model.requires_grad_(unfreeze == "all")
    if unfreeze == "all":
        return
    if unfreeze == "auto":
        raise ConfigError("--unfreeze auto must be decided before a model is frozen")
    count = len(layers) if unfreeze == "encoder" else unfreeze
    if count > len(layers):
        raise ConfigError(f"--unfreeze {count}: the base model has {len(layers)} layers; use at most that or 'all'")
    for layer in layers[len(layers) - count :]:
        layer.requires_grad_(True)
    model.unfreeze_head(pooler=train_pooler)


def frozen_depth(model: Model) -> int | None:
    """Return the number of frozen layers, counted from the first; ``None`` if the whole model must run each time."""
    if model.deepest_cut is None or any(p.requires_grad for p in model.embeddings.parameters()):
        return None
    for depth, layer in enumerate(model.layers):
        if any(p.requires_grad for p in layer.parameters()):
            return depth
    return model.deepest_cut


def count_parameters(model: Model) -> ParameterCounts:
    """Count trainable and all parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return ParameterCounts(sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes))
