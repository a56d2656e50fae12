"""Training states on disk, from which a run that ended too early resumes.

A run has a key, a hash of all that its result depends on. Its states are in a directory of that name, at most two, each
a safetensors file with a checksum in its metadata; a damaged one is skipped. If several processes train the same run at
once, only the first saves states.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.errors import BusyError
from emoclass.files import whole_file
from emoclass.fingerprint import tensors_sha256
from emoclass.locking import locked
from emoclass.runtime import runs_dir

if TYPE_CHECKING:
    from torch import Tensor

_KEPT = 2
_FORMAT = "2"
# In the directory of a run: its states, and a file that is locked during training.
_STATE, _LOCK = ".state", "lock"
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class SavedState:
    """A saved training state.

    Attributes:
        tensors: Tensors by name.
        metadata: Plain JSON values.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]


def run_key(*parts: object) -> str:
    """Return the key of a run from plain JSON values: all that its result depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class RunStates:
    """The states of one run, for one process at a time: within a ``with`` block.

    Args:
        key: Result of ``run_key``.
        idle: Whether another process of the same training saves the states.

    Attributes:
        problem: Why states are not available; ``None`` if they are. Otherwise nothing is saved, loaded or removed.
    """

    def __init__(self, key: str, *, idle: bool = False) -> None:
        self.directory = runs_dir() / key
        self.problem: str | None = "another process of this training has them" if idle else None
        self._stack = ExitStack()

    def __enter__(self) -> RunStates:
        if self.problem:
            return self
        try:
            self._stack.enter_context(locked(self.directory / _LOCK, seconds=0))
        except BusyError as error:
            self.problem = "another process is at the same training"
            self.problem += f" ({error.holder})" if error.holder else ""
        except OSError as error:
            self.problem = str(error.strerror or error)
        else:
            # Temporary files, those of safetensors too: with the lock nobody else is writing them.
            for path in self.directory.glob(".*"):
                with suppress(OSError):
                    path.unlink()
        return self

    def __exit__(self, *exception: object) -> None:
        if not self.exist:
            self.clear()
        self._stack.close()

    @property
    def exist(self) -> bool:
        """Whether there is a state to resume from."""
        return not self.problem and bool(self._numbers())

    def of_part(self, name: str) -> RunStates:
        """Return the states of a part of the run, which are removed together with those of the run."""
        part = RunStates(f"{self.directory.name}/{name}")
        part.problem = self.problem
        return part

    def save(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Save a state as the newest, and remove all but two; contiguous tensors on the CPU are not copied.

        Raises:
            OSError: It cannot be written; the states before it are untouched.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        if self.problem:
            return
        numbers = self._numbers()
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        document = json.dumps(dict(metadata))
        head = {"format": _FORMAT, "metadata": document, "sha256": _checksum(contiguous, document)}
        try:
            with whole_file(self._path(max(numbers, default=0) + 1)) as aside:
                save_file(contiguous, aside, metadata=head)
        except SafetensorError as error:  # an error of the system
            raise OSError(str(error)) from error
        for number in numbers[: 1 - _KEPT]:
            self._path(number).unlink(missing_ok=True)

    def load(self) -> SavedState | None:
        """Return the newest state that is whole; ``None`` if there is none."""
        return next((state for _, state in self._whole()), None)

    def read(self) -> bytes:
        """Return the file content of the newest state that is whole; empty if there is none."""
        return next((content for content, _ in self._whole()), b"")

    def note(self, **metadata: Any) -> None:
        """Change metadata of the newest state."""
        saved = self.load()
        if saved is not None:
            with suppress(OSError):
                self.save(saved.tensors, {**saved.metadata, **metadata})

    def clear(self) -> None:
        """Remove all states."""
        if self.problem:
            return
        shutil.rmtree(self.directory, ignore_errors=True)
        with suppress(OSError):
            self.directory.parent.rmdir()

    def _whole(self) -> Iterator[tuple[bytes, SavedState]]:
        """Yield the states that are whole with the content of their files, the newest first."""
        for number in reversed([] if self.problem else self._numbers()):
            with suppress(OSError):
                content = self._path(number).read_bytes()
                state = parse_state(content)
                if state is not None:
                    yield content, state

    def _numbers(self) -> list[int]:
        names = [path.stem for path in self.directory.glob(f"*{_STATE}")] if self.directory.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal())

    def _path(self, number: int) -> Path:
        return self.directory / f"{number}{_STATE}"


def parse_state(content: bytes) -> SavedState | None:
    """Return the state of a file with this content; ``None`` if it is not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        # https://github.com/huggingface/safetensors#format: the size of the JSON header in 8 bytes, and the header
        head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        if head["format"] == _FORMAT and head["sha256"] == _checksum(tensors, head["metadata"]):
            return SavedState(tensors, json.loads(head["metadata"]))
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError):
        pass
    return None


def _checksum(tensors: Mapping[str, Tensor], document: str) -> str:
    return hashlib.sha256(f"{tensors_sha256(tensors)} {document}".encode()).hexdigest()


def unfinished_runs() -> list[tuple[Path, int]]:
    """Return the directories of trainings that ended too early, with their bytes."""
    sizes = {run: sum(_size(file) for file in run.rglob(f"*{_STATE}")) for run in _runs()}
    return [(run, size) for run, size in sizes.items() if size]


def saved_by_unfinished(name: str, created_at: str) -> bool:
    """Return whether a model holds the best epoch so far of a training that ended too early."""
    newest = (max(run.glob(f"*{_STATE}"), key=lambda path: path.stat().st_mtime, default=None) for run in _runs())
    with suppress(OSError):
        return any(path and _metadata(path).get("saved_model") == [name, created_at] for path in newest)
    return False


def _metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a state without its tensors; empty if the file is damaged."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            found = json.loads(json.loads(file.read(min(size, path.stat().st_size)))["__metadata__"]["metadata"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def clear_runs() -> int:
    """Remove the states of all trainings that ended too early; return the bytes freed."""
    freed = 0
    for run in _runs():
        with suppress(OSError, BusyError), locked(run / _LOCK, seconds=0):  # not of those that are running
            freed += sum(_size(file) for file in run.rglob("*") if file.is_file())
            shutil.rmtree(run, ignore_errors=True)
    return freed


def _runs() -> list[Path]:
    """Return the directories that have the name of a run; others are somebody else's."""
    directory = runs_dir()
    names = directory.iterdir() if directory.is_dir() else ()
    return sorted(path for path in names if _KEY.fullmatch(path.name) and path.is_dir())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0
