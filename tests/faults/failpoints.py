"""Kill a process right before it changes something on the disk, at each change in turn."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

_IN_A_ROW = {"open", "os.mkdir", "os.remove"}
_CHANGES = {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}


def finishes(work: Callable[[], object], number: int, *, every: bool) -> bool:
    """Run work in a forked process that is killed right before one of its changes to the disk.

    Args:
        work: Called in the fork; it must not raise.
        number: The change, counted from 0.
        every: Count each change; else those that make, write or remove files in a row are one.

    Returns:
        Whether the work was done before it came to that change.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            sys.addaudithook(_KillBefore(number, every=every))
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, "the work failed"
    return True


class _KillBefore:
    """An audit hook: Python calls it before each operation on files."""

    def __init__(self, number: int, *, every: bool) -> None:
        self._left, self._every, self._last = number, every, ""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in _CHANGES:
            return
        if self._every or event != self._last or event not in _IN_A_ROW:
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
        self._last = event
