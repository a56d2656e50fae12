"""Decide how a delimited text is written: separator, quotes, header.

The decision is made by the first part of an input. A strict reader follows, so that a later row of another kind is an
error, never other rows.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from emoclass.data.tables.formats import DELIMITERS
from emoclass.data.tables.known_values import KnownValues

# The csv module has one limit per process, so it is only ever raised. Without a limit, a quote that never closes would
# read the rest of the input into memory.
_FIELD_LIMIT = 1 << 28
# Halves of surrogate pairs, which no text has, stand for characters that the csv module would take for syntax.
_QUOTE, _BACKSLASH, _RETURN, _FEED = "\udc22", "\udc5c", "\udc0d", "\udc0a"
_PROTECTED = {_QUOTE: '"', _BACKSLASH: "\\", _RETURN: "\r", _FEED: "\n"}
_ESCAPED = re.compile(r'\\(["\\])')
_LONE_RETURN, _LONE_FEED = re.compile(r"\r(?!\n?\Z)"), re.compile(r"\n(?!\Z)")
# What Windows makes of the line ends that Python's csv module wrote, if a file was not opened with newline="".
_DOUBLED = "\r\r\n"
# Quotes around what needs none: no mark that a program would quote.
_NEEDLESS = re.compile(r'"[^",;|\t\r\n]+"')


@dataclass(frozen=True)
class Dialect:
    """How rows are written.

    Attributes:
        delimiter: The separator of fields.
        quoting: As in ``ReadOptions``.
        skip_space: Whether a space after a separator is not part of the field, as in ``joy, "well, yes"``.
    """

    delimiter: str
    quoting: str = "double"
    skip_space: bool = False

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return a strict reader of protected lines; see ``protect`` and ``restore``.

        Raises:
            TypeError: The delimiter cannot be used.
            ValueError: Likewise.
        """
        csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar="'" if self.quoting == "single" else '"',
            quoting=csv.QUOTE_NONE if self.quoting == "none" else csv.QUOTE_MINIMAL,
            skipinitialspace=self.skip_space,
            strict=True,
        )

    def protect(self, line: str) -> str:
        """Replace what the csv module would take for syntax: escaped quotes, carriage returns inside a line."""
        if line.endswith(_DOUBLED):
            line = f"{line[: -len(_DOUBLED)]}\r\n"
        place = line.find("\r")
        if 0 <= place < len(line) - 1 - line.endswith("\n"):
            line = _LONE_RETURN.sub(_RETURN, line)
        if 0 <= line.find("\n") < len(line) - 1:
            line = _LONE_FEED.sub(_FEED, line)
        if self.quoting == "backslash" and "\\" in line:
            line = _ESCAPED.sub(lambda match: _QUOTE if match[1] == '"' else _BACKSLASH, line)
        return line

    def has_bare_end(self, line: str) -> bool:
        """Return whether a carriage return or line feed stands inside a line, but not inside quotes."""
        line = line.removesuffix(_DOUBLED)
        if _LONE_RETURN.search(line) is None and _LONE_FEED.search(line) is None:
            return False
        try:
            list(self.reader([line]))
        except csv.Error as error:
            return "new-line" in str(error)
        return False


def restore(fields: list[str]) -> list[str]:
    """Undo ``Dialect.protect`` in fields."""
    if all(character not in field for field in fields for character in _PROTECTED):
        return fields
    table = str.maketrans(_PROTECTED)
    return [field.translate(table) for field in fields]


