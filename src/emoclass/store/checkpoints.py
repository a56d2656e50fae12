"""Trained models on disk: saved whole or not at all, verified when loaded, listed, exported, removed."""

from __future__ import annotations

import difflib
import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from os import stat_result
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from emoclass import lfs
from emoclass.errors import EmoclassError, ModelError, NameTakenError, one_line
from emoclass.files import whole_directory
from emoclass.fingerprint import file_sha256
from emoclass.runtime import expanded, models_dir
from emoclass.store import layout
from emoclass.store.layout import Manifest
from emoclass.store.replacing import discard, names_in, reserved, settled, step_aside, tidy, was_reserved
from emoclass.store.shards import write_shards

T = TypeVar("T")
# A model that is replaced this many times while it is read is then locked for reading.
_READS = 3


@dataclass(frozen=True)
class StoredModel:
    """A model directory whose manifest has been read."""

    directory: Path
    manifest: Manifest

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
) -> StoredModel:
    """Save a model under its name in the user's model directory, whole or not at all.

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

    Raises:
        ConfigError: The name cannot be used.
        NameTakenError: There is a model of that name, perhaps only since now, and ``overwrite`` is not set.
        EmoclassError: The disk is full or cannot be written; an existing model is unchanged.
    """
    target = check_free(manifest.name, overwrite=overwrite)
    try:
        with whole_directory(target, holding=_vacant(manifest.name, overwrite=overwrite)) as aside:
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
    if target.exists() and not overwrite:
        raise NameTakenError(
            f"a model named {name!r} exists; choose another --name, pass --overwrite, "
            f"or remove it: emoclass models remove {name}"
        )
    return target


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
    """Return a trained model by its name, by its directory, or the newest one.

    Raises:
        ModelError: There is no such model, or it is damaged.
    """
    if name is None:
        models, notes = list_models()
        if not models:
            reason = f" ({notes[0]})" if notes else ""
            raise ModelError(f"there is no trained model in {models_dir()}{reason}; run emoclass train first")
        return models[0]
    path = expanded(name)
    own = path.name if path.absolute().parent == models_dir().absolute() else str(name)
    stored = _stored(own) if layout.is_name(own) else None
    if stored is not None:
        return stored
    if path.is_dir():
        return open_model(path)
    names = [model.directory.name for model in list_models()[0]]
    close = difflib.get_close_matches(own, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names[:10]) or 'none'}"
    raise ModelError(f"there is no model named {own!r} and no such directory; {hint}")


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


def verify_model(model: StoredModel) -> None:
    """Compare all files with their checksums.

    Raises:
        ModelError: A file is missing or has changed; the message names it.
    """
    for name, checksum in model.manifest.checksums.items():
        path = model.directory / name
        if Path(name).name != name or not name.isprintable():
            raise ModelError(f"{model.directory / layout.MANIFEST}: names a file outside the model: {name!r}")
        if path.is_symlink():
            raise ModelError(f"{path}: is a link; put the file itself there, or train the model again")
        try:
            actual = file_sha256(path)
        except OSError as error:
            raise ModelError(
                f"{path}: cannot be read: {error.strerror}; the model is damaged, train it again"
            ) from None
        if actual != checksum:
            problem = "the file is damaged, its checksum is wrong; restore it or train again"
            raise ModelError(lfs.explain(path, problem))


class Verification:
    """``verify_model`` in a thread, so that half a gigabyte is hashed while torch is imported."""

    def __init__(self, model: StoredModel) -> None:
        self.model = model
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="emoclass-verify", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end.

        Raises:
            ModelError: A file is missing or has changed.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            verify_model(self.model)
        except BaseException as caught:  # raised by ``wait``
            self._error = caught


def export_model(name: str | Path | None, directory: str | Path) -> StoredModel:
    """Write a copy of a model that shares no files, and that emoclass and transformers load on any machine.

    Raises:
        ModelError: There is no such model, it is damaged, or the directory exists.
        EmoclassError: The copy cannot be written; nothing is left of it.
    """
    model = find_model(name)
    target = expanded(directory).resolve()
    if target.exists():
        raise ModelError(f"{directory}: exists already; name a new directory")
    try:
        with whole_directory(target) as aside:

            def copy(version: StoredModel) -> StoredModel:
                verify_model(version)
                for file in aside.iterdir():  # of another version
                    file.unlink()
                for name in (layout.MANIFEST, *version.manifest.checksums):
                    shutil.copyfile(version.directory / name, aside / name)
                return StoredModel(target, version.manifest)

            return read_model(model, copy)
    except OSError as error:
        raise EmoclassError(f"{target}: cannot be written, nothing is left of it: {error.strerror}") from error


def remove_model(name: str) -> Path:
    """Remove a stored model; return the directory where it was.

    Raises:
        ModelError: There is no stored model of that name, or it cannot be removed.
    """
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
