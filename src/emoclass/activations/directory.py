"""The activation files in the user cache directory: listed, and removed, the least recently used first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emoclass.runtime import cache_dir

FINISHED, PARTIAL = ".activations", ".partial"
_ABANDONED_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class CacheFile:
    """A finished activation file."""

    path: Path
    size: int
    used_at: float


def list_files() -> list[CacheFile]:
    """All finished files, the most recently used first."""
    files = []
    for path in _entries(FINISHED):
        with suppress(OSError):
            stat = path.stat()
            files.append(CacheFile(path, stat.st_size, stat.st_mtime))
    return sorted(files, key=lambda file: file.used_at, reverse=True)


def make_room(needed: int, limit: int) -> None:
    """Removes what was abandoned, and the least recently used files until ``needed`` bytes more keep the limit."""
    for path in _entries(PARTIAL):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()
    files = list_files()
    total = sum(file.size for file in files)
    while files and total + needed > limit:
        file = files.pop()
        total -= file.size
        with suppress(OSError):  # another process may use or have removed it
            file.path.unlink()


def clear() -> int:
    """Removes all files; returns the bytes that became free."""
    freed = 0
    for path in (*_entries(FINISHED), *_entries(PARTIAL)):
        with suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    return freed


def activations_dir() -> Path:
    """Where activation files are."""
    return cache_dir() / "activations"


def _entries(suffix: str) -> Iterator[Path]:
    directory = activations_dir()
    return iter(sorted(directory.glob(f"*{suffix}")) if directory.is_dir() else [])
