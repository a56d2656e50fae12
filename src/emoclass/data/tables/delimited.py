"""Parse CSV and TSV: header, rows and the line where each row starts."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from emoclass.data.columns.naming import counted, located, quoted
from emoclass.data.tables.dialects import Sniffed, restore, sniff
from emoclass.data.tables.formats import DELIMITERS
from emoclass.data.tables.headers import fit_header, looks_like_data, suggested_header
from emoclass.data.tables.known_values import MOST_ROWS, KnownValues
from emoclass.data.tables.options import ReadOptions, Sample
from emoclass.data.tables.row_errors import RowError
from emoclass.errors import ConfigError, DataError, raise_error

# Excel writes and reads this line above the header.
_SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)
_QUOTING_NOTES = {
    "backslash": "quotes inside fields are escaped with a backslash",
    "single": "fields stand between apostrophes",
}

Row = tuple[int, list[object]]


class DelimitedRows:
    """Rows of a delimited text as (line, fields); the header is read at once.

    Args:
        lines: Lines of the text with their ends.
        sample: The first of these lines, which decide what the options leave open; if empty, the header decides.
        options: How the text is written.
        name: What messages call the input.
        format: ``csv`` or ``tsv``.
        on_error: Called with the error of a row, which is then skipped: broken quotes, or more or fewer fields than
            the header. Raises it by default.

    Attributes:
        columns: Names in the header; ``column_1``, … without one.
        delimiter: The delimiter.
        dialect: How rows are written.
        has_header: Whether the first line names the columns.
        notes: What was recognized without an option.

    Raises:
        ConfigError: The delimiter cannot be used.
        DataError: The text has no header, or its header is broken.
    """

    def __init__(
        self,
        lines: Iterable[str],
        sample: Sample,
        options: ReadOptions,
        *,
        name: str,
        format: str,
        on_error: Callable[[DataError], None] = raise_error,
    ) -> None:
        self.name = name
        self.notes: list[str] = []
        self._on_error = on_error
        self._lines = _Lines(iter(lines))
        first = self._lines.through_first()
        excel = _SEPARATOR_LINE.fullmatch(first[-1].strip("\r\n")) if first else None
        before = len(first) if excel else 0
        if excel:
            self._lines.skip(before)
            first = self._lines.through_first()
        shown = sample.lines[before:] or first
        tsv = "\t" if options.format == "tsv" else None
        sniffed = sniff(
            shown,
            default="\t" if format == "tsv" else ",",
            delimiter=_parse_delimiter(options.delimiter) or (excel and excel[1]) or tsv,
            quoting=options.quoting,
            whole=sample.whole,
        )
        self.dialect, self.delimiter = sniffed.dialect, sniffed.dialect.delimiter
        self._lines.protect = self.dialect.protect
        try:
            self._csv = self.dialect.reader(self._lines)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"delimiter {self.delimiter!r} cannot be used: {error}") from error
        self.has_header = options.header is not False
        self._row = 0
        rows = sniffed.rows[self.has_header :]
        self._known, self._sampled = KnownValues(rows), len(rows)
        # Who says how quotes are written is believed.
        self._guards = options.quoting is None
        self.columns: list[str] = []
        self.columns = self._read_header(sniffed, options.header)
        self.notes += _dialect_notes(name, sniffed, format, shown, before)

    def __iter__(self) -> Iterator[Row]:
        width, lines, sampled = len(self.columns), self._lines, self._sampled
        while True:
            line = lines.number + 1
            try:
                fields = self._next_fields()
                if fields is None:
                    return
                if len(fields) != width and (len(fields) > 1 or (fields and fields[0].strip())):
                    raise self._wrong_width(line, fields)
            except RowError as error:
                self._on_error(error)
                self._row += 1
                continue
            if len(fields) == width:
                self._row += 1
                if sampled < self._row <= MOST_ROWS:
                    self._known.add(fields)
                yield line, fields  # type: ignore[misc]  # list[str] where list[object] is only read

    def _read_header(self, sniffed: Sniffed, header: bool | None) -> list[str]:
        self._header_is_open = header is None and len(sniffed.rows) < 2
        if header is None and not self._header_is_open:
            self.notes += self._header_notes(sniffed.rows)
        if header is False:
            if not sniffed.rows:
                raise DataError(f"{self.name}: is empty: it needs rows of a text and a label")
            width = sniffed.width or len(sniffed.rows[0])
            return [f"column_{number}" for number in range(1, width + 1)]
        names: list[str] | None = []
        while names is not None and not any(field.strip() for field in names):
            names = self._next_fields()
        if names is None:
            raise DataError(f"{self.name}: is empty: it needs a header line such as text,label and rows below")
        columns, notes = fit_header(self.name, names, sniffed)
        self.notes += notes
        return columns

    def check_header(self, rows: Iterable[Sequence[object]]) -> list[str]:
        """Return a note if the header may be data, by these rows below it; nothing if that has been checked before.

        Raises:
            DataError: It is data.
        """
        if not self._header_is_open:
            return []
        self._header_is_open = False
        return self._header_notes([self.columns, *([str(cell) for cell in row] for row in rows)])

    def _header_notes(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Reject a first line that is data; note one that may be."""
        is_data = looks_like_data(rows)
        shown = quoted(self.delimiter.join(rows[0])[:60])
        if is_data:
            names = quoted(suggested_header(rows, self.delimiter))
            raise DataError(
                f"{self.name}: the first line seems to be data, not column names ({shown}): add the line {names} above"
                " it, or pass --no-header; --header if these are names"
            )
        if is_data is None:
            return [f"{self.name}: the first line ({shown}) is read as column names; --no-header reads a row"]
        return []

    def _next_fields(self) -> list[str] | None:
        lines = self._lines
        lines.begin_row()
        line = lines.number + 1
        try:
            fields = next(self._csv, None)
        except csv.Error as error:
            raise self._broken(line, str(error)) from error
        if len(lines.row) > 1 and self._guards and self.columns and self._known.swallowed(lines.row, self.delimiter):
            count = len(lines.row)
            lines.back()
            raise self._error(
                line,
                f": a quote starts a field of {count} lines that look like rows",
                "close the quote in its line, or pass --quoting none if quotes are plain characters in this file",
            )
        return restore(fields) if fields is not None and lines.protected else fields

    def _broken(self, line: int, reason: str) -> RowError:
        last = self._lines.number
        self._lines.back()
        # The reader has seen the end of the lines that are now to be read again.
        self._csv = self.dialect.reader(self._lines)
        advice = 'write each " inside a quoted field as "", or pass --quoting none if quotes are plain characters here'
        if "end of data" in reason:
            return self._error(line, f": a quoted field starts here and is still open at the end (line {last})", advice)
        if "expected after" in reason:
            where = "" if last == line else f" (line {last})"
            return self._error(line, f": a quoted field ends in the middle of a field{where}", advice)
        return self._error(line, f": {reason}", advice)

    def _wrong_width(self, line: int, fields: Sequence[str]) -> RowError:
        separator = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        expected = len(self.columns)
        if any("\r" in field for field in fields):
            advice = 'the line has a carriage return inside, which ends no row: put the text around it in "quotes"'
        elif len(fields) > expected and not any(field.strip() for field in fields[expected:]):
            advice = f"remove the {separator} at its end"
        elif len(fields) > expected:
            advice = f'a {separator} inside a text? Put the text in "quotes"'
        else:
            advice = "a field is missing, or the line was cut: complete it"
        return self._error(line, f" has {counted(len(fields), 'field')}, the header has {expected}", advice)

    def _error(self, line: int, problem: str, advice: str) -> RowError:
        where = located(self._row + 1, line) if self.columns else "header"
        return RowError.of(self.name, where, problem, advice)


