"""The two ways through an encoder, and what makes a prefix of either."""

from __future__ import annotations

from typing import TypeAlias

import torch

from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.generic.model import GenericModel
from emoclass.encoders.generic.prefix import GenericPrefix

Model: TypeAlias = PackedBert | GenericModel
Prefix: TypeAlias = FrozenPrefix | GenericPrefix


def frozen_prefix(model: Model, depth: int, dtype: torch.dtype, *, start: int = 0) -> Prefix:
    """Return the layers of a model from ``start`` to ``depth``, run without gradients."""
    if isinstance(model, GenericModel):
        return GenericPrefix(model, depth, dtype, start=start)
    return FrozenPrefix(model, depth, dtype, start=start)
