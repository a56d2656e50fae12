"""New directories, and files that belong together: they appear whole or not at all."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emoclass.errors import DataError


def free_directory(directory: str | Path, purpose: str) -> Path:
    """Return the whole path of a directory that does not exist yet, or is empty.

    Raises:
        DataError: it is not empty, or cannot be a directory; ``purpose`` says of what.
    """
    try:
        target = Path(directory).resolve()
        if not target.exists() or not any(target.iterdir()):
            return target
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{directory}: cannot be a directory for {purpose}: {reason}: name a new one") from error
    raise DataError(f"{directory}: is not empty, and nothing in it was touched: name a new directory")


@contextmanager
def new_directory(target: Path, purpose: str, *, name: str | Path) -> Iterator[Path]:
    """Give a hidden sibling to write into, and rename it at the end: on the same file system that happens at once.

    An empty directory that is there stays the same one, for somebody may be in it, and it may be a disk of its own:
    then the hidden one is in it, and what was written moves up.

    Args:
        target: as ``free_directory`` gives it; parents are made.
        purpose: what is written, for messages.
        name: how the user called it.

    Raises:
        DataError: it cannot be written; nothing is left behind, as after any other error.
    """
    is_there = target.exists()
    with _aside(target / target.name if is_there else target, purpose, name) as aside:
        aside.mkdir(parents=True)
        yield aside
        if is_there:
            _move_content(aside, target)
        else:
            aside.rename(target)


@contextmanager
def new_files(target: Path, purpose: str) -> Iterator[Path]:
    """Give a hidden directory to write files into, and move them to the directory of ``target`` at the end.

    Args:
        target: one of the files, for messages; its directory is there.
        purpose: what is written, for messages.

    Raises:
        DataError: they cannot be written; nothing is left behind, as after any other error.
    """
    with _aside(target, purpose, target) as aside:
        aside.mkdir()
        yield aside
        _move_content(aside, target.parent)


def _move_content(source: Path, target: Path) -> None:
    """Move all that is in a directory into another one on the same disk, or nothing."""
    moved: list[Path] = []
    try:
        for path in sorted(source.iterdir()):
            moved.append(path.rename(target / path.name))
    except BaseException:
        for path in moved:
            path.rename(source / path.name)
        raise
    source.rmdir()


@contextmanager
def _aside(target: Path, purpose: str, name: str | Path) -> Iterator[Path]:
    """A free name beside ``target``; what is there after an error goes."""
    aside = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    try:
        yield aside
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise DataError(
            f"{name}: {purpose} could not be written: {error.strerror or error}: nothing was"
            " left there; free some space or name another place"
        ) from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
