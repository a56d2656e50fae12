"""Directories that appear whole, are replaced and go: one process at a time, and a kill at any instant loses nothing.

A directory ``X`` that is replaced is ``.X.old`` for a moment; ``.X.*.partial`` is being written, ``.X.*.removed`` being
deleted. Locks are files in ``.locks``; they stay, for whoever waits for one has it open.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from emoclass.errors import BusyError
from emoclass.locking import locked

# What a save that was killed left behind is cleared away after this time.
_STALE_SECONDS = 3600.0
# Places are reserved for moments; who still waits after this time waits for somebody who hangs.
_PATIENCE_SECONDS = 30.0
_OLD, _PARTIAL, _REMOVED = ".old", ".partial", ".removed"


@contextmanager
def written_aside(target: Path, *, holding: AbstractContextManager[None] | None = None) -> Iterator[Path]:
    """A new directory that takes its place at the end of a ``with`` block that was left in peace.

    Args:
        target: The place.
        holding: Entered while the directory, by then flushed to the disk, gets its name.

    Raises:
        OSError: The directory cannot be made or renamed; nothing is left of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_PARTIAL, dir=target.parent))
    try:
        yield partial
        _apply_umask(partial)
        for path in (*partial.iterdir(), partial):
            _flush(path)
        with holding or nullcontext():
            partial.rename(target)
        _flush(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def reserved(target: Path) -> Iterator[None]:
    """Nobody else replaces or removes this directory in the meantime; what a killed process left half done is undone.

    Raises:
        BusyError: Another process has been at it for long.
        OSError: Its parent cannot be written.
    """
    with locked(_lock_file(target), seconds=_PATIENCE_SECONDS):
        _put_right(target)
        try:
            yield
        finally:
            _put_right(target)


@contextmanager
def settled(target: Path) -> Iterator[None]:
    """Nobody replaces or removes this directory in the meantime; for readers, who may not be allowed to write.

    Raises:
        BusyError: Another process has been at it for long.
    """
    with ExitStack() as stack:
        if was_reserved(target):
            with suppress(OSError):
                stack.enter_context(reserved(target))
        yield


def was_reserved(target: Path) -> bool:
    """Whether somebody may be replacing or removing this directory."""
    return _lock_file(target).exists()


def step_aside(target: Path) -> None:
    """Makes a reserved place free; at the end of the reservation the old directory goes, or is back if no new one came.

    Raises:
        OSError: The directory cannot be renamed.
    """
    if target.exists():
        target.rename(_old(target))


def discard(directory: Path) -> None:
    """Takes a directory out of sight at once, then deletes it.

    Raises:
        OSError: It cannot be renamed.
    """
    if directory.is_symlink():  # what it leads to belongs to somebody
        directory.unlink()
        return
    doomed = directory.with_name(f".{directory.name.lstrip('.')}.{secrets.token_hex(4)}{_REMOVED}")
    directory.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def names_in(parent: Path) -> list[str]:
    """Names of what lies in a directory, also of what is being replaced; without other hidden names."""
    names = {path.name for path in parent.iterdir()} if parent.is_dir() else set[str]()
    replaced = {name[1:].removesuffix(_OLD) for name in names if name.startswith(".") and name.endswith(_OLD)}
    return sorted(replaced | {name for name in names if not name.startswith(".")})


def tidy(parent: Path) -> None:
    """Puts back what a killed replacement left aside, and clears away what killed saves and removals left."""
    for path in parent.glob(".*") if parent.is_dir() else ():
        with suppress(OSError, BusyError):
            if path.is_symlink():
                continue
            if path.suffix == _OLD:
                with reserved(path.with_name(path.stem[1:])):
                    pass
            elif path.suffix == _REMOVED or (
                path.suffix == _PARTIAL and time.time() - path.stat().st_mtime > _STALE_SECONDS
            ):
                shutil.rmtree(path, ignore_errors=True)


def _lock_file(target: Path) -> Path:
    return target.parent / ".locks" / target.name


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}{_OLD}")


def _put_right(target: Path) -> None:
    old = _old(target)
    with suppress(OSError):  # whoever reserves the place next tries again
        if target.exists():
            discard(old)
        else:
            old.rename(target)


def _apply_umask(directory: Path) -> None:
    # mkdtemp makes private directories; others get the user's usual permissions.
    umask = os.umask(0)
    os.umask(umask)
    directory.chmod(0o777 & ~umask)


def _flush(path: Path) -> None:
    # Directories cannot be opened for flushing on Windows, and some network file systems refuse to flush them.
    with suppress(OSError if path.is_dir() else PermissionError):
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
