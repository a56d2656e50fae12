"""Trained models on disk: found, listed, read and verified."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import stat_result
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from emoclass import lfs
from emoclass.errors import EmoclassError, ModelError, one_line
from emoclass.fingerprint import file_sha256
from emoclass.runtime import expanded, models_dir
from emoclass.store import layout, starter
from emoclass.store.layout import Manifest
from emoclass.store.replacing import names_in, settled, tidy
from emoclass.verified import holds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")
# A model that is replaced this many times while it is read is then locked for reading.
_READS = 3


@dataclass(frozen=True)
class StoredModel:
    """A model directory whose manifest has been read."""

    directory: Path
    manifest: Manifest

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


def list_models() -> tuple[list[StoredModel], list[str]]:
    """Return all trained models, newest first, and a note on each directory that cannot be read."""
    models, notes = [], []
    tidy(models_dir())
    for name in names_in(models_dir()):
        try:
            model = _stored(name)
        except EmoclassError as error:
            notes.append(str(error))
        else:
            models += [model] if model else []
    return sorted(models, key=lambda model: model.manifest.created_at, reverse=True), notes


def find_model(name: str | Path | None = None) -> StoredModel:
    """Return a trained model by its name, by its directory, or the newest one; the starter if there is none.

    Raises:
        ModelError: There is no such model, or it is damaged.
    """
    if name is None:
        models, notes = list_models()
        if notes and not models:
            raise ModelError(f"there is no usable model in {models_dir()} ({notes[0]}); --model starter names one")
        return models[0] if models else open_model(starter.DIRECTORY)
    if str(name) == starter.NAME:
        return open_model(starter.DIRECTORY)
    path = expanded(name)
    own = path.name if path.absolute().parent == models_dir().absolute() else str(name)
    stored = _stored(own) if layout.is_name(own) else None
    if stored is not None:
        return stored
    if path.is_dir():
        return open_model(path)
    names = [*(model.directory.name for model in list_models()[0]), starter.NAME]
    close = difflib.get_close_matches(own, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join([*names[:9], *names[9:][-1:]])}"
    raise ModelError(f"there is no model named {own!r} and no such directory; {hint}")


def starter_notes(name: str | Path | None, model: StoredModel) -> tuple[str, ...]:
    """Return a note if no model was named and none is trained, so that the starter is used."""
    if name is not None or not model.is_starter:
        return ()
    classes = ", ".join(model.manifest.labels)
    return (f"no model is trained yet, so the starter is used ({classes}); emoclass train makes your own",)


def _stored(name: str) -> StoredModel | None:
    """Return the stored model of this name, if there is one; wait while it is being replaced."""
    directory = models_dir() / name
    with suppress(ModelError):
        return open_model(directory)
    with settled(directory):
        return open_model(directory) if directory.is_dir() else None


def read_model(model: StoredModel, read: Callable[[StoredModel], T]) -> T:
    """Return what ``read`` makes of a model's files, all of one version even if the model is replaced meanwhile.

    Raises:
        ModelError: The model has been removed.
        EmoclassError: ``read`` raised it.
    """
    for _ in range(_READS):
        error = None
        try:
            content = read(model)
        except (EmoclassError, OSError) as caught:
            error = caught
        now = find_model(model.directory)
        if _version(now) == _version(model):
            if error is not None:
                raise error
            return content
        model = now
    with settled(model.directory):
        if model.directory.is_dir():
            return read(open_model(model.directory))
    return read_model(find_model(model.directory), read)


def _version(model: StoredModel) -> object:
    return model.manifest.created_at, model.manifest.checksums


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
    checksums = model.manifest.checksums
    for name in checksums:
        path = model.directory / name
        if Path(name).name != name or not name.isprintable():
            raise ModelError(f"{model.directory / layout.MANIFEST}: names a file outside the model: {name!r}")
        if path.is_symlink():
            raise ModelError(f"{path}: is a link; put the file itself there, or train the model again")

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
