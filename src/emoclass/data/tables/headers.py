"""Tell a header from data, and fit it to the rows below."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from emoclass.data.columns.choosing import LABEL_NAMES, TEXT_NAMES, Wanted, choose_columns, squeezed
from emoclass.data.columns.naming import listed, quoted
from emoclass.data.tables.dialects import Sniffed, are_row_names
from emoclass.data.tables.formats import DELIMITERS
from emoclass.errors import DataError

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_VALUE_CHARACTERS = 60
# Words of a cell that reads like a sentence.
_SENTENCE_WORDS = 5
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


def _difference(header: Sequence[str], width: int, rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Return how rows differ from the header, and what to do."""
    shape = f"rows have {fields_of(width)}, the header has {fields_of(len(header))} ({listed(header, most=5)})"
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
        note += f"; {len(filled)} cells of the first {len(rows)} rows stand there, such as {quoted(filled[0][:40])}"
    return columns, [note]


def fields_of(count: int) -> str:
    """Return a number of fields in words."""
    return "1 field" if count == 1 else f"{count} fields"


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
    if not name or len(name) > _VALUE_CHARACTERS:
        return False
    values = {value.strip() for value in column}
    return name in values or bool(_NUMBER.fullmatch(name) and all(map(_NUMBER.fullmatch, values - {""})))


def suggested_header(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Return a header for rows without one: ``text`` and ``label`` for the columns that content shows to be these."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    columns = list(zip(*(row for row in rows if len(row) == width), strict=True))
    names = [f"column_{number}" for number in range(1, width + 1)]
    with suppress(DataError):
        chosen = choose_columns("", names, lambda name: columns[names.index(name)], Wanted(labels="optional"))
        roles = {chosen.texts[0]: "text", chosen.label: "label"}
        names = [roles.get(name, name) for name in names]
    return delimiter.join(names)
