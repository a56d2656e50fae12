"""Trained models on disk: saved whole or not at all, checked when loaded, listed, removed."""

from __future__ import annotations

import difflib
import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from os import stat_result
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from emoclass.errors import EmoclassError, ModelError, NameTakenError, one_line
from emoclass.fingerprint import file_sha256
from emoclass.runtime import expanded, models_dir
from emoclass.store import layout
from emoclass.store.layout import Manifest
from emoclass.store.replacing import discard, names_in, reserved, settled, step_aside, tidy, was_reserved, written_aside
from emoclass.store.shards import write_shards

T = TypeVar("T")
# So often may a model be replaced while it is read, before replacing it has to wait.
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
        """Bytes of the files that no other model shares: what removing it frees."""
        return sum(stat.st_size for stat in self._stats() if stat.st_nlink == 1)

    def _stats(self) -> Iterator[stat_result]:
        with suppress(OSError):  # it may be removed at this moment
            for path in self.directory.iterdir():
                if path.is_file():
                    yield path.stat()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object, indented, as UTF-8."""
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
    """Saves a model under its name in the user's model directory.

    The directory is written aside, flushed to the disk and renamed, so that a model appears whole or not at all.
    ``trained`` names the tensors that are its own; the others may be shared with models of the same base.

    Raises:
        ConfigError: The name cannot be used.
        NameTakenError: There is a model of that name, perhaps by now, and ``overwrite`` is not set.
        EmoclassError: The disk is full or cannot be written; what was there before is untouched.
    """
    target = check_free(manifest.name, overwrite=overwrite)
    try:
        with written_aside(target, holding=_vacant(manifest.name, overwrite=overwrite)) as partial:
            frozen_sha256 = write_shards(partial, tensors, trained, _frozen_files())
            write_json(partial / layout.CONFIG, config)
            (partial / layout.TOKENIZER).write_text(tokenizer_json, encoding="utf-8")
            write_json(partial / layout.TOKENIZER_CONFIG, tokenizer_config)
            lines = [json.dumps(epoch, ensure_ascii=False) + "\n" for epoch in history]
            (partial / layout.HISTORY).write_text("".join(lines), encoding="utf-8")
            (partial / layout.CARD).write_text(card, encoding="utf-8")
            np.save(partial / layout.TRAINING_HASHES, training_hashes, allow_pickle=False)
            write_more(partial)
            mode = (partial / layout.CONFIG).stat().st_mode
            for path in partial.glob("*.safetensors"):
                _set_mode(path, mode)
            checksums = {path.name: file_sha256(path) for path in sorted(partial.iterdir())}
            manifest = replace(manifest, checksums=checksums, frozen_sha256=frozen_sha256)
            write_json(partial / layout.MANIFEST, manifest.to_dict())
    except NameTakenError:
        raise
    except Exception as error:  # safetensors wraps the system's errors in its own
        raise EmoclassError(f"{target}: the model could not be saved, nothing was changed: {error}") from error
    return StoredModel(target, manifest)


def _set_mode(path: Path, mode: int) -> None:
    """Lets the user's umask decide: safetensors' files are for the user alone, as long as nobody says otherwise."""
    stat = path.stat()
    if stat.st_mode != mode:
        # A file that is shared with another user's model is that user's.
        with suppress(PermissionError) if stat.st_nlink > 1 else nullcontext():
            path.chmod(mode)


def check_free(name: str, *, overwrite: bool = False) -> Path:
    """Where a new model of this name goes.

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


def free_name(wanted: str) -> str:
    """The wanted name, or with the first number behind it that makes it new."""
    numbered = (f"{wanted}-{number}" for number in count(2))
    return next(name for name in chain([wanted], numbered) if not (models_dir() / name).exists())


def _frozen_files() -> dict[str, list[tuple[Path, str]]]:
    """Files of frozen tensors with their SHA-256, by the hash of the tensors."""
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
    """All trained models, newest first, and a note on each directory that cannot be read."""
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
    """A trained model by its name, by its directory, or the newest one.

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
    """The stored model of this name, if there is one; waits while it is being replaced."""
    directory = models_dir() / name
    with suppress(ModelError):
        return open_model(directory)
    with settled(directory):
        return open_model(directory) if directory.is_dir() else None


def read_model(model: StoredModel, read: Callable[[StoredModel], T]) -> T:
    """What ``read`` makes of the files of a model, all of one version though it may be replaced meanwhile.

    Raises:
        ModelError: It has been removed.
        EmoclassError: What ``read`` raises.
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
    """Reads the manifest of a model directory.

    Raises:
        ModelError: It is not a model directory of emoclass, or its manifest is damaged.
    """
    path = directory / layout.MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return StoredModel(directory, Manifest.from_dict(values))
    except FileNotFoundError:
        raise ModelError(f"{directory}: is not a model that emoclass trained, there is no {path.name}") from None
    except (OSError, ValueError, AttributeError, RecursionError, ModelError) as error:
        raise ModelError(f"{path}: {one_line(error)}") from None


def verify_model(model: StoredModel) -> None:
    """Compares all files with their checksums.

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
            raise ModelError(f"{path}: the file is damaged, its checksum is wrong; restore it or train again")


class Verification:
    """``verify_model`` in a thread of its own: hashing half a gigabyte and importing torch can go side by side."""

    def __init__(self, model: StoredModel) -> None:
        self.model = model
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="emoclass-verify", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Waits for the end.

        Raises:
            ModelError: A file is missing or has changed.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            verify_model(self.model)
        except BaseException as caught:  # raised where it is waited for
            self._error = caught


def export_model(name: str | Path | None, directory: str | Path) -> StoredModel:
    """Writes a copy of a model that shares nothing, and that emoclass and transformers load on any machine.

    Raises:
        ModelError: There is no such model, it is damaged, or the directory exists already.
        EmoclassError: The copy cannot be written; nothing is left of it.
    """
    model = find_model(name)
    target = expanded(directory).resolve()
    if target.exists():
        raise ModelError(f"{directory}: exists already; name a new directory")
    try:
        with written_aside(target) as partial:

            def copy(version: StoredModel) -> StoredModel:
                verify_model(version)
                for file in partial.iterdir():  # of another version
                    file.unlink()
                for name in (layout.MANIFEST, *version.manifest.checksums):
                    shutil.copyfile(version.directory / name, partial / name)
                return StoredModel(target, version.manifest)

            return read_model(model, copy)
    except OSError as error:
        raise EmoclassError(f"{target}: cannot be written, nothing is left of it: {error.strerror}") from error


def remove_model(name: str) -> Path:
    """Removes a stored model; returns where it was.

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
    found = find_model(name).directory
    if found == directory:  # saved this moment
        return remove_model(name)
    raise ModelError(f"{str(found)!r} is a directory outside {models_dir()}; remove it yourself")
