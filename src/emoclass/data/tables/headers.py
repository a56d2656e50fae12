"""Tell a header from data, and fit it to the rows below."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from emoclass.data.columns.choosing import LABEL_NAMES, TEXT_NAMES, Wanted, choose_columns, squeezed
from emoclass.data.columns.naming import counted, listed, quoted
from emoclass.data.tables.dialects import Sniffed, are_row_names
from emoclass.data.tables.formats import DELIMITERS
from emoclass.data.tables.known_values import NUMBER, VALUE_CHARACTERS
from emoclass.errors import DataError

# Words of a cell that reads like a sentence.
_SENTENCE_WORDS = 5
# Lines of a title above a header, and marks that separate fields in some programs' files.
_TITLE_LINES = 10
_OTHER_SEPARATORS = ("^", "~", "\x01", "#", "!", "\u00a6", "\u00a7", ":")
_LONG_SEPARATOR = re.compile(r"[^\w\s.?!\"'$@{}\\]{2,}|\\t|<tab>", re.IGNORECASE)
_GLUE = re.compile(r"[\s,;|]+")


def fit_header(name: str, header: list[str], sniffed: Sniffed) -> tuple[list[str], list[str]]:
    """Return one name for each field of the rows, and notes of what differs from the header as it is written.

    Args:
        name: What messages call the input.
        header: The first row.
        sniffed: The first rows, the header included.

    Raises:
        DataError: Nearly all rows have more or fewer fields than the header, and not only empty ones.
    """
    width, rows = sniffed.width, [row for row in sniffed.rows[1:] if len(row) == sniffed.width]
    _reject_lines_above(name, sniffed)
    if width == 1:
        _reject_joined_fields(name, sniffed)
    if not width or width == len(header):
        return _named(name, header, rows)
    if width < len(header) and not any(column.strip() for column in header[width:]):
        return header[:width], [f"{name}: the header ends with separators that rows do not have: ignored"]
    if width > len(header) and not any(field.strip() for row in rows for field in row[len(header) :]):
        note = f"{name}: rows end with a separator that the header lacks: read as an empty column without a name"
        columns, notes = _named(name, [*header, *[""] * (width - len(header))], rows)
        return columns, [note, *notes]
    if width == len(header) + 1 and are_row_names([row[0] for row in rows]):
        return ["", *header], [f"{name}: the first column has no name: row numbers, as R writes them"]
    if len(rows) > 1:
        raise DataError(f"{name}: {_difference(header, width, rows, sniffed.dialect.delimiter)}")
    return _named(name, header, rows)


def _reject_lines_above(name: str, sniffed: Sniffed) -> None:
    """Reject lines above the header: a title, a source, comments, which have fewer fields than what follows."""
    first = _header_row(sniffed.rows)
    rows = sniffed.rows[first:]
    if not first or len(rows) < 3 or {len(row) for row in rows} != {len(rows[0])}:
        return
    raise DataError(
        f"{name}: {counted(first, 'line')} above the header {quoted(sniffed.dialect.delimiter.join(rows[0])[:60])}:"
        f" remove what stands above it, with tail -n +{first + 1} {name} > table.csv for example"
    )


def _header_row(rows: Sequence[Sequence[str]]) -> int:
    """Return the row that is the header: the first, unless rows with fewer fields stand above one with names."""
    names = (*TEXT_NAMES, *LABEL_NAMES)
    filled = [sum(bool(field.strip()) for field in row) for row in rows[: _TITLE_LINES + 1]]
    named = [any(squeezed(column) in names for column in row) for row in rows[: _TITLE_LINES + 1]]
    first = named.index(True) if True in named else next((n for n, count in enumerate(filled) if count > 1), 0)
    if not first or filled[first] < 2:
        return 0
    above = zip(rows[:first], filled, strict=False)
    if not all(count < filled[first] or row[0].startswith("#") for row, count in above):
        return 0
    return first if named[first] or not looks_like_data(rows[first:]) else 0


def _reject_joined_fields(name: str, sniffed: Sniffed) -> None:
    """Reject rows of one field that hold several: lines quoted as a whole, or a separator that is not looked for."""
    rows = [row[0] for row in sniffed.rows if len(row) == 1]
    if len(rows) < 3:
        return
    if inner := next((mark for mark in DELIMITERS if all(mark in row for row in rows)), None):
        raise DataError(
            f"{name}: each line stands in quotes as a whole, so that it is one field ({DELIMITERS[inner]}-separated"
            f""" inside): remove these quotes with sed -E 's/^"(.*)"\\r?$/\\1/; s/""/"/g' {name} > table.csv"""
        )
    if match := _LONG_SEPARATOR.search(rows[0]):
        mark = match[0]
        if {row.count(mark) for row in rows} == {rows[0].count(mark)}:
            raise DataError(f"{name}: fields seem to be separated by {quoted(mark)}: {_one_character(mark, name)}")
    for mark in _OTHER_SEPARATORS:
        if rows[0].count(mark) and {row.count(mark) for row in rows} == {rows[0].count(mark)}:
            raise DataError(
                f"{name}: each row is one field with {rows[0].count(mark)} times {quoted(mark)}: if that separates the"
                f" fields, pass --delimiter {quoted(mark)}"
            )


def _one_character(separator: str, name: str) -> str:
    """Return what to do with a table whose fields are separated by several characters."""
    command = f"perl -pe 's{{\\Q{separator}\\E}}{{\\t}}g' {shlex.quote(name)} > table.tsv"
    return f"a separator is one character: write tabs instead, for example with {command}"


def _difference(header: Sequence[str], width: int, rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Return how rows differ from the header, and what to do."""
    there = f"the header has {counted(len(header), 'field')} ({listed(header, most=5)})"
    shape = f"rows have {counted(width, 'field')}, {there}"
    pieces = _GLUE.split(header[0].strip())
    if len(header) == 1 and len(pieces) == width:
        return f"{shape}: separate the names like the fields: {quoted(delimiter.join(pieces))}"
    if width < len(header):
        return f"{shape}: remove the names of columns that rows do not have"
    separator = DELIMITERS.get(delimiter, quoted(delimiter))
    return (
        f"{shape}: name every column in the header (the first row is {quoted(delimiter.join(rows[0])[:60])}), or put"
        f' texts with a {separator} inside in "quotes"'
    )


