"""Run ``emoclass`` where something is missing: ``surroundings.py JSON ARGUMENTS``.

The JSON object may hold ``locks`` (false: files cannot be locked), ``largest_file`` (in bytes), and ``errno`` with
``changes``: after so many changes below EMOCLASS_HOME and the working directory, all others fail with this error.
SIGUSR1 writes where all threads are into the file ``dump``.
"""

from __future__ import annotations

import errno
import faulthandler
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_CHANGES = {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}


def _refuse_locks() -> None:
    import fcntl

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl.flock = flock


def _fail_after(changes: int, code: int) -> None:
    places = tuple(map(str, (Path(os.environ["EMOCLASS_HOME"]).resolve(), Path.cwd())))
    left = changes

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in _CHANGES:
            return
        path = arguments[0]
        if isinstance(path, str | bytes | os.PathLike) and str(Path.cwd() / os.fsdecode(path)).startswith(places):
            left -= 1
            if left < 0:
                raise OSError(code, os.strerror(code), os.fsdecode(path))

    sys.addaudithook(hook)


def main() -> None:
    surroundings, sys.argv[1:] = json.loads(sys.argv[1]), sys.argv[2:]
    faulthandler.register(signal.SIGUSR1, Path(surroundings["dump"]).open("w"))  # noqa: SIM115 - open until the end
    if not surroundings.get("locks", True):
        _refuse_locks()
    if size := surroundings.get("largest_file"):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    if code := surroundings.get("errno"):
        _fail_after(surroundings["changes"], code)
    from emoclass.cli import main as emoclass

    emoclass()


if __name__ == "__main__":
    main()
