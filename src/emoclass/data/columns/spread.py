"""Labels that are spread over columns: one of 0 and 1, or of scores, for each class."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from emoclass.data.columns.cells import is_null
from emoclass.data.columns.naming import brief, listed, quoted
from emoclass.errors import DataError

_SHOWN_COLUMNS = 4
# Scores are shares or percentages.
_MOST = 100
_FLAGS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "": 0.0}
_WORDS = {"false": 0.0, "true": 1.0, "": 0.0}
_ANSWERS = {"no": 0.0, "yes": 1.0, "n": 0.0, "y": 1.0, "": 0.0}
_MARKS = {"x": 1.0, "✓": 1.0, "✔": 1.0, "✗": 0.0, "*": 1.0, "": 0.0}
_ANY_FLAG = {**_FLAGS, **_WORDS, **_ANSWERS, **_MARKS}


@dataclass(frozen=True)
class Spread:
    """Columns side by side that hold one label each.

    Attributes:
        columns: Their names.
        what: What they hold, in words.
        is_flags: Whether they say which labels a row has; else they hold scores.
        one_each: Whether every row has exactly one of the labels.
    """

    columns: tuple[str, ...]
    what: str
    is_flags: bool
    one_each: bool

    @property
    def fact(self) -> str:
        """The columns and what they hold, as part of a sentence."""
        return f"{len(self.columns)} columns of {self.what} ({listed(self.columns, most=_SHOWN_COLUMNS)})"


def flagged(columns: Sequence[str], cells: Sequence[object]) -> list[str]:
    """Return the columns whose cell in a row says that the row has their label.

    Raises:
        DataError: A cell is neither 0 nor 1, nor one of the words and marks that stand for them.
    """
    names = []
    for column, cell in zip(columns, cells, strict=True):
        flag = _ANY_FLAG.get(_text(cell))
        if flag is None:
            shown = quoted(brief(str(cell)))
            raise DataError(f"column {quoted(brief(column))} holds {shown}, not 0 or 1: correct the cell")
        if flag:
            names.append(column)
    return names


def find_spread(columns: Sequence[str], sample: Callable[[str], Iterable[object]], *, fewest: int = 3) -> Spread | None:
    """Return columns side by side that hold one label each, ``None`` if there are none.

    Args:
        columns: Names of the columns that may hold labels, in the order of the table.
        sample: Returns the cells of the same rows for each column.
        fewest: Number of such columns from which on they hold labels.
    """
    cells = {column: [_text(value) for value in sample(column)] for column in columns}
    for what, read in _KINDS.items():
        run = _longest_run(cells, read)
        if len(run) >= fewest and (spread := _spread(what, run)):
            return spread
    return None


def _text(value: object) -> str:
    return "" if is_null(value) else str(value).strip().casefold()


def _score(text: str) -> float | None:
    try:
        number = float(text or 0)
    except ValueError:
        return None
    return number if 0 <= number <= _MOST else None


def _percentage(text: str) -> float | None:
    return _score(text[:-1].strip()) if text.endswith("%") else None


_KINDS: dict[str, Callable[[str], float | None]] = {
    "0 and 1": _FLAGS.get,
    "true and false": _WORDS.get,
    "yes and no": _ANSWERS.get,
    "marks": _MARKS.get,
    "percentages": _percentage,
    "scores": _score,
}


def _longest_run(cells: dict[str, list[str]], read: Callable[[str], float | None]) -> dict[str, list[float]]:
    """Return the values of the longest run of columns in which every cell can be read."""
    longest: dict[str, list[float]] = {}
    run: dict[str, list[float]] = {}
    for column, texts in cells.items():
        values = [value for text in texts if (value := read(text)) is not None]
        run = {**run, column: values} if len(values) == len(texts) and any(texts) else {}
        longest = max(longest, run, key=len)
    return longest


def _spread(what: str, run: dict[str, list[float]]) -> Spread | None:
    """Return the columns, ``None`` if they are no labels: most are set in a row, or hold whole numbers."""
    rows = list(zip(*run.values(), strict=True))
    if what == "percentages":
        return Spread(tuple(run), what, is_flags=False, one_each=False)
    if what == "scores":
        fractions = sum(not value.is_integer() for row in rows for value in row)
        is_share = fractions * 4 > len(rows) * len(run)
        return Spread(tuple(run), what, is_flags=False, one_each=False) if is_share else None
    ones = [sum(row) for row in rows]
    if not any(ones) or sum(ones) * 2 > len(run) * len(rows):
        return None
    return Spread(tuple(run), what, is_flags=True, one_each=min(ones) == max(ones) == 1)
