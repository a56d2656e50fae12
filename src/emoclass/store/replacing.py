"""Directories that are replaced and removed by one process at a time; a kill at any instant loses nothing.

A directory ``X`` that is being replaced is called ``.X.old`` for a moment. Locks are files in ``.locks``; they stay,
because whoever waits for one has it open.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from emoclass.errors import BusyError
from emoclass.files import remove_temporaries, temporary_sibling
from emoclass.locking import locked

# Reservations last for moments; whoever waits longer than this waits for a process that hangs.
_PATIENCE_SECONDS = 30.0
_OLD = ".old"


@contextmanager
def reserved(target: Path) -> Iterator[None]:
    """Keep other processes from replacing or removing a directory, after completing what a killed one began.

    Raises:
        BusyError: Another process holds the reservation for too long.
        OSError: The parent directory cannot be written.
    """
    with locked(_lock_file(target), seconds=_PATIENCE_SECONDS):
        _restore_or_discard_old(target)
        try:
            yield
        finally:
            _restore_or_discard_old(target)


@contextmanager
def settled(target: Path) -> Iterator[None]:
    """Keep other processes from replacing or removing a directory; for readers, who may have no right to write.

    Raises:
        BusyError: Another process holds the reservation for too long.
    """
    with ExitStack() as stack:
        if was_reserved(target):
            with suppress(OSError):
                stack.enter_context(reserved(target))
        yield


def was_reserved(target: Path) -> bool:
    """Return whether a process may be replacing or removing this directory."""
    return _lock_file(target).exists()


def step_aside(target: Path) -> None:
    """Rename a reserved directory; the end of the reservation removes it, or restores it if there is no new one.

    Raises:
        OSError: The directory cannot be renamed.
    """
    if target.exists():
        target.rename(_old(target))


def discard(directory: Path) -> None:
    """Hide a directory at once, then delete it.

    Raises:
        OSError: It cannot be renamed.
    """
    if directory.is_symlink():  # its target belongs to somebody
        directory.unlink()
        return
    shutil.rmtree(directory.rename(temporary_sibling(directory)), ignore_errors=True)


def names_in(parent: Path) -> list[str]:
    """Return the names in a directory, those being replaced included, other hidden ones not."""
    names = {path.name for path in parent.iterdir()} if parent.is_dir() else set[str]()
    replaced = {name[1:].removesuffix(_OLD) for name in names if name.startswith(".") and name.endswith(_OLD)}
    return sorted(replaced | {name for name in names if not name.startswith(".")})


def tidy(parent: Path) -> None:
    """Restore what killed replacements renamed, and remove what killed saves and removals left."""
    for path in parent.glob(f".*{_OLD}") if parent.is_dir() else ():
        with suppress(OSError, BusyError):
            if not path.is_symlink():
                with reserved(path.with_name(path.stem[1:])):
                    pass
    remove_temporaries(parent)


def _lock_file(target: Path) -> Path:
    return target.parent / ".locks" / target.name


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}{_OLD}")


def _restore_or_discard_old(target: Path) -> None:
    old = _old(target)
    with suppress(OSError):  # the next reservation tries again
        if target.exists():
            discard(old)
        else:
            old.rename(target)
