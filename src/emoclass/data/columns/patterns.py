"""Recognize cells that are neither texts nor labels: ids, dates, times, URLs and paths; and names of such columns."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

# Most cells of a column: what a few others are does not matter.
_MOST = 0.9
# With fewer cells, equal or increasing ones may be chance.
_FEW = 5
# Longer than any written date with a time zone.
_DATE_CHARACTERS = 50
# Numbers from 2001 on as seconds, milliseconds, microseconds or nanoseconds since 1970.
_TIMESTAMPS = ((1e9, 1e10), (1e12, 1e13), (1e15, 1e16), (1e18, 1e19))
# More different codes of letters and digits are ids, not classes.
_MOST_CODES = 20
# Increasing numbers count, rather than name classes, if so many differ, and each is in fewer rows than that on average.
_COUNTING, _ROWS_OF_EACH = 10, 3
# Cells that are enough to recognize patterns.
_LOOKED_AT = 1000

_ID_NAME = re.compile(r"|.*[\W_]ids?|ids?|index|unnamed: ?\d+|__index_level_\d+__", re.DOTALL)
_CAMEL_ID_NAME = re.compile(r".*[a-z0-9]I[Dd]s?", re.DOTALL)
_PERSONS = frozenset({"author", "guid", "tweetid", "uid", "user", "userid", "username", "uuid"})

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+|\S+@\S+\.[a-z]{2,}", re.IGNORECASE)
_PATH = re.compile(r"(?:[a-z]:)?[\\/.~][^\s]*[\\/][^\s]*|[^\s]*[^\s.]\.[a-z][a-z0-9]{1,4}", re.IGNORECASE)
# Without whitespace: e0000d, user13, hit:0_conv:0, a UUID; also very_sad, which can be a label but is no text.
_CODE, _NUMBERED = re.compile(r"\S*[\d_]\S*"), re.compile(r"\S*\d\S*")
_ID_CODE = re.compile(r"(?:user|author|rater|annotator|worker|speaker|subject|participant)[_-]?\d+", re.IGNORECASE)
_DATE_PARTS = re.compile(r"[^\W\d_]+|\d+")
_DATE_SEPARATORS = re.compile(r"[\s,./:+T()-]*")
_TIME_OR_MONTH = re.compile(r"\d{1,2}:\d{2}|\d{4}-\d{2}")
_MONTHS = "jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august"
_MONTHS += " september october november december"
_OTHER_DATE_WORDS = "mon tue wed thu fri sat sun tues thur thurs monday tuesday wednesday thursday friday saturday"
_OTHER_DATE_WORDS += " sunday am pm st nd rd th of at t z utc gmt bst cet cest est edt cst cdt mst mdt pst pdt"
_MONTH_NAMES = frozenset(_MONTHS.split())
_DATE_WORDS = _MONTH_NAMES | frozenset(_OTHER_DATE_WORDS.split())


def names_no_content(column: str) -> bool:
    """Return whether a column's name is that of an id, an index or a person, or empty."""
    name = column.strip()
    folded = name.casefold()
    return bool(_ID_NAME.fullmatch(folded) or _CAMEL_ID_NAME.fullmatch(name)) or folded in _PERSONS


def kind_of(cells: Sequence[str]) -> str:
    """Return what the cells of a column are that is neither text nor label.

    Args:
        cells: Cells as texts, none of them blank, in the order of the rows.

    Returns:
        ``empty``, ``constant``, ``address`` (URLs, mail addresses and paths), ``date``, ``id``, or ``""``.
    """
    if not cells:
        return "empty"
    distinct = len(set(cells))
    if distinct == 1 and len(cells) >= _FEW:
        return "constant"
    if _most(cells, lambda cell: _URL.fullmatch(cell) or _PATH.fullmatch(cell)):
        return "address"
    if _most(cells, _is_date):
        return "date"
    return "id" if _are_ids(cells, distinct) else ""


def are_codes(cells: Sequence[str]) -> bool:
    """Return whether most cells are single words with digits or underscores, which no text is."""
    return bool(cells) and _most(cells, _CODE.fullmatch)


def _are_ids(cells: Sequence[str], distinct: int) -> bool:
    if _most(cells, _ID_CODE.fullmatch):
        return True
    if len(cells) < _FEW:
        return False
    numbers = [float(cell) for cell in cells if _number(cell)]
    if len(numbers) < len(cells):
        return (distinct > _MOST_CODES or distinct * 2 > len(cells)) and _most(cells, _NUMBERED.fullmatch)
    counts_up = all(a <= b for a, b in pairwise(numbers))
    return distinct == len(cells) or (counts_up and distinct >= _COUNTING and distinct * _ROWS_OF_EACH > len(cells))


def _is_date(cell: str) -> bool:
    """Return whether a cell is a date, a time, or a number of seconds since 1970."""
    if _number(cell):
        return any(low <= float(cell) < high for low, high in _TIMESTAMPS)
    if len(cell) > _DATE_CHARACTERS or not _DATE_SEPARATORS.fullmatch(_DATE_PARTS.sub("", cell)):
        return False
    words = [part.casefold() for part in _DATE_PARTS.findall(cell)]
    numbers = [word for word in words if word.isdecimal()]
    names = set(words) - set(numbers)
    if not numbers or not names <= _DATE_WORDS:
        return False
    return (len(numbers) >= 3 and "," not in cell) or bool(names & _MONTH_NAMES) or bool(_TIME_OR_MONTH.search(cell))


def _number(cell: str) -> bool:
    try:
        return abs(float(cell)) < float("inf")  # not for NaN either
    except ValueError:
        return False


def _most(cells: Sequence[str], matches: Callable[[str], object]) -> bool:
    some = cells[:: max(1, len(cells) // _LOOKED_AT)]
    return sum(1 for cell in some if matches(cell)) >= _MOST * len(some)
