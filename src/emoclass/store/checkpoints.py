"""Trained models on disk: saved whole or not at all, checked when loaded, listed, removed."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.errors import EmoclassError, ModelError, one_line
from emoclass.fingerprint import file_sha256
from emoclass.runtime import models_dir
from emoclass.store import layout
from emoclass.store.layout import Manifest
from emoclass.store.shards import write_shards

# What a save or a removal that was killed left behind may be cleared away, or put back, after this time.
_STALE_SECONDS = 3600.0
# The moment in which a model is replaced is over after this time.
_SWAP_SECONDS = 5.0


@dataclass(frozen=True)
class StoredModel:
    """A model directory whose manifest has been read."""

    directory: Path
    manifest: Manifest

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.directory.iterdir() if path.is_file())

    @property
    def own_size(self) -> int:
        """Bytes of the files that no other model shares: what removing it frees."""
        stats = [path.stat() for path in self.directory.iterdir() if path.is_file()]
        return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


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
        ModelError: There is a model of that name, and ``overwrite`` is not set.
        EmoclassError: The disk is full or cannot be written; what was there before is untouched.
    """
    target = check_free(manifest.name, overwrite=overwrite)
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{manifest.name}.", suffix=".partial", dir=target.parent))
        frozen_sha256 = write_shards(partial, tensors, trained, list_models()[0])
        write_json(partial / layout.CONFIG, config)
        (partial / layout.TOKENIZER).write_text(tokenizer_json, encoding="utf-8")
        write_json(partial / layout.TOKENIZER_CONFIG, tokenizer_config)
        lines = [json.dumps(epoch, ensure_ascii=False) + "\n" for epoch in history]
        (partial / layout.HISTORY).write_text("".join(lines), encoding="utf-8")
        (partial / layout.CARD).write_text(card, encoding="utf-8")
        np.save(partial / layout.TRAINING_HASHES, training_hashes, allow_pickle=False)
        write_more(partial)
        for path in partial.glob("*.safetensors"):
            # safetensors' files are for the user alone; here it is the user's umask that decides.
            path.chmod((partial / layout.CONFIG).stat().st_mode)
        checksums = {path.name: file_sha256(path) for path in sorted(partial.iterdir())}
        manifest = replace(manifest, checksums=checksums, frozen_sha256=frozen_sha256)
        write_json(partial / layout.MANIFEST, manifest.to_dict())
        _publish(partial, target, overwrite=overwrite)
    except Exception as error:  # safetensors wraps the system's errors in its own
        raise EmoclassError(f"{target}: the model could not be saved, nothing was changed: {error}") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return StoredModel(target, manifest)


def check_free(name: str, *, overwrite: bool = False) -> Path:
    """Where a new model of this name goes.

    Raises:
        ConfigError: The name cannot be used.
        ModelError: There is a model of that name, and ``overwrite`` is not set.
    """
    target = models_dir() / layout.check_name(name)
    if target.exists() and not overwrite:
        raise ModelError(
            f"a model named {name!r} exists; choose another --name, pass --overwrite, "
            f"or remove it: emoclass models remove {name}"
        )
    return target


def free_name(wanted: str) -> str:
    """The wanted name, or with the first number behind it that makes it new."""
    taken = {path.name for path in models_dir().iterdir()} if models_dir().is_dir() else set()
    return next(name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)


def _publish(partial: Path, target: Path, *, overwrite: bool) -> None:
    """Moves a finished directory to its place; an older one steps aside first and then goes."""
    _apply_umask(partial)
    for path in (*partial.iterdir(), partial):
        _flush(path)
    old = None
    try:
        if overwrite and target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent)) / target.name
            target.rename(old)
        partial.rename(target)
    except OSError:
        if old is not None:
            if old.exists():
                old.rename(target)
            old.parent.rmdir()
        raise
    if old is not None:
        shutil.rmtree(old.parent, ignore_errors=True)
    _flush(target.parent)


def _apply_umask(directory: Path) -> None:
    # mkdtemp makes private directories; a model gets the user's usual permissions.
    umask = os.umask(0)
    os.umask(umask)
    directory.chmod(0o777 & ~umask)


def _flush(path: Path) -> None:
    # Directories cannot be opened for flushing on Windows.
    with suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def list_models() -> tuple[list[StoredModel], list[str]]:
    """All trained models, newest first, and a note on each directory that cannot be read."""
    models, notes = [], []
    directory = models_dir()
    _tidy(directory)
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            models.append(open_model(path))
        except ModelError as error:
            notes.append(str(error))
    return sorted(models, key=lambda model: model.manifest.created_at, reverse=True), notes


def _tidy(directory: Path) -> None:
    """Puts back a model whose replacement was killed half-way, and clears away what killed saves left."""
    for path in directory.glob(".*") if directory.is_dir() else ():
        with suppress(OSError):
            if path.suffix not in (".partial", ".old", ".removed") or path.is_symlink():
                continue
            age = time.time() - path.stat().st_mtime
            if path.suffix == ".old" and age > _SWAP_SECONDS:
                for model in path.iterdir():
                    if not (directory / model.name).exists():
                        model.rename(directory / model.name)
            if age > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


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
    for _ in range(int(_SWAP_SECONDS / 0.05)):
        stored = named_directory(str(name))
        if stored is not None:
            return open_model(stored)
        if not _is_being_replaced(str(name)):
            break
        time.sleep(0.05)
    path = Path(name).expanduser()
    if path.is_dir():
        return open_model(path)
    names = [model.directory.name for model in list_models()[0]]
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names[:10]) or 'none'}"
    raise ModelError(f"there is no model named {str(name)!r} and no such directory; {hint}")


def _is_being_replaced(name: str) -> bool:
    return layout.is_name(name) and any(models_dir().glob(f".{name}.*.old"))


def named_directory(name: str) -> Path | None:
    """The directory of the stored model of this name, if there is one."""
    path = models_dir() / name
    return path if layout.is_name(name) and path.is_dir() else None


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
    verify_model(model)
    target = Path(directory).expanduser().resolve()
    if target.exists():
        raise ModelError(f"{directory}: exists already; name a new directory")
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
        for file in (layout.MANIFEST, *model.manifest.checksums):
            shutil.copyfile(model.directory / file, partial / file)
        _publish(partial, target, overwrite=False)
    except OSError as error:
        raise EmoclassError(f"{target}: cannot be written, nothing is left of it: {error.strerror}") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return StoredModel(target, model.manifest)


def remove_model(name: str) -> Path:
    """Removes a stored model; returns where it was.

    Raises:
        ModelError: There is no stored model of that name, or it cannot be removed.
    """
    directory = named_directory(name)
    if directory is None:
        find_model(name if layout.is_name(name) else layout.check_name(name))
        raise ModelError(f"{name!r} is a directory outside {models_dir()}; remove it yourself")
    try:
        # Renamed first: a model that is half gone must not be listed.
        doomed = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".removed", dir=directory.parent))
        directory.rename(doomed / name)
        shutil.rmtree(doomed)
    except OSError as error:
        raise ModelError(f"{directory}: cannot be removed: {error.strerror}") from None
    return directory
