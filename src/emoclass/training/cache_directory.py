"""The activation files in the user cache directory: listed, and removed, the least recently used first."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emoclass.errors import BusyError
from emoclass.locking import locked
from emoclass.runtime import cache_dir, runs_dir

FINISHED, PARTIAL = ".activations", ".partial"
# In the directory of a run: its states, and a file that is locked as long as it goes on.
STATE, RUN_LOCK = ".state", "lock"
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


def unfinished_runs() -> list[tuple[Path, int]]:
    """The directories of trainings that ended too early, with their bytes."""
    sizes = {run: sum(_size(file) for file in run.rglob(f"*{STATE}")) for run in _runs()}
    return [(run, size) for run, size in sizes.items() if size]


def clear_runs() -> int:
    """Removes the states of all trainings that ended too early; returns the bytes that became free."""
    freed = 0
    for run in _runs():
        with suppress(OSError, BusyError), locked(run / RUN_LOCK, seconds=0):  # not those that go on
            freed += sum(_size(file) for file in run.rglob("*") if file.is_file())
            shutil.rmtree(run, ignore_errors=True)
    return freed


def _runs() -> list[Path]:
    directory = runs_dir()
    return sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone by now
        return 0


def activations_dir() -> Path:
    """Where activation files are."""
    return cache_dir() / "activations"


def _entries(suffix: str) -> Iterator[Path]:
    directory = activations_dir()
    return iter(sorted(directory.glob(f"*{suffix}")) if directory.is_dir() else [])
