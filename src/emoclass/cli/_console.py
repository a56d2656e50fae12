"""What the commands share for showing: consoles, JSON, tables of cells that cannot do harm, progress."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text


class _ResultConsole(Console):
    """When its reader goes, what else the command does is still done, and its exit code is that; rich would exit 1."""

    def on_broken_pipe(self) -> None:
        silence(sys.stdout)


class _StatusConsole(Console):
    """When nobody listens any more, the work goes on."""

    def on_broken_pipe(self) -> None:
        silence(sys.stderr)


def results() -> Console:
    """Standard output, for results."""
    return _ResultConsole(highlight=False, quiet=not is_first_rank())


def status() -> Console:
    """Standard error, for progress, notes and warnings; the same for all, so that a note goes above a running bar."""
    stream = getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # rich takes its place while a bar runs
    console = _status(stream)
    console.quiet = not is_first_rank()
    return console


@lru_cache(maxsize=1)
def _status(stream: TextIO) -> Console:
    """The console of a stream, which it looks up itself; what it is capable of is found out once."""
    return _StatusConsole(stderr=True, highlight=False)


def silence(stream: TextIO) -> None:
    """What is written to a stream whose reader has gone, also at exit, is lost from now on."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_first_rank() -> bool:
    """Whether this process is the one that speaks, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def note(message: str) -> None:
    """One line on standard error."""
    status().print(Text(f"note: {clean_text(message)}", style="dim"), soft_wrap=True)


def warn(message: str) -> None:
    """One line on standard error that should not be overlooked."""
    status().print(Text(f"warning: {clean_text(message)}", style="yellow"), soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on standard output."""
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


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int = 1) -> Table:
    """A table of plain cells: the first columns are text, the others numbers, on the right."""
    result = Table(title=Text(clean_text(title), style="bold"), title_justify="left")
    for number, name in enumerate(columns):
        result.add_column(Text(clean_text(name)), justify="left" if number < text_columns else "right", overflow="fold")
    for row in rows:
        result.add_row(*(cell if isinstance(cell, Text) else Text(clean_text(str(cell))) for cell in row))
    return result


def print_table(console: Console, table: Table) -> None:
    """The table below its title, which may be wider than the table."""
    if table.title is not None:
        console.print(table.title, soft_wrap=True)
    table.title = None
    console.print(table)


def tell_removed(removed: Mapping[str, int], conflicts: int) -> None:
    """What cleaning did, and what it left for the user."""
    for reason, rows in removed.items():
        if rows:
            note(f"{rows} {'row' if rows == 1 else 'rows'} removed: {reason.replace('_', ' ')}")
    if conflicts:
        texts = "text stands" if conflicts == 1 else "texts stand"
        warn(f"{conflicts} {texts} in the data with different labels (see inspect-data)")


def progress_bar(console: Console) -> Progress:
    """A progress bar with rate and time left; it shows nothing where the console is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def record_progress(*, shown: bool) -> Iterator[Callable[[int], None]]:
    """A running count of records with their rate, on a terminal."""
    console = status()
    if not (shown and console.is_terminal):
        yield lambda records: None
        return
    columns = (TextColumn("{task.completed:,.0f} records"), _RateColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda records: progress.advance(task, records)


class _RateColumn(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")
