"""Save, export and remove trained models: each whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.encoders.weights import map_tensors
from emoclass.errors import ConfigError, EmoclassError, ModelError, NameTakenError
from emoclass.files import replacing, require_room, whole_directory
from emoclass.fingerprint import file_sha256
from emoclass.hub.names import parse_name
from emoclass.runtime import expanded, models_dir
from emoclass.store import layout, starter
from emoclass.store.checkpoints import find_model, list_models, read_model
from emoclass.store.layout import Manifest
from emoclass.store.reading import StoredModel, verify_model
from emoclass.store.replacing import discard, reserved, step_aside, was_reserved
from emoclass.store.runs import saved_by_unfinished
from emoclass.store.shards import write_shards


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, indented, as UTF-8."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_model(
    manifest: Manifest,
    *,
    tensors: Mapping[str, Any],
    trained: Set[str],
    config: Mapping[str, Any],
    tokenizer_json: str,
    tokenizer_config: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    card: str,
    training_hashes: npt.NDArray[np.int64],
    write_more: Callable[[Path], None] = lambda directory: None,
    overwrite: bool = False,
    directory: Path | None = None,
) -> StoredModel:
    """Save a model under its name in the user's model directory, or in a new directory, whole or not at all.

    Args:
        manifest: The content of ``emoclass.json`` but for checksums.
        tensors: All weights by name.
        trained: Names of the trained weights; the others may be shared with models of the same base.
        config: Content of ``config.json``.
        tokenizer_json: Content of ``tokenizer.json``.
        tokenizer_config: Content of ``tokenizer_config.json``.
        history: Epochs as plain JSON values.
        card: The model card, in Markdown.
        training_hashes: Hashes of the training texts, ``int64[hashes]``.
        write_more: Writes more files into the directory.
        overwrite: Whether to replace a model of that name.
        directory: A new directory in place of one in the user's model directory.

    Raises:
        ConfigError: The name cannot be used.
        NameTakenError: There is a model of that name, perhaps only since now, and ``overwrite`` is not set.
        EmoclassError: The disk is full or cannot be written; an existing model is unchanged.
    """
    target = directory or check_free(manifest.name, overwrite=overwrite)
    holding = _vacant(manifest.name, overwrite=overwrite) if directory is None else None
    try:
        with whole_directory(target, holding=holding) as aside:
            frozen_sha256 = write_shards(aside, tensors, trained, _frozen_files())
            write_json(aside / layout.CONFIG, config)
            (aside / layout.TOKENIZER).write_text(tokenizer_json, encoding="utf-8")
            write_json(aside / layout.TOKENIZER_CONFIG, tokenizer_config)
            lines = [json.dumps(epoch, ensure_ascii=False) + "\n" for epoch in history]
            (aside / layout.HISTORY).write_text("".join(lines), encoding="utf-8")
            (aside / layout.CARD).write_text(card, encoding="utf-8")
            np.save(aside / layout.TRAINING_HASHES, training_hashes, allow_pickle=False)
            write_more(aside)
            checksums = {path.name: file_sha256(path) for path in sorted(aside.iterdir())}
            manifest = replace(manifest, checksums=checksums, frozen_sha256=frozen_sha256)
            write_json(aside / layout.MANIFEST, manifest.to_dict())
    except NameTakenError:
        raise
    except Exception as error:  # safetensors wraps the system's errors in its own
        raise EmoclassError(f"{target}: the model could not be saved, nothing was changed: {error}") from error
    return StoredModel(target, manifest)


def check_free(name: str, *, overwrite: bool = False) -> Path:
    """Return the directory for a new model of this name.

    Raises:
        ConfigError: The name cannot be used.
        NameTakenError: There is a model of that name, and ``overwrite`` is not set.
    """
    target = models_dir() / layout.check_name(name)
    if name == starter.NAME:
        raise ConfigError(f"{name!r} is the name of the model that comes with emoclass: choose another --name")
    if target.exists() and not overwrite:
        resume = " (the same command with --resume continues its training)" if _is_unfinished(target) else ""
        raise NameTakenError(
            f"a model named {name!r} exists{resume}; choose another --name, pass --overwrite, "
            f"or remove it: emoclass models remove {name}"
        )
    return target


def require_new(directory: str | Path) -> Path:
    """Return a directory for a new model that is none of the user's models.

    Raises:
        NameTakenError: It exists.
    """
    target = expanded(directory)
    if target.exists():
        raise NameTakenError(f"{directory} exists: choose a new directory for the model")
    return target


def _is_unfinished(directory: Path) -> bool:
    try:
        manifest = find_model(directory).manifest
    except ModelError:
        return False
    return saved_by_unfinished(manifest.name, manifest.created_at)


def require_writable(*sizes: int) -> None:
    """Check that a model could be saved, which consists of files of these sizes in bytes.

    Raises:
        ModelError: It could not.
    """
    directory = models_dir()
    try:
        require_room(directory, *sizes)
    except OSError as error:
        needed = f", which takes {sum(sizes) >> 20} MiB" if sizes else ""
        raise ModelError(
            f"{directory}: no model can be saved here{needed}: {error.strerror or error}: "
            "free some space, or set EMOCLASS_HOME to a directory where you may write"
        ) from error


def free_name(preferred: str) -> str:
    """Return the preferred name, or the first of ``NAME-2``, ``NAME-3`` and so on that is free."""
    numbered = (f"{preferred}-{number}" for number in count(2))
    return next(name for name in chain([preferred], numbered) if not (models_dir() / name).exists())


def _frozen_files() -> dict[str, list[tuple[Path, str]]]:
    """Return the files of frozen tensors with their SHA-256, by the hash of the tensors."""
    files = defaultdict(list)
    for model in list_models()[0]:
        manifest = model.manifest
        if manifest.frozen_sha256 and layout.FROZEN in manifest.checksums:
            file = model.directory / layout.FROZEN
            files[manifest.frozen_sha256].append((file, manifest.checksums[layout.FROZEN]))
    return files


@contextmanager
def _vacant(name: str, *, overwrite: bool) -> Iterator[None]:
    with reserved(models_dir() / name):
        step_aside(check_free(name, overwrite=overwrite))
        yield


def export_model(
    name: str | Path | StoredModel | None, directory: str | Path, *, overwrite: bool = False
) -> StoredModel:
    """Write a copy of a model that shares no files, and that emoclass and transformers load on any machine.

    Args:
        name: The model.
        directory: A new directory.
        overwrite: Whether to replace another model in that directory.

    Raises:
        ModelError: There is no such model, it is damaged, or the directory exists.
        EmoclassError: The copy cannot be written; nothing is left of it.
    """
    model = find_model(name)
    target = expanded(directory).resolve()

    def replaceable(place: Path) -> bool:
        return overwrite and (place / layout.MANIFEST).is_file()

    if target.exists() and not replaceable(target):
        hint = "is not a model: name a new directory" if overwrite else "name a new directory, or pass --overwrite"
        raise ModelError(f"{directory}: exists already; {hint}")
    if target.exists() and target.parent == models_dir().resolve():
        raise ModelError(f"{directory}: is a stored model; name a directory elsewhere")
    try:
        with whole_directory(target, holding=replacing(target, replaceable)) as aside:
            return replace(copy_model(model, aside), directory=target)
    except OSError as error:
        raise EmoclassError(f"{target}: cannot be written, nothing is left of it: {error.strerror}") from error


def copy_model(model: StoredModel, directory: Path) -> StoredModel:
    """Write all files of a model, verified and of one version, into an empty directory; return the copy.

    Raises:
        ModelError: The model is damaged, or has been removed.
        OSError: The copy cannot be written.
    """

    def copy(version: StoredModel) -> StoredModel:
        verify_model(version)
        for file in directory.iterdir():  # of another version
            file.unlink()
        for name in (layout.MANIFEST, *version.manifest.checksums):
            if name != layout.CARD or (version.directory / name).exists():
                shutil.copyfile(version.directory / name, directory / name)
        return StoredModel(directory, _with_frozen(directory, version.manifest))

    return read_model(model, copy)


def _with_frozen(directory: Path, manifest: Manifest) -> Manifest:
    """Write the frozen weights of a model whose directory lacks them; return its manifest with their checksum."""
    if not starter.lacks_frozen(directory, manifest):
        return manifest
    import torch

    own = map_tensors(directory)
    # Copies: a file that arrays are mapped from is written anew.
    whole = starter.with_frozen(own, directory, manifest)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in whole.items()}
    write_shards(directory, tensors, own.keys(), {})
    names = sorted({*manifest.checksums, layout.FROZEN} & {path.name for path in directory.iterdir()})
    manifest = replace(manifest, checksums={name: file_sha256(directory / name) for name in names})
    write_json(directory / layout.MANIFEST, manifest.to_dict())
    return manifest


def remove_model(name: str) -> Path:
    """Remove a stored model; return the directory where it was.

    Raises:
        ModelError: There is no stored model of that name, or it cannot be removed.
    """
    if name == starter.NAME:
        raise ModelError(f"{name!r} comes with emoclass and cannot be removed")
    if not layout.is_name(name) and parse_name(name) is not None and not expanded(name).exists():
        raise ModelError(
            f"{name!r} is no model on this disk; to remove one of the hub from its cache: hf cache rm model/{name}"
        )
    directory = models_dir() / layout.check_name(name)
    try:
        if directory.is_dir() or was_reserved(directory):
            with reserved(directory):
                if directory.is_dir():
                    discard(directory)
                    return directory
    except OSError as error:
        raise ModelError(f"{directory}: cannot be removed: {error.strerror}") from None
    other = find_model(name).directory
    if other == directory:  # saved just now
        return remove_model(name)
    raise ModelError(f"{str(other)!r} is a directory outside {models_dir()}; remove it yourself")
