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
from emoclass.verified import holds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

NAME = "starter"
DIRECTORY = Path(__file__).resolve().parents[1] / "starter"


def lacks_frozen(directory: Path, manifest: Manifest) -> bool:
    """Return whether the frozen weights of a model are not in its directory, but those of its base model."""
    return manifest.frozen_sha256 is not None and not (directory / layout.FROZEN).exists()


def with_frozen(tensors: Mapping[str, Array], directory: Path, manifest: Manifest) -> dict[str, Array]:
    """Return all weights of a model: its own, and the frozen ones of its base model if they are not in the directory.

    Args:
        tensors: The weights in the directory, by name.
        directory: The model directory.
        manifest: Its manifest.

    Raises:
        ModelError: The base model is not available, or is another one.
    """
    if not lacks_frozen(directory, manifest):
        return dict(tensors)
    # Only here: they import numpy, and completion needs the name alone.
    from emoclass.encoders.base import resolve_base
    from emoclass.encoders.weights import weight_files

    name = manifest.base_model["name"]
    base = resolve_base(name)
    frozen = {key: array for key, array in base.arrays().items() if key not in tensors}
    expected = manifest.frozen_sha256
    claim = f"without {sorted(tensors)} the tensors have {expected}"
    if not holds(claim, weight_files(base.directory), lambda: tensors_sha256(frozen) == expected):
        raise ModelError(
            f"{base.directory}: is not the base model {name!r} that model {manifest.name!r} was trained on"
        )
    return {**tensors, **frozen}