@dataclass(frozen=True)
class Sniffed:
    r"""What the first part of a delimited text shows.

    Attributes:
        dialect: How rows are written.
        rows: Its rows without blank ones, the header included; without those that span lines if quotes are broken.
        literal: Whether quotes are read as characters because no other reading gives every line the same fields.
        fits: Whether all rows have the fields of the header and no quote is broken.
        odd_ends: Where lines end with ``\r\n``, the 1-based lines at which rows end with a line feed alone.
    """

    dialect: Dialect
    rows: list[list[str]]
    literal: bool = False
    fits: bool = False
    odd_ends: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Number of fields that nearly all rows below the first have; 0 if there is no such number."""
        widths = Counter(map(len, self.rows[1:]))
        width, rows = widths.most_common(1)[0] if widths else (0, 0)
        return width if rows * 10 >= 9 * len(self.rows[1:]) else 0


def sniff(
    lines: Sequence[str], *, default: str = ",", delimiter: str | None = None, quoting: str | None = None, whole: bool
) -> Sniffed:
    """Decide how lines are written.

    Args:
        lines: The first lines of a text, with their ends.
        default: The separator if nothing speaks for another one.
        delimiter: The separator, if it is known.
        quoting: As in ``ReadOptions``, if it is known.
        whole: Whether these are all lines: a quote that is open at the end is then broken.
    """
    first = next((line for line in lines if line.strip()), "")
    delimiters = [delimiter] if delimiter else [each for each in DELIMITERS if each in first]
    if default not in delimiters and not delimiter:
        delimiters.append(default)
    readings = [_best_quoting(lines, each, quoting, whole) for each in delimiters]
    return max(readings, key=lambda reading: (*_score(reading, lines), reading.dialect.delimiter == default))


def _score(reading: Sniffed, lines: Sequence[str]) -> tuple[bool, bool, bool, bool, bool]:
    """Return how well a separator fits: several fields, the same in all rows, not a mark of prose, in the header."""
    widths = Counter(map(len, reading.rows[1:] or reading.rows))
    width, same = widths.most_common(1)[0] if widths else (0, 0)
    delimiter = reading.dialect.delimiter
    count = sum(line.count(delimiter) for line in lines)
    prose = 2 * sum(line.count(f"{delimiter} ") for line in lines) > count
    header = bool(reading.rows) and len(reading.rows[0]) == width
    return width > 1 and reading.fits, width > 1, same == sum(widths.values()), not prose, header


def _best_quoting(lines: Sequence[str], delimiter: str, quoting: str | None, whole: bool) -> Sniffed:
    """Return the first reading in which all rows have the fields of the header, else the usual one."""
    usual = None
    for dialect in _dialects(lines, delimiter, quoting):
        reading = _read(lines, dialect, whole)
        if reading.fits and not (quoting is None and dialect == Dialect("\t") and _has_needless_quotes(lines)):
            return replace(reading, literal=dialect.quoting == "none" != quoting)
        usual = usual or reading
    return usual or Sniffed(Dialect(delimiter), [])


def _dialects(lines: Sequence[str], delimiter: str, quoting: str | None) -> Iterator[Dialect]:
    """Yield what the lines may be written in, the most common first."""
    usual = Dialect(delimiter, quoting or "double")
    if quoting is None and _is_single_quoted(lines, delimiter):
        yield replace(usual, quoting="single")
    yield usual
    if usual.quoting == "double" and any(f'{delimiter} "' in line for line in lines):
        yield replace(usual, skip_space=True)
    if quoting is None and any('\\"' in line for line in lines):
        yield replace(usual, quoting="backslash")
    if quoting is None and any('"' in line for line in lines) and not _are_quoted_lines(lines[1:], delimiter):
        yield replace(usual, quoting="none")


def _are_quoted_lines(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether lines stand in quotes as a whole, and no field within them does."""
    stripped = [line.strip() for line in lines if line.strip()]
    borders = (f'"{delimiter}', f'{delimiter}"')
    return bool(stripped) and all(
        line[0] == line[-1] == '"' and not any(border in line for border in borders) for line in stripped
    )


def _has_needless_quotes(lines: Sequence[str]) -> bool:
    """Return whether fields of TSV stand in quotes that no program would write, since others in the column do not."""
    columns = list(zip_longest(*(line.rstrip("\r\n").split("\t") for line in lines[1:] if line.strip()), fillvalue=""))
    quoted = [{field for field in column if _NEEDLESS.fullmatch(field)} for column in columns]
    return any(
        some and any(field and not field.startswith('"') for field in column)
        for some, column in zip(quoted, columns, strict=True)
    )


def _is_single_quoted(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether the first line and most others have apostrophes at a border of the line and at one of a field."""
    stripped = [line.strip("\r\n") for line in lines if line.strip()]
    borders = (f"'{delimiter}", f"{delimiter}'")
    quoted = ["'" in (line[:1], line[-1:]) and any(border in line for border in borders) for line in stripped]
    return bool(quoted) and quoted[0] and 2 * sum(quoted) > len(quoted)


def _read(lines: Sequence[str], dialect: Dialect, whole: bool) -> Sniffed:
    """Return the rows in a dialect."""
    rows: list[list[str]] = []
    spans: list[list[str]] = []
    fits = True
    taken: list[str] = []
    odd_ends: list[int] = []
    line, pairs = 0, bool(lines) and lines[0].endswith("\r\n")

    def protected() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield dialect.protect(line)

    reader = dialect.reader(protected())
    while True:
        taken.clear()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            cut = not whole and "end of data" in str(error)
            fits = fits and cut
            line += len(taken)
            if len(taken) > 1:
                spans.append(list(taken))
            continue
        if fields is None:
            break
        line += len(taken)
        if pairs and not taken[-1].endswith("\r\n") and taken[-1].endswith("\n"):
            odd_ends.append(line)
        if len(taken) > 1:
            spans.append(list(taken))
        if len(fields) > 1 or (fields and fields[0].strip()):
            rows.append(restore(fields))
    known = KnownValues(rows[1:])
    swallowed = any(known.swallowed(span, dialect.delimiter) for span in spans)
    fits = fits and _same_width(rows) and not swallowed
    return Sniffed(dialect, rows, fits=fits, odd_ends=tuple(odd_ends))


def are_row_names(cells: Sequence[str]) -> bool:
    """Return whether the cells of a first column without a name are row numbers."""
    return len(cells) > 1 and len(set(cells)) == len(cells) and all(cell.isdecimal() for cell in cells)


def _same_width(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether all rows have the fields of the first, but for empty ones at its end or at theirs."""
    widths = set(map(len, rows[1:]))
    if not widths or widths == {len(rows[0])}:
        return True
    if widths == {len(rows[0]) + 1} and are_row_names([row[0] for row in rows[1:]]):
        return True
    extra = rows[0][min(widths) :] or [field for row in rows[1:] for field in row[len(rows[0]) :]]
    return len(widths) == 1 and not any(field.strip() for field in extra)
