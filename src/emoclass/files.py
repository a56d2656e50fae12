"""Files and directories that appear whole or not at all.

What is written goes into a hidden sibling, ``.NAME.0123abcd.tmp``, is flushed to the disk and renamed. What a killed
process leaves of that is removed when the same name is written a day later.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from emoclass.errors import DataError

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)
_STALE_SECONDS = 24 * 3600.0  # what is older is no longer being written
_PROBED_BYTES = 1 << 30


def temporary_sibling(target: Path) -> Path:
    """Return a free hidden name in the directory of ``target``."""
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")


def remove_temporaries(directory: Path, name: str | None = None, *, older_than: float = _STALE_SECONDS) -> int:
    """Remove what killed processes left in a directory, of one name or all; return the bytes of the removed files.

    What was modified within the last ``older_than`` seconds stays: it may be being written.
    """
    freed, latest = 0, time.time() - older_than
    with suppress(OSError):
        for path in directory.iterdir():
            match = _TEMPORARY.fullmatch(path.name)
            if match is None or name not in (None, match["name"]) or (status := path.lstat()).st_mtime > latest:
                continue
            if stat.S_ISDIR(status.st_mode):
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
                freed += status.st_size
    return freed


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield an empty hidden file that becomes or replaces ``target`` if the block ends without an error.

    Raises:
        OSError: The file cannot be written; nothing is left of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = temporary_sibling(target)
    try:
        aside.open("xb").close()
        mode = _take_mode(aside, target)
        yield aside
        _complete(aside, target, mode)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def whole_directory(target: Path, *, holding: AbstractContextManager[None] | None = None) -> Iterator[Path]:
    """Yield a hidden directory that becomes ``target`` if the block ends without an error.

    ``holding`` is entered while the directory, flushed by then, gets its name.

    Raises:
        OSError: The directory cannot be written; nothing is left of it.
    """
    with _hidden_directory(target) as aside:
        yield aside
        _flush_content(aside)
        with holding or nullcontext():
            aside.rename(target)
        _flush(target.parent)


def require_room(directory: Path, *sizes: int) -> None:
    """Check that files can be written into a directory, which need not exist yet, by making files of these sizes.

    Permissions, free space, quotas and limits are then what they are for the files to come. Of large files only the
    first gigabyte is made: some file systems write it.

    Raises:
        OSError: They cannot.
    """
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    with ExitStack() as stack:
        for size in sizes or (1,):
            aside = temporary_sibling(existing / "room")
            stack.callback(aside.unlink, missing_ok=True)
            with aside.open("xb", buffering=0) as file:
                file.write(b"\0")
                _allocate(file.fileno(), min(size, _PROBED_BYTES))
                os.fsync(file.fileno())


def _allocate(descriptor: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except AttributeError:  # macOS, Windows
        pass
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENODEV, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def _never(target: Path) -> bool:
    return False


def free_directory(
    directory: str | Path,
    purpose: str,
    *,
    replaceable: Callable[[Path], bool] = _never,
    overwritable: Callable[[Path], bool] = _never,
) -> Path:
    """Return the whole path of a directory that does not exist yet, is empty, or may be replaced.

    Raises:
        DataError: It is not empty, or cannot be a directory; ``purpose`` says of what. If it is ``overwritable``, the
            message mentions --overwrite.
    """
    problem, remedy = "is not empty, and nothing in it was touched", "name a new directory"
    try:
        target = Path(directory).resolve()
        is_replaced = target.exists() and any(target.iterdir())
        if not is_replaced or replaceable(target):
            require_room(target.parent if is_replaced else target)
            return target
        remedy += ", or pass --overwrite to replace what is there" if overwritable(target) else ""
    except (OSError, RuntimeError, ValueError) as error:
        problem = f"cannot be a directory for {purpose}: {getattr(error, 'strerror', None) or error}"
    raise DataError(f"{directory}: {problem}: {remedy}")


@contextmanager
def new_directory(
    target: Path, purpose: str, *, name: str | Path, replaceable: Callable[[Path], bool] = _never
) -> Iterator[Path]:
    """Yield a hidden directory to write files into; they appear in ``target`` if the block ends without an error.

    An empty directory stays the same one, because it may be in use or a mount point: the hidden one is made in it. One
    that is ``replaceable``, still so at the end, is replaced as a whole. Messages call the directory by ``name``, and
    what is written ``purpose``.

    Raises:
        DataError: It cannot be written; nothing is left of it.
    """
    with _data_errors(purpose, name):
        if target.exists() and not replaceable(target):
            with _hidden_directory(target / target.name) as aside:
                yield aside
                _move_content(aside, target)
        else:
            with whole_directory(target, holding=replacing(target, replaceable)) as aside:
                yield aside


@contextmanager
def replacing(target: Path, replaceable: Callable[[Path], bool]) -> Iterator[None]:
    """Move a directory away, if there is one that may be replaced, while another gets its name; remove it then."""
    if not (target.exists() and replaceable(target)):
        yield
        return
    old = temporary_sibling(target)
    os.utime(target)  # or others may take it for what a killed process left
    target.rename(old)
    try:
        yield
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_files(target: Path, purpose: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden directory to write files into; all move beside ``target`` if the block ends without an error.

    Raises:
        DataError: They cannot be written, or one of them exists and ``overwrite`` is not set; nothing is left of them.
    """
    with _data_errors(purpose, target), _hidden_directory(target) as aside:
        yield aside
        _move_content(aside, target.parent, overwrite=overwrite)


