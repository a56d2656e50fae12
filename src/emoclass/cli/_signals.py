"""How commands end: Ctrl-C, SIGTERM, a closed terminal, and streams that stall or that nobody reads."""

from __future__ import annotations

import atexit
import errno
import io
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

# The exit code of Ctrl-C in a shell.
INTERRUPTED = 128 + signal.SIGINT
# What a closed terminal sends; Windows has no such signal.
_HANGUP = getattr(signal, "SIGHUP", None)
_terminals: list[TextIO] = []
_is_command = False  # or a call from another program, whose streams are its own
_ENDING = [number for number in (signal.SIGINT, signal.SIGTERM, _HANGUP) if number is not None]
# Nobody waits longer for a reader. What is left of a file takes longer on a slow disk, but no disk stalls for good.
_STREAM_SECONDS, _FILE_SECONDS = 1.5, 15.0


def cleanup_seconds(output: str | None) -> float:
    """Return how long cleaning up may take for this output: a file, or a pipe, a device or standard output."""
    is_file = output is not None and (Path(output).is_file() or not Path(output).exists())
    return _FILE_SECONDS if is_file else _STREAM_SECONDS


@contextmanager
def prompt_exit(seconds: float) -> Iterator[None]:
    """End the process at the first SIGINT, SIGTERM or SIGHUP, even if a thread hangs in a stream.

    A thread that waits for a stalled reader or writer holds the lock of its stream. To close the stream, and to leave
    Python, takes the same lock. So the signal raises ``KeyboardInterrupt`` as usual, which cleans up, and then the
    process ends without Python's own cleanup, after ``seconds`` in any case.

    Nothing changes in a program that does not handle SIGTERM the way the ``emoclass`` command does.
    """
    before = {number: signal.getsignal(number) for number in _ENDING}
    if not callable(before[signal.SIGTERM]) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signaled, cleaned_up = threading.Event(), threading.Event()

    def exit_in_time() -> None:
        signaled.wait()
        if not cleaned_up.wait(seconds):
            os._exit(INTERRUPTED)

    def handler(then: Callable[[int, FrameType | None], object]) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            signaled.set()
            then(number, frame)

        return handle

    threading.Thread(target=exit_in_time, name="emoclass-exit", daemon=True).start()
    try:
        for number, then in before.items():
            if callable(then):  # not ignored, as Ctrl-C is in the background of a script
                signal.signal(number, handler(then))
        yield
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    finally:
        for number, then in before.items():
            signal.signal(number, then)
        cleaned_up.set()
        signaled.set()


def end_at_signals() -> None:
    """Let SIGTERM and SIGHUP, where nobody handles or ignores them, clean up as Ctrl-C does."""
    global _is_command
    _is_command = True
    atexit.register(_stop_looking)
    # Asked now: of a terminal that is gone, nobody can tell any more that it was one.
    _terminals[:] = [stream for stream in (sys.stdout, sys.stderr) if stream.isatty()]
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: Any) -> None:
    _end_soon(number)
    raise KeyboardInterrupt


def _end_soon(number: int) -> None:
    """From a signal on, discard what would be written to a terminal that is gone, or to a stream that stalls."""
    leave_terminal(number)
    if _is_command and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _leave_stalled)
        signal.setitimer(signal.ITIMER_REAL, _STREAM_SECONDS, _STREAM_SECONDS)


def _leave_stalled(number: int, frame: Any) -> None:
    stalled = [stream for stream in (sys.__stdout__, sys.__stderr__) if stream is not None and _is_full(stream)]
    for stream in stalled:
        silence(stream)
    # A write that waits is called again after any signal, and then finds the stream that discards.
    for thread in threading.enumerate() if stalled else ():
        if thread.ident is not None and thread is not threading.main_thread():
            signal.pthread_kill(thread.ident, signal.SIGALRM)


def _stop_looking() -> None:
    """Write what is left while streams are looked after; Python then forgets its handlers, and the timer would kill."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def _is_full(stream: TextIO) -> bool:
    with suppress(OSError, ValueError):
        return not select.select([], [stream.fileno()], [], 0)[1]
    return False


def leave_terminal(number: int) -> None:
    """Discard what would be written to a terminal that is gone, if this is the signal that says so."""
    for stream in _terminals if number == _HANGUP else ():
        silence(stream)


def silence(stream: TextIO) -> None:
    """Discard all further output to a stream whose reader has closed the pipe, also at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Terminal(io.FileIO):
    """A terminal, open for writing; one that is gone discards what is written, for its signal may come later."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)

    def write(self, data: Any) -> int:
        """Write bytes; return how many."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP: they end a command at once, and a training after its current step.

    A second one always ends the command at once. Signals that the shell ignores stay ignored.

    Attributes:
        requested: Set by the first signal during a training.
    """

    def __init__(self) -> None:
        self.requested, self._deferred = threading.Event(), False

    def __enter__(self) -> Interrupts:
        handled = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        self._previous = {number: signal.signal(number, self._handle) for number in handled}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def defer(self) -> None:
        """From now on, let the first signal request a stop."""
        self._deferred = True

    def _handle(self, number: int, frame: Any) -> None:
        _end_soon(number)
        if not self._deferred or self.requested.is_set():
            raise KeyboardInterrupt
        self.requested.set()
