"""A model directory: opened, and compared with its checksums."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import stat_result
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass import lfs
from emoclass.errors import ModelError, one_line
from emoclass.fingerprint import file_sha256
from emoclass.hub.names import HubName
from emoclass.store import layout, starter
from emoclass.store.layout import Manifest
from emoclass.verified import holds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Origin:
    """Where on the hub a model comes from.

    Attributes:
        name: The repository, at a commit.
        cache: The hub's cache, which keeps a model as links to files elsewhere in it.
        note: Why the hub was not asked for a newer commit; empty if it was, or if there can be none.
    """

    name: HubName
    cache: Path
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"repository": self.name.repo, "revision": self.name.revision}

    def __str__(self) -> str:
        return f"{self.name.repo} at {str(self.name.revision)[:7]}"


@dataclass(frozen=True)
class StoredModel:
    """A model directory whose manifest has been read.

    Attributes:
        directory: The directory.
        manifest: Its manifest.
        origin: Where on the hub it comes from; ``None`` if it is a directory of the user.
    """

    directory: Path
    manifest: Manifest
    origin: Origin | None = None

    @property
    def name(self) -> str:
        """How to name it: by its directory, or by its repository and commit."""
        return self.directory.name if self.origin is None else str(self.origin.name)

    @property
    def is_starter(self) -> bool:
        """Whether it is the model that comes with emoclass."""
        return self.directory == starter.DIRECTORY

    @property
    def model_type(self) -> str:
        """The type of its encoder.

        Raises:
            ModelError: ``config.json`` is missing or damaged.
        """
        path = self.directory / layout.CONFIG
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(lfs.explain(path, f"cannot be read: {one_line(error)}")) from None

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(stat.st_size for stat in self._stats())

    @property
    def own_size(self) -> int:
        """Bytes of the files that no other model shares, which removing the model frees."""
        return sum(stat.st_size for stat in self._stats() if stat.st_nlink == 1)

    def _stats(self) -> Iterator[stat_result]:
        with suppress(OSError):  # the model may be removed meanwhile
            for path in self.directory.iterdir():
                if path.is_file():
                    yield path.stat()


def open_model(directory: Path) -> StoredModel:
    """Read the manifest of a model directory.

    Raises:
        ModelError: It is not a model directory of emoclass, or its manifest is damaged.
    """
    path = directory / layout.MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return StoredModel(directory, Manifest.from_dict(values))
    except FileNotFoundError:
        weights = directory / layout.WEIGHTS
        if lfs.is_pointer(weights):
            raise ModelError(f"{weights}: {lfs.ADVICE}") from None
        raise ModelError(f"{directory}: is not a model that emoclass trained, there is no {path.name}") from None
    except (OSError, ValueError, AttributeError, RecursionError, ModelError) as error:
        raise ModelError(lfs.explain(path, one_line(error))) from None


def verify_model(model: StoredModel, *, again: bool = False) -> None:
    """Compare all files with their checksums; files that were right and have not changed since are not read again.

    Args:
        model: The model.
        again: Whether to read all files in any case.

    Raises:
        ModelError: A file is missing or has changed; the message names it.
    """
    for name in model.manifest.checksums:
        path = model.directory / name
        if Path(name).name != name or not name.isprintable():
            raise ModelError(f"{model.directory / layout.MANIFEST}: names a file outside the model: {name!r}")
        if path.is_symlink() and not _is_cached(path, model.origin):
            raise ModelError(f"{path}: is a link; put the file itself there, or train the model again")
    checksums = model.manifest.verified

    def check() -> bool:
        for name, checksum in checksums.items():
            if file_sha256(model.directory / name) != checksum:
                problem = "the file is damaged, its checksum is wrong; restore it or train again"
                raise ModelError(lfs.explain(model.directory / name, problem))
        return True

    try:
        holds(
            f"checksums {sorted(checksums.items())}", [model.directory / name for name in checksums], check, again=again
        )
    except OSError as error:
        path = error.filename or model.directory
        raise ModelError(f"{path}: cannot be read: {error.strerror}; the model is damaged, train it again") from None


def _is_cached(path: Path, origin: Origin | None) -> bool:
    """Return whether a link is one of the hub's cache that does not lead out of it."""
    return origin is not None and path.resolve().is_relative_to(origin.cache.resolve())


def training_hashes(model: StoredModel) -> npt.NDArray[np.int64]:
    """Return the hashes of the texts that a model was trained on, ``int64[hashes]``.

    Raises:
        ModelError: They cannot be read.
    """
    import numpy as np

    path = model.directory / layout.TRAINING_HASHES
    try:
        hashes: npt.NDArray[np.int64] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None
    return hashes
