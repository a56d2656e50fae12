"""Name columns, classes, texts and rows in messages."""

import unicodedata
from collections.abc import Iterable
from itertools import islice


def quoted(text: str) -> str:
    """Return ``repr`` of a text without escapes for the joiners and marks that Persian, Hindi or emoji need."""
    shown = repr(text)
    for character in {c for c in text if unicodedata.category(c) == "Cf"}:
        shown = shown.replace(repr(character)[1:-1], character)
    return shown


def shortened(text: str, *, most: int = 60) -> str:
    """Return a text in quotes, cut to its first characters: class names and cells may be whole paragraphs."""
    return quoted(text) if len(text) <= most else f"{quoted(text[:most])}…"


def located(row: int, line: int | None) -> str:
    """Return the name of a 1-based data row, with the line where it starts if the input has lines."""
    return f"row {row} (line {line})" if line else f"row {row}"


def listed(names: Iterable[str], *, most: int = 20) -> str:
    """Return the first names in quotes, followed by an ellipsis if there are more."""
    shown = list(islice(names, most + 1))
    return ", ".join([*map(quoted, shown[:most]), *["…"] * (len(shown) > most)])


def listed_labels(names: Iterable[str], *, most: int = 20) -> str:
    """Return the first class names in quotes, each cut to its first characters."""
    shown = list(islice(names, most + 1))
    return ", ".join([*map(shortened, shown[:most]), *["…"] * (len(shown) > most)])


def all_located(rows: Iterable[int], lines: Iterable[int | None], *, most: int = 5) -> str:
    """Return the names of the first of several rows, each with its line if the input has lines."""
    shown = [located(row, line) for row, line in islice(zip(rows, lines, strict=True), most + 1)]
    return ", ".join([*shown[:most], *["…"] * (len(shown) > most)])
