"""Training states on disk, so that what ends too early can go on where it was.

A run is known by a key: a hash of all that its result depends on. Its states lie in a directory of that name, two at
most, each in one file that is written aside, flushed and renamed; a damaged one is passed over. Of several processes
that run the same training at once, the first has the states.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.errors import BusyError
from emoclass.locking import locked
from emoclass.runtime import runs_dir

if TYPE_CHECKING:
    from torch import Tensor

_KEPT = 2
_FORMAT = "1"


@dataclass(frozen=True)
class SavedState:
    """A state as it was saved.

    Attributes:
        tensors: By name.
        facts: Plain JSON values.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def run_key(*parts: object) -> str:
    """The key of a run from all that its result depends on: plain JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class RunStates:
    """The states of one run, for one process at a time: within a ``with`` block.

    Args:
        key: What ``run_key`` gave.
        idle: Whether another process of the same training has them.

    Attributes:
        problem: Why there are none here; ``None`` if there can be. Then nothing is saved, found or removed.
    """

    def __init__(self, key: str, *, idle: bool = False) -> None:
        self.directory = runs_dir() / key
        self.problem: str | None = "another process of this training has them" if idle else None
        self._stack = ExitStack()

    def __enter__(self) -> RunStates:
        if self.problem:
            return self
        try:
            self._stack.enter_context(locked(self.directory / RUN_LOCK, seconds=0))
        except BusyError:
            self.problem = "another process is at the same training"
        except OSError as error:
            self.problem = str(error.strerror or error)
        return self

    def __exit__(self, *exception: object) -> None:
        if not self.exist:
            self.clear()
        self._stack.close()

    @property
    def exist(self) -> bool:
        """Whether there is a state to go on from."""
        return not self.problem and bool(self._numbers())

    def of_part(self, name: str) -> RunStates:
        """The states of a part of the run; they go when those of the run do."""
        part = RunStates(f"{self.directory.name}/{name}")
        part.problem = self.problem
        return part

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Saves a state as the newest, and removes all but two.

        Raises:
            OSError: It cannot be written; the states before it are untouched.
        """
        from safetensors.torch import save

        if self.problem:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        numbers = self._numbers()
        content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        document = json.dumps(dict(facts)).encode()
        digest = _digest(document, content)
        head = json.dumps({"format": _FORMAT, "facts": len(document), "sha256": digest}).encode() + b"\n"
        path = self._path(max(numbers, default=0) + 1)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            with aside.open("wb") as file:
                for part in (head, document, content):
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        for number in numbers[: 1 - _KEPT]:
            self._path(number).unlink(missing_ok=True)

    def load(self) -> SavedState | None:
        """The newest state that is whole; ``None`` if there is none."""
        return parse_state(self.read())

    def read(self) -> bytes:
        """The content of the newest state that is whole; empty if there is none."""
        for number in reversed([] if self.problem else self._numbers()):
            with suppress(OSError):
                content = self._path(number).read_bytes()
                if _parts(content) is not None:
                    return content
        return b""

    def note(self, **facts: Any) -> None:
        """Changes facts of the newest state."""
        saved = self.load()
        if saved is not None:
            with suppress(OSError):
                self.save(saved.tensors, {**saved.facts, **facts})

    def clear(self) -> None:
        """Removes all states."""
        if self.problem:
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        with suppress(OSError):
            self.directory.parent.rmdir()

    def _numbers(self) -> list[int]:
        names = [path.stem for path in self.directory.glob(f"*{STATE}")] if self.directory.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal())

    def _path(self, number: int) -> Path:
        return self.directory / f"{number}{STATE}"


def parse_state(content: bytes) -> SavedState | None:
    """The state of a file with this content; ``None`` if it is not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    parts = _parts(content)
    if parts is None:
        return None
    document, tensors = parts
    try:
        return SavedState(load(bytes(tensors)), json.loads(bytes(document)))
    except (ValueError, KeyError, TypeError, SafetensorError):
        return None


def _parts(content: bytes) -> tuple[memoryview, memoryview] | None:
    """Facts and tensors of a state that is whole."""
    end = content.find(b"\n") + 1
    try:
        described = json.loads(content[:end])
        middle = end + int(described["facts"])
        parts = memoryview(content)[end:middle], memoryview(content)[middle:]
        whole = described["format"] == _FORMAT and _digest(*parts) == described["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    return parts if whole else None


def _digest(*parts: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


# In the directory of a run: its states, and a file that is locked as long as it goes on.
STATE, RUN_LOCK = ".state", "lock"


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