@contextmanager
def output_file(path: str | Path) -> Iterator[BinaryIO]:
    """Yield a stream to a file that appears, or is replaced, if the block ends without an error.

    It is compressed if the name ends in .gz. Links are followed; pipes and devices are written to directly. What was
    written before an error is kept as ``NAME.partial``, ``NAME.partial-2`` and so on; the error's message says where.

    Raises:
        OSError: The file cannot be written; the error has the name that was given.
    """
    target, name = Path(path), str(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory; name a file", name)
    if target.exists() and not target.is_file():
        with _stream(NamedFile(target, "wb", name), name) as file:
            yield file
        return
    place = Path(os.path.realpath(target)) if target.is_symlink() else target
    aside = temporary_sibling(place)
    try:
        with NamedFile(aside, "xb", name) as raw:
            mode = _take_mode(aside, place)  # before there is content that others may not read
            with _stream(raw, name) as file:
                yield file
        with errors_named(name):
            _complete(aside, place, mode)
    except BaseException as error:
        if kept := _keep(aside, place):
            _add_note(error, f"the output so far is in {kept}")
        raise


class NamedFile(io.FileIO):
    """An unbuffered file for writing whose errors have the name ``label``; a descriptor that is given stays open."""

    def __init__(self, file: Path | int, mode: str, label: str) -> None:
        self._label = label
        with errors_named(label):
            super().__init__(file, mode, closefd=not isinstance(file, int))

    def write(self, data: Any) -> int:
        """Write bytes; return how many."""
        with errors_named(self._label):
            return super().write(data)


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """Give this name of a file to errors of the system."""
    try:
        yield
    except OSError as error:
        error.filename = name
        raise


@contextmanager
def _stream(raw: io.FileIO, name: str) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        file: Any = stack.enter_context(io.BufferedWriter(raw))
        if name.lower().endswith(".gz"):
            file = stack.enter_context(gzip.GzipFile(fileobj=file, mode="wb", mtime=0))
        yield file


def _keep(aside: Path, place: Path) -> Path | None:
    """Give a file that is not complete a name that others see; return it, unless there is nothing to keep."""
    with suppress(FileNotFoundError):
        for number in count(1) if aside.stat().st_size else ():
            with suppress(FileExistsError):
                return _move(aside, place.with_name(f"{place.name}.partial{f'-{number}' * (number > 1)}"))
        aside.unlink()
    return None


def _add_note(error: BaseException, note: str) -> None:
    if isinstance(error, OSError):
        error.strerror = f"{error.strerror or error}; {note}"
    else:
        error.args = (f"{error}; {note}" if str(error) else note,)


@contextmanager
def _hidden_directory(target: Path) -> Iterator[Path]:
    aside = temporary_sibling(target)
    try:
        aside.mkdir(parents=True)
        yield aside
        remove_temporaries(target.parent, target.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _data_errors(purpose: str, name: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"{purpose} could not be written: {error.strerror or error}"
        raise DataError(f"{name}: {problem}: nothing is left of it; free some space or name another place") from error


def _take_mode(aside: Path, target: Path) -> int:
    """Give a file the permissions of the one that it replaces, if there is one; return those it has."""
    if target.exists():
        _set_mode(aside, stat.S_IMODE(target.stat().st_mode))
    return stat.S_IMODE(aside.stat().st_mode)


def _set_mode(path: Path, mode: int) -> None:
    with suppress(OSError):  # another user's file, linked here, or a file system without permissions
        path.chmod(mode)


def _complete(aside: Path, target: Path, mode: int) -> None:
    _set_mode(aside, mode)  # safetensors makes files that only the user can read
    _flush(aside)
    aside.replace(target)
    _flush(target.parent)
    remove_temporaries(target.parent, target.name)


def _flush_content(directory: Path) -> None:
    """Flush a directory and its files, which get the permissions that the user's umask leaves them."""
    mode = stat.S_IMODE(directory.stat().st_mode) & 0o666
    for path in directory.iterdir():
        _set_mode(path, mode)
        _flush(path)
    _flush(directory)


def _flush(path: Path) -> None:
    # Windows flushes only what is open for writing, and no directories; nor do some network file systems.
    with suppress(OSError if path.is_dir() else PermissionError):
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _move_content(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Move all files of a directory into another one, flushed, or none; with ``overwrite`` each replaces another."""
    _flush_content(source)
    with ExitStack() as undo:
        for path in sorted(source.iterdir()):
            if overwrite:
                path.replace(target / path.name)
            else:
                undo.callback(_move(path, target / path.name).unlink)
        undo.pop_all()
    _flush(target)


def _move(source: Path, target: Path) -> Path:
    """Rename a file, or raise a FileExistsError; ``rename`` alone would replace what others put there."""
    try:
        os.link(source, target)
    except OSError as error:
        if target.exists() or target.is_symlink():
            raise FileExistsError(errno.EEXIST, f"{target.name} exists", str(target)) from error
        return source.rename(target)  # a file system without hard links
    source.unlink()
    return target
