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


def brief(text: str, *, most: int = 30) -> str:
    """Return the first characters of a text, followed by an ellipsis if there are more."""
    return text if len(text) <= most else text[:most] + "…"


def located(row: int, line: int | None) -> str:
    """Return the name of a 1-based data row, with the line where it starts if the input has lines."""
    return f"row {row} (line {line})" if line else f"row {row}"


def listed(names: Iterable[str], *, most: int = 20) -> str:
    """Return the first names in quotes, followed by an ellipsis if there are more."""
    shown = list(islice(names, most + 1))
    return ", ".join([*map(quoted, shown[:most]), *["…"] * (len(shown) > most)])
