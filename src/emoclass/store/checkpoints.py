"""Trained models, found by their names: on this disk, or on the hub."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from emoclass.errors import EmoclassError, ModelError
from emoclass.hub.names import parse_name
from emoclass.runtime import expanded, models_dir
from emoclass.store import starter
from emoclass.store.layout import is_name
from emoclass.store.reading import StoredModel, open_model
from emoclass.store.replacing import names_in, settled, tidy

T = TypeVar("T")
# A model that is replaced this many times while it is read is then locked for reading.
_READS = 3


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


def find_model(name: str | Path | StoredModel | None = None) -> StoredModel:
    """Return a trained model by its name, its directory or its repository on the hub, or the newest one.

    If none is trained, the newest one is the starter. A model that has been found already is returned as it is.

    Raises:
        ModelError: There is no such model, it is damaged, or it cannot be fetched from the hub.
    """
    if isinstance(name, StoredModel):
        return name
    if name is None:
        models, notes = list_models()
        if notes and not models:
            raise ModelError(f"there is no usable model in {models_dir()} ({notes[0]}); --model starter names one")
        return models[0] if models else open_model(starter.DIRECTORY)
    if str(name) == starter.NAME:
        return open_model(starter.DIRECTORY)
    path = expanded(name)
    own = path.name if path.absolute().parent == models_dir().absolute() else str(name)
    stored = _stored(own) if is_name(own) else None
    if stored is not None:
        return stored
    if path.is_dir():
        return open_model(path)
    if repository := parse_name(own):
        # Only here: names on this disk are found without the hub's client.
        from emoclass.store.remote import fetch_model

        return fetch_model(repository)
    names = [*(model.directory.name for model in list_models()[0]), starter.NAME]
    close = difflib.get_close_matches(own, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join([*names[:9], *names[9:][-1:]])}"
    raise ModelError(f"there is no model named {own!r} and no such directory; {hint}")


def model_notes(name: object, model: StoredModel) -> tuple[str, ...]:
    """Return a note if the model is not simply the one that was named.

    No model may have been named and none is trained, so that the starter is used; or it is the commit of a repository.
    """
    if model.origin is not None:
        return (f"{model.origin}{f', {model.origin.note}' if model.origin.note else ''}",)
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
    if model.origin is not None:  # a commit never changes
        return read(model)
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
