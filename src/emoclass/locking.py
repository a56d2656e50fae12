"""Locks between processes, which are released when their holder ends, however it ends.

Where a file system has no locks, as on some clusters, a file that names its owner takes their place.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from emoclass.errors import BusyError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_POLL_SECONDS, _WRITTEN_SECONDS = 0.05, 10.0


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold the lock of a file, which is created if necessary and stays empty.

    Raises:
        BusyError: Another process still holds it after this many ``seconds``.
        OSError: The file cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if not _lock(path, seconds, stack):
            path.touch()  # whoever looks for the lock finds it
            _own(path.with_name(f"{path.name}~"), seconds, stack)
        yield


def _lock(path: Path, seconds: float, stack: ExitStack) -> bool:
    """Lock a file until the end of the stack; return whether its file system has locks."""
    from filelock import FileLock, Timeout  # takes longer to import than a prediction takes

    lock = FileLock(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # it would use a lock of its own, which stays after a kill
            lock.acquire(timeout=seconds)
    except Timeout:
        raise _busy(path, seconds) from None
    except UserWarning:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    stack.callback(lock.release)
    return True


def _own(path: Path, seconds: float, stack: ExitStack) -> None:
    """Create a file that nobody else has created, and remove it at the end of the stack."""
    own = f"{os.getpid()} {socket.gethostname()} {os.urandom(8).hex()}".encode()
    deadline = time.monotonic() + seconds
    stack.callback(_disown, path, own)
    while not _create(path, own):
        content = _content(path)
        if _is_left_over(path, content):
            _disown(path, content)
        elif time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        else:
            raise _busy(path, seconds, content)


def _create(path: Path, content: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, content)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
    return True


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _disown(path: Path, content: bytes) -> None:
    """Remove a file that still has this content; one that another process has made meanwhile is put back."""
    aside = path.with_name(f"{path.name}{os.urandom(4).hex()}")
    with suppress(OSError):
        if _content(path) == content:
            path.rename(aside)
            if _content(aside) != content:
                os.link(aside, path)
            aside.unlink()


def _is_left_over(path: Path, content: bytes) -> bool:
    """Return whether the owner of a file was a process of this machine, or did not get to say so, and has ended."""
    pid, host = _owner(content)
    if not content:
        with suppress(OSError):
            return path.stat().st_mtime < time.time() - _WRITTEN_SECONDS
    if host != socket.gethostname() or os.name == "nt":  # where signal 0 would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's
        pass
    return False


def _owner(content: bytes) -> tuple[int, str]:
    """Return process and machine; 0 and an empty name if they are not written yet."""
    words = content.decode("utf-8", "replace").split()
    return (int(words[0]), words[1]) if len(words) == 3 and words[0].isdecimal() else (0, "")


def _busy(path: Path, seconds: float, content: bytes = b"") -> BusyError:
    pid, host = _owner(content)
    holder = f"process {pid} on {host}; if that is gone, remove {path}" if host else None
    name = "another process" if holder is None else f"another process ({holder})"
    return BusyError(
        f"{path}: {name} has held this lock for {seconds:.0f} s; wait for it or end it, then try again", holder
    )
