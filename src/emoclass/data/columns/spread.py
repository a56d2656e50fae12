"""Detect labels that are spread over columns: one of 0 and 1, or of scores, for each class."""

from collections.abc import Callable, Iterable, Sequence

from emoclass.data.columns.cells import is_null
from emoclass.data.columns.naming import listed

_SHOWN_COLUMNS = 4
# Scores are shares or percentages.
_MOST = 100
_FLAGS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "": 0.0}
_WORDS = {"false": 0.0, "true": 1.0, "": 0.0}
_ANSWERS = {"no": 0.0, "yes": 1.0, "n": 0.0, "y": 1.0, "": 0.0}
_MARKS = {"x": 1.0, "✓": 1.0, "✔": 1.0, "✗": 0.0, "*": 1.0, "": 0.0}


def spread_labels(columns: Sequence[str], sample: Callable[[str], Iterable[object]], *, fewest: int = 3) -> str | None:
    """Return what is wrong and what to do if columns side by side hold the labels of one class each.

    Args:
        columns: Names of the columns that may hold labels, in the order of the table.
        sample: Returns the cells of the same rows for each column.
        fewest: Number of such columns from which on they hold labels.
    """
    cells = {column: [_text(value) for value in sample(column)] for column in columns}
    for what, read in _KINDS.items():
        run = _longest_run(cells, read)
        if len(run) >= fewest and (message := _message(what, run)):
            return message
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


def _message(what: str, run: dict[str, list[float]]) -> str | None:
    """Return the message, ``None`` if the columns are no labels: most are set in a row, or hold whole numbers."""
    rows = list(zip(*run.values(), strict=True))
    spread = f"the labels seem to be spread over {len(run)} columns of {what} ({listed(run, most=_SHOWN_COLUMNS)})"
    another = "the column with the class of each row (write one if there is none) with --label-column"
    if what == "percentages":
        return f"{spread}: name {another}"
    if what == "scores":
        is_fraction = [not value.is_integer() for row in rows for value in row]
        return f"{spread}: name {another}" if sum(is_fraction) * 4 > len(is_fraction) else None
    ones = [sum(row) for row in rows]
    if not any(ones) or sum(ones) * 2 > len(run) * len(rows):
        return None
    if what == "marks":
        return f"{spread}: write 1 for a mark and 0 for none, or name {another}"
    each = ", one 1 in each row" if min(ones) == max(ones) == 1 and what == "0 and 1" else ""
    return f"{spread}{each}: name one of them, for a classifier of two classes, or {another}"
