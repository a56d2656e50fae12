"""Name columns, classes, texts and rows in messages."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath

# Selectors of emoji and text style, zero-width spaces, direction marks, soft hyphens. Joiners are visible.
_INVISIBLE = re.compile("[\ufe00-\ufe0f\u200b\u200e\u200f\u2060\ufeff\u00ad]")


@dataclass(frozen=True)
class FileRows:
    """One of the files that a table was read from.

    Attributes:
        path: The file.
        first_row: 1-based data row of the table where the file's rows start.
    """

    path: str
    first_row: int


def quoted(text: str) -> str:
    """Return ``repr`` of a text without escapes for the joiners and marks that Persian, Hindi or emoji need."""
    shown = repr(text)
    for character in {c for c in text if unicodedata.category(c) == "Cf"}:
        shown = shown.replace(repr(character)[1:-1], character)
    return shown


def brief(text: str, *, most: int = 30) -> str:
    """Return the first characters of a text, followed by an ellipsis if there are more."""
    return text if len(text) <= most else text[:most] + "…"


def shortened(text: str, *, most: int = 60) -> str:
    """Return a text in quotes, cut to its first characters: class names and cells may be whole paragraphs."""
    return quoted(text) if len(text) <= most else f"{quoted(text[:most])}…"


def located(row: int, line: int | None, files: Sequence[FileRows] = ()) -> str:
    """Return the name of a 1-based data row, with its file among several and the line where it starts, if known."""
    if files:
        return f"row {row} ({place_in(files, row, line)})"
    return f"row {row} (line {line})" if line else f"row {row}"


def place_in(files: Sequence[FileRows], row: int, line: int | None) -> str:
    """Return the file of a 1-based data row of a table that was read from several, and where in it the row is."""
    file = files[bisect_right(files, row, key=lambda file: file.first_row) - 1]
    place = f"line {line}" if line else f"row {row - file.first_row + 1}"
    return f"{PurePath(file.path).name}, {place}"


def look_of(name: str) -> str:
    """Return what a person sees of a name: without Unicode forms and invisible characters."""
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).split())


def plain_digits(text: str) -> str:
    """Return a text with the digits of other scripts as 0 to 9."""
    return "".join(str(unicodedata.decimal(c, c)) for c in text)


def distinguished(names: Collection[str]) -> list[str]:
    """Return names in quotes, with the codes of their characters where some look the same or have other digits."""
    plain = (plain_digits(unicodedata.normalize("NFKC", name)) for name in names)
    if len({*map(look_of, plain)}) == len(names):
        return [shortened(name) for name in names]
    return [shortened(name) + ("" if name.isascii() else f" ({brief(ascii(name)[1:-1], most=60)})") for name in names]


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, and a verb: "1 row", "2 rows"; the plural is ``many``, or ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listed(names: Iterable[str], *, most: int = 20) -> str:
    """Return the first names in quotes, followed by an ellipsis if there are more."""
    shown = list(islice(names, most + 1))
    return ", ".join([*map(quoted, shown[:most]), *["…"] * (len(shown) > most)])


def listed_labels(names: Iterable[str], *, most: int = 20) -> str:
    """Return the first class names in quotes, each cut to its first characters."""
    shown = list(islice(names, most + 1))
    return ", ".join([*map(shortened, shown[:most]), *["…"] * (len(shown) > most)])


def all_located(
    rows: Iterable[int], lines: Iterable[int | None], files: Sequence[FileRows] = (), *, most: int = 5
) -> str:
    """Return the names of the first of several rows, each with its file and line as ``located`` does."""
    shown = [located(row, line, files) for row, line in islice(zip(rows, lines, strict=True), most + 1)]
    return ", ".join([*shown[:most], *["…"] * (len(shown) > most)])
