"""When to stop: on request, or when time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class StopSignal:
    """Tell whether a run should stop, by a request (Ctrl-C, SIGTERM) or by its time limit.

    Args:
        requested: Whether somebody asked to stop.
        max_minutes: Time limit, counted from ``start_clock``; ``None`` for no limit.
    """

    def __init__(self, requested: Callable[[], bool] = lambda: False, *, max_minutes: float | None = None) -> None:
        self._requested, self._seconds = requested, math.inf if max_minutes is None else 60 * max_minutes
        self._deadline = math.inf

    def start_clock(self) -> None:
        """Start the time limit."""
        self._deadline = time.monotonic() + self._seconds

    @property
    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return bool(self._requested())

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit; infinite without one."""
        return self._deadline - time.monotonic()

    @property
    def out_of_time(self) -> bool:
        """Whether the time limit has passed."""
        return self.seconds_left < 0

    def __bool__(self) -> bool:
        """Whether to stop now."""
        return self.requested or self.out_of_time

    def without_limit(self) -> StopSignal:
        """Return a signal for the same requests that has no time limit."""
        return StopSignal(self._requested)
