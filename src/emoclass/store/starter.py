"""The model that comes with emoclass.

The package has its trained weights only; the frozen ones are those of its base model, as in any model of that base.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emoclass.errors import ModelError
from emoclass.fingerprint import tensors_sha256
from emoclass.store import layout
from emoclass.store.layout import Manifest

if TYPE_CHECKING:
    from torch import Tensor

NAME = "starter"
DIRECTORY = Path(__file__).resolve().parents[1] / "starter"


def with_frozen(tensors: Mapping[str, Tensor], directory: Path, manifest: Manifest) -> dict[str, Tensor]:
    """Return all weights of a model: its own, and the frozen ones of its base model if they are not in the directory.

    Args:
        tensors: The weights in the directory, by name.
        directory: The model directory.
        manifest: Its manifest.

    Raises:
        ModelError: The base model is not available, or is another one.
    """
    if manifest.frozen_sha256 is None or (directory / layout.FROZEN).exists():
        return dict(tensors)
    # Only here: they import torch and safetensors, and completion needs the name alone.
    from emoclass.encoders.base import resolve_base
    from emoclass.encoders.weights import read_tensors

    name = manifest.base_model["name"]
    base = resolve_base(name)
    others = read_tensors(base.directory).items()
    # Not position_ids.
    frozen = {key: tensor for key, tensor in others if key not in tensors and tensor.is_floating_point()}
    if tensors_sha256(frozen) != manifest.frozen_sha256:
        raise ModelError(
            f"{base.directory}: is not the base model {name!r} that model {manifest.name!r} was trained on"
        )
    return {**tensors, **frozen}
