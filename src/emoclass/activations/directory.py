"""The activation files in the user's cache directory: listing, and removal of the least recently used."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emoclass.files import remove_temporaries
from emoclass.runtime import cache_dir

SUFFIX = ".activations"


@dataclass(frozen=True)
class CacheFile:
    """An activation file.

    Attributes:
        path: The file.
        size: Bytes.
        used_at: Time of last use, in seconds since the epoch.
    """

    path: Path
    size: int
    used_at: float


def list_files() -> list[CacheFile]:
    """Return all files, the most recently used first."""
    files = []
    for path in sorted(activations_dir().glob(f"*{SUFFIX}")) if activations_dir().is_dir() else ():
        with suppress(OSError):
            stat = path.stat()
            files.append(CacheFile(path, stat.st_size, stat.st_mtime))
    return sorted(files, key=lambda file: file.used_at, reverse=True)


def make_room(needed: int, limit: int) -> None:
    """Remove the least recently used files until ``needed`` more bytes stay within the limit."""
    remove_temporaries(activations_dir())
    files = list_files()
    total = sum(file.size for file in files)
    while files and total + needed > limit:
        file = files.pop()
        total -= file.size
        with suppress(OSError):  # another process may use or have removed it
            file.path.unlink()


def clear() -> int:
    """Remove all files, also those that are being written; return the bytes freed."""
    freed = remove_temporaries(activations_dir(), older_than=0)
    for file in list_files():
        with suppress(OSError):
            file.path.unlink()
            freed += file.size
    return freed


def activations_dir() -> Path:
    """Return the directory of the activation files."""
    return cache_dir() / "activations"
