"""Base models of a training: those of ``encoders.base``, or a model that emoclass has trained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emoclass.encoders.base import HUB, BaseModel, resolve_base
from emoclass.encoders.generic.config import GenericConfig
from emoclass.encoders.weights import map_tensors, read_config
from emoclass.hub.names import parse_name
from emoclass.runtime import expanded, models_dir
from emoclass.store import layout, starter
from emoclass.store.checkpoints import find_model, model_notes, read_model
from emoclass.store.reading import StoredModel, open_model, training_hashes, verify_model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


TRAINED, TRAINED_ON_HUB = "trained model", "trained model on the hub"


@dataclass(frozen=True)
class TrainedBase(BaseModel):
    """A trained model to go on from: all its layers, and a new classifier.

    Attributes:
        model: The model.
    """

    model: StoredModel

    @property
    def notes(self) -> tuple[str, ...]:
        """Which commit of a repository on the hub it is."""
        return model_notes(self.name, self.model)

    def sha256(self) -> str:
        """Return a hash of the files that its results depend on."""
        manifest = self.model.manifest
        return hashlib.sha256(json.dumps([manifest.frozen_sha256, manifest.checksums]).encode()).hexdigest()

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return its weights by name."""
        if isinstance(self.config, GenericConfig):
            verify_model(self.model)
            return {}
        family = self.config.family

        def read(model: StoredModel) -> dict[str, npt.NDArray[np.float32]]:
            verify_model(model)
            return starter.with_frozen(map_tensors(model.directory, family), model.directory, model.manifest)

        return read_model(self.model, read)

    def seen_hashes(self) -> npt.NDArray[np.int64]:
        """Return the hashes of the texts that it was trained on, ``int64[hashes]``."""
        return training_hashes(self.model)


def find_base(name: str) -> BaseModel:
    """Find a base model: ``starter``, the name or the directory of a trained model, or what ``resolve_base`` finds.

    Raises:
        ModelError: There is no such model, it cannot be fetched, or it is damaged.
    """
    model = find_trained(name)
    if model is None:
        base, repository = resolve_base(name), parse_name(name)
        if repository is None or base.source != HUB or not (base.directory / layout.MANIFEST).is_file():
            return base
        model = find_model(str(repository.at(base.directory.name)))
    config = read_config(model.directory)
    # That of a model on the hub names the commit, so that it is found again.
    own, source = (name, TRAINED) if model.origin is None else (str(model.origin.name), TRAINED_ON_HUB)
    return TrainedBase(own, source, model.directory, config, model)


def find_trained(name: str) -> StoredModel | None:
    """Return the trained model that a base model's name means, if it means one.

    It may be its name, its directory, ``starter``, or its repository on the hub if it has been fetched.

    Raises:
        ModelError: It is damaged, or cannot be fetched.
    """
    if name == starter.NAME or (layout.is_name(name) and (models_dir() / name).is_dir()):
        return find_model(name)
    path = expanded(name)
    if path.is_dir():
        return open_model(path) if (path / layout.MANIFEST).is_file() else None
    repository = parse_name(name)
    if repository is None:
        return None
    from emoclass.store.remote import is_fetched

    return find_model(name) if is_fetched(repository) else None
