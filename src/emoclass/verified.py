"""Files that were verified: remembered as they were then, so that half a gigabyte is not hashed at every start."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from emoclass.files import whole_file
from emoclass.fingerprint import file_sha256
from emoclass.runtime import cache_dir

_ENTRIES = 500  # the latest are kept
# A file that has just been written may change again without a new time: clocks of file systems are coarse.
_SETTLED_SECONDS = 2.0


def has_sha256(path: Path, checksum: str) -> bool:
    """Return whether a file has this SHA-256, without reading it if it had and has not changed since.

    Raises:
        OSError: The file cannot be read.
    """
    return holds(f"sha256 {checksum}", [path], lambda: file_sha256(path) == checksum)


def holds(claim: str, files: list[Path], check: Callable[[], bool], *, again: bool = False) -> bool:
    """Return whether a claim about files is true, without checking it if it was and none has changed since.

    A file counts as changed if its size, its times of writing and of any change, or its place on the disk are others.

    Args:
        claim: What is checked, with everything that it depends on beside the files.
        files: The files.
        check: Reads them and returns whether the claim is true.
        again: Whether to check in any case.

    Raises:
        OSError: A file cannot be read.
    """
    names = [os.fsencode(path.absolute()) for path in files]
    key = hashlib.sha256(b"\0".join([claim.encode("utf-8", "surrogateescape"), *names])).hexdigest()
    before = [_state(path) for path in files]
    if not again and _entries().get(key) == before:
        return True
    if not check():
        return False
    newest = max(max(state[-2:]) for state in before)
    if before == [_state(path) for path in files] and newest < time.time_ns() - _SETTLED_SECONDS * 1e9:
        _remember(key, before)
    return True


def _file() -> Path:
    return cache_dir() / "verified.json"


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _entries() -> dict[str, Any]:
    try:
        entries = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _remember(key: str, states: list[list[int]]) -> None:
    entries = _entries()
    entries.pop(key, None)
    kept = dict(list({**entries, key: states}.items())[-_ENTRIES:])
    # A home that cannot be written has no such memory.
    with suppress(OSError), whole_file(_file()) as aside:
        aside.write_text(json.dumps(kept), encoding="ascii")
