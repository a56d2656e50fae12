"""Output shared by the commands: consoles, notes and warnings, JSON, tables and progress bars."""

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TextIO

from emoclass.cli._shared import verbosity
from emoclass.cli._signals import silence
from emoclass.data.cleaning.telling import doubt_lines, removed_lines

# rich is imported only where something is laid out: its import takes longer than a prediction.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table


def results() -> Console:
    """Return the console for results: standard output."""
    from emoclass.cli._rich import ResultConsole

    return ResultConsole(highlight=False, quiet=not is_first_rank())


def status() -> Console:
    """Return the console for progress, notes and warnings: standard error.

    It is shared, so that notes appear above a running progress bar.
    """
    stream = getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # rich replaces sys.stderr while a bar runs
    console = _status(stream)
    console.quiet = not is_first_rank() or verbosity() < 0
    return console


@lru_cache(maxsize=1)
def _status(stream: TextIO) -> Console:
    from emoclass.cli._rich import StatusConsole

    # The console writes to sys.stderr; the argument makes the cache detect the terminal once per stream.
    return StatusConsole(stderr=True, highlight=False)


def is_first_rank() -> bool:
    """Return whether this is the process that prints, among those started by torchrun."""
    return os.environ.get("RANK", "0") == "0"


_started = time.perf_counter()


def note(message: str) -> None:
    """Print a note on one line of standard error."""
    after = f" ({time.perf_counter() - _started:.1f} s)" if verbosity() > 0 else ""
    if verbosity() >= 0:
        _print_line(f"note{after}: {clean_text(message)}", "dim")


def warn(message: str) -> None:
    """Print a warning on one line of standard error, also if less is to be printed."""
    _print_line(f"warning: {clean_text(message)}", "yellow")


def _print_line(line: str, style: str) -> None:
    if not is_first_rank():
        return
    if _may_have_colours(sys.stderr):
        from rich.text import Text

        console = status()
        console.quiet = False
        console.print(Text(line, style=style), soft_wrap=True)
        return
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        silence(sys.stderr)


def _may_have_colours(stream: TextIO) -> bool:
    return stream.isatty() or hasattr(stream, "rich_proxied_file") or bool(_FORCE_COLOURS & os.environ.keys())


_FORCE_COLOURS = {"FORCE_COLOR", "TTY_COMPATIBLE"}


def print_json(document: Mapping[str, Any]) -> None:
    """Print a JSON document to standard output."""
    try:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)


_CONTROL = ("Cc", "Cs", "Zl", "Zp")
# Embeddings, overrides and isolates of a direction: one that is not closed reorders the rest of a table.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(text: str) -> str:
    """Return the text on one line, with control characters, such as terminal escapes, made visible.

    Joiners, direction marks and other format characters, which many scripts and emoji need, stay.
    """
    return "".join(_visible(c) if c in _REORDERING or unicodedata.category(c) in _CONTROL else c for c in text)


def _visible(character: str) -> str:
    return " " if character in "\t\n\r" else "\N{REPLACEMENT CHARACTER}"


# Characters that a column of texts needs to say something.
_LEAST_TEXT = 8


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1) -> Table:
    """Return a table whose first ``text_columns`` are left-aligned text, and the others right-aligned numbers."""
    from rich.table import Table
    from rich.text import Text

    result = Table(title=Text(clean_text(title), style="bold"), title_justify="left")
    for number, name in enumerate(columns):
        is_text = number < text_columns
        justify: Literal["left", "right"] = "left" if is_text else "right"
        result.add_column(Text(clean_text(name)), justify=justify, overflow="fold", no_wrap=not is_text)
    for row in rows:
        result.add_row(*(cell if isinstance(cell, Text) else Text(clean_text(str(cell))) for cell in row))
    return result


def print_table(console: Console, table: Table) -> None:
    """Print a table below its title, which may be wider than the table, without columns that do not fit."""
    if table.title:
        console.print(table.title, soft_wrap=True)
    table.title = None
    left_out = _drop_columns(console, table)
    console.print(table)
    if left_out:
        console.print(f"left out for lack of room: {', '.join(left_out)}; --json has all", soft_wrap=True)


def _drop_columns(console: Console, table: Table) -> list[str]:
    """Drop the last columns of numbers until the others fit beside the texts; return the names of those dropped."""
    from rich.measure import Measurement

    def least_width() -> int:
        widths = []
        for column in table.columns:
            cells = [column.header, *column.cells]
            longest = max(Measurement.get(console, console.options, cell).maximum for cell in cells)
            widths.append(longest if column.no_wrap else min(longest, _LEAST_TEXT))
        return sum(widths) + 3 * len(widths) + 1

    dropped = []
    while least_width() > console.width and table.columns[-1].no_wrap:
        dropped.append(str(table.columns.pop().header))
    return dropped[::-1]


def tell_removed(removed: Mapping[str, int], conflicts: int, leaked: Mapping[str, int] | None = None) -> None:
    """Report the rows that cleaning removed, and the texts with conflicting labels, or in two sets, that it kept."""
    for line in removed_lines(removed):
        note(line)
    for line in doubt_lines(conflicts, leaked):
        warn(line)


def progress_bar(console: Console) -> Progress:
    """Return a progress bar with rate and remaining time; it is hidden unless the console is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from emoclass.cli._rich import RateColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def record_progress(*, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a running count of records and their rate, if the console is a terminal."""
    if not (shown and _may_have_colours(sys.stderr) and (console := status()).is_terminal):
        yield lambda records: None
        return
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from emoclass.cli._rich import RateColumn

    columns = (TextColumn("{task.completed:,.0f} records"), RateColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda records: progress.advance(task, records)