def _named(name: str, header: list[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Return the names with ``column_N`` for those of several columns without one, and a note of that."""
    nameless = [number for number, column in enumerate(header) if not column.strip()]
    if len(nameless) < 2:
        return header, []
    columns = list(header)
    for number in nameless:
        columns[number] = f"column_{number + 1}"
        while columns.count(columns[number]) > 1:
            columns[number] += "_"
    shown = listed((columns[number] for number in nameless), most=5)
    note = f"{name}: {len(nameless)} columns have no name and are called {shown}"
    filled = [row[number] for row in rows for number in nameless if number < len(row) and row[number].strip()]
    if filled:
        cells = counted(len(filled), "cell stands", "cells stand")
        note += f"; {cells} there in the first {counted(len(rows), 'row')}, such as {quoted(filled[0][:40])}"
    return columns, [note]


def looks_like_data(rows: Sequence[Sequence[str]]) -> bool | None:
    """Return whether the first of some rows is data like the others, not names of columns; ``None`` if unclear."""
    first, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if not body or any(squeezed(name) in (*TEXT_NAMES, *LABEL_NAMES) for name in first):
        return False
    columns = list(zip(*body, strict=True))
    words = [sum(len(value.split()) for value in column) / len(column) for column in columns]
    text = max(range(len(columns)), key=words.__getitem__)
    name = first[text].strip()
    others = [number for number in range(len(columns)) if number != text]
    if words[text] < 2:
        repeated = [number for number in others if 2 * len(set(columns[number])) <= len(body)]
        return None if any(_is_value(first[number].strip(), columns[number]) for number in repeated) else False
    if any(_is_value(first[number].strip(), columns[number]) for number in others):
        # A column of labels may be named like one of them: spam, sarcasm.
        return None if name.replace("-", "_").isidentifier() else True
    short = all(len(first[number].split()) <= max(1, max(len(v.split()) for v in columns[number])) for number in others)
    return bool(others) and len(name.split()) >= _SENTENCE_WORDS and not name.endswith(("?", ":")) and short


def _is_value(name: str, column: Sequence[str]) -> bool:
    """Return whether a name occurs among short values below it, or is a number above numbers."""
    if not name or len(name) > VALUE_CHARACTERS:
        return False
    values = {value.strip() for value in column}
    return name in values or bool(NUMBER.fullmatch(name) and all(map(NUMBER.fullmatch, values - {""})))


def suggested_header(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Return a header for rows without one: ``text`` and ``label`` for the columns that content shows to be these."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    columns = list(zip(*(row for row in rows if len(row) == width), strict=True))
    names = [f"column_{number}" for number in range(1, width + 1)]
    with suppress(DataError):
        chosen = choose_columns("", names, lambda name: columns[names.index(name)], Wanted(labels="optional"))
        roles = {chosen.texts[0]: "text"} | ({chosen.label: "label"} if len(chosen.labels) == 1 else {})
        names = [roles.get(name, name) for name in names]
    return delimiter.join(names)
