"""What the command line adds to rich."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.text import Text

from emoclass.cli._signals import silence


class ResultConsole(Console):
    """Standard output; if its reader closes the pipe, the command still finishes with its own exit code."""

    def on_broken_pipe(self) -> None:
        """Discard what follows."""
        silence(sys.stdout)


class StatusConsole(Console):
    """Standard error; if its reader closes the pipe, the command continues."""

    def on_broken_pipe(self) -> None:
        """Discard what follows."""
        silence(sys.stderr)


class RateColumn(ProgressColumn):
    """Rate in units per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing at the start."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")
