"""Training states on disk, so that what ends too early can go on where it was.

A run is known by a key: a hash of all that its result depends on. Its states lie in a directory of that name, two at
most, each in one file that is written aside, flushed and renamed; a damaged one is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from emoclass.runtime import runs_dir

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
    """The states of one run.

    Args:
        key: What ``run_key`` gave.
    """

    def __init__(self, key: str) -> None:
        self.directory = runs_dir() / key

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Saves a state as the newest, and removes all but two.

        Raises:
            OSError: It cannot be written; the states before it are untouched.
        """
        from safetensors.torch import save

        self.directory.mkdir(parents=True, exist_ok=True)
        numbers = self._numbers()
        content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        document = json.dumps(dict(facts)).encode()
        digest = hashlib.sha256(document + content).hexdigest()
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
        from safetensors import SafetensorError
        from safetensors.torch import load

        for number in reversed(self._numbers()):
            try:
                head, _, rest = self._path(number).read_bytes().partition(b"\n")
                described = json.loads(head)
                size = int(described["facts"])
                if described["format"] != _FORMAT or hashlib.sha256(rest).hexdigest() != described["sha256"]:
                    continue
                return SavedState(load(rest[size:]), json.loads(rest[:size]))
            except (OSError, ValueError, KeyError, TypeError, SafetensorError):
                continue
        return None

    def rename(self, name: str) -> None:
        """Notes in the newest state under which name what is best so far was saved."""
        saved = self.load()
        if saved is not None:
            with suppress(OSError):
                self.save(saved.tensors, {**saved.facts, "name": name})

    def clear(self) -> None:
        """Removes all states."""
        shutil.rmtree(self.directory, ignore_errors=True)
        with suppress(OSError):
            self.directory.parent.rmdir()

    def _numbers(self) -> list[int]:
        names = [path.stem for path in self.directory.glob("*.state")] if self.directory.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal())

    def _path(self, number: int) -> Path:
        return self.directory / f"{number}.state"