class _Lines:
    """Lines that can be read again after a broken row; iterating yields them protected."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._source = lines
        self._ahead: list[str] = []
        self.number = 0
        self.row: list[str] = []
        self.protected = False
        self.protect: Callable[[str], str] = str

    def __iter__(self) -> Iterator[str]:
        # Called for every line of the input: names are looked up once.
        source, ahead, row, protect = self._source, self._ahead, self.row, self.protect
        while True:
            if ahead:
                line = ahead.pop()
            elif (following := next(source, None)) is not None:
                line = following
            else:
                return
            self.number += 1
            row.append(line)
            if "\r" in line or "\\" in line or "\n" in line[:-1]:
                safe = protect(line)
                self.protected = self.protected or safe is not line
                line = safe
            yield line

    def begin_row(self) -> None:
        """Forget the lines of the row before."""
        self.row.clear()
        self.protected = False

    def back(self) -> None:
        """Return all lines of the row but its first."""
        again = self.row[1:]
        self._ahead += reversed(again)
        self.number -= len(again)

    def through_first(self) -> list[str]:
        """Return the next lines through the first that is not blank; they are read again."""
        taken: list[str] = []
        for line in self._source:
            taken.append(line)
            if line.strip():
                break
        self._ahead += reversed(taken)
        return taken

    def skip(self, lines: int) -> None:
        """Skip lines that were looked at."""
        del self._ahead[-lines:]
        self.number += lines


def _dialect_notes(name: str, sniffed: Sniffed, format: str, lines: Sequence[str], before: int) -> Iterator[str]:
    """Yield what was decided about the way in which the lines are written."""
    dialect = sniffed.dialect
    if dialect.delimiter != ("\t" if format == "tsv" else ",") and dialect.delimiter in DELIMITERS:
        yield f"{name}: read as {DELIMITERS[dialect.delimiter]}-separated"
    if sniffed.literal:
        border = f'{dialect.delimiter}"'
        first = next(n for n, line in enumerate(lines, before + 1) if line.startswith('"') or border in line)
        yield (
            f"{name}: quotes are read as plain characters, the first in line {first}: read as in CSV, they would join"
            " rows or be lost; --quoting double does that"
        )
    elif dialect.quoting in _QUOTING_NOTES:
        yield f"{name}: {_QUOTING_NOTES[dialect.quoting]}; --quoting double reads quotes as in CSV"
    lone = [n for n, line in enumerate(lines, before + 1) if dialect.has_bare_end(line)]
    if lone:
        yield (
            f"{name}: carriage returns or line feeds inside lines, the first in line {lone[0]}, are part of the text:"
            " other characters end rows here"
        )
    if odd := sniffed.odd_ends:
        yield (
            f"{name}: {len(odd)} of {len(sniffed.rows)} rows end with a line feed alone, the first in line"
            f" {odd[0] + before}, the others with a carriage return, too: put texts of several lines in quotes"
        )


def _parse_delimiter(given: str | None) -> str | None:
    if given is None:
        return None
    delimiter = "\t" if given.lower() in ("tab", r"\t") else given
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ConfigError(f"delimiter {given!r} cannot be used: pass one character, or tab")
    return delimiter
