"""Class names in place of numbers: those of a file's metadata, and those of a column beside the labels."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from emoclass.data.columns.cells import cell_label
from emoclass.data.columns.naming import listed, quoted
from emoclass.data.columns.profiles import ColumnProfile
from emoclass.errors import DataError

# The id of a row without a label.
_NO_LABEL = -1
# Share of the rows that may contradict a name.
_FEW = 0.1
_INTEGER = re.compile(r"-?\d{1,18}")
# How pandas stores an index without a name.
_INDEX = re.compile(r"__index_level_\d+__")


def name_of(value: object, names: Sequence[str], *, strict: bool = True) -> object:
    """Return the class name of a class id, or the names of a list of ids; ``None`` for -1, other values unchanged.

    Args:
        value: A cell.
        names: The name of each id; none where ids have no names.
        strict: Whether an id without a name is an error; else it is unchanged.

    Raises:
        DataError: The id has no name.
    """
    if not names or isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [name_of(each, names, strict=strict) for each in value if each != _NO_LABEL]
    if not isinstance(value, int) and not (isinstance(value, float) and value.is_integer()):
        return value
    number = int(value)
    if 0 <= number < len(names):
        return names[number]
    if number != _NO_LABEL and strict:
        raise DataError(
            f"class id {number} has no name: the file's metadata has those of 0 to {len(names) - 1}: correct the row"
        )
    return None if number == _NO_LABEL else value


def note_of(names: Sequence[str]) -> str:
    """Return the note that says which names the file's metadata gives, and which it gives to several classes."""
    note = f"class names from the file's metadata: {listed(names, most=10)}"
    if repeated := sorted(name for name, count in Counter(names).items() if count > 1):
        note += f"; classes of the same name are learned as one: {listed(repeated, most=10)}"
    return note


def names_beside(
    label: str, others: Iterable[str], sample: Callable[[str], Iterable[object]]
) -> tuple[tuple[str, ...], str]:
    """Return the columns that name the classes of a label column of integers: short words, one for each integer.

    Args:
        label: The label column.
        others: Columns that could hold the names.
        sample: Returns a sample of a column's cells, of the same rows for all columns.

    Returns:
        The columns; and where there is none, which column names the classes but for a few rows, and where it does not,
        as a part of a sentence.
    """
    others = list(others)
    if not others:
        return (), ""
    cells = list(sample(label))
    if not are_integers(cells):
        return (), ""
    ids = [_label(cell) for cell in cells]
    columns = {other: list(sample(other)) for other in others}
    names = tuple(other for other, cells in columns.items() if _is_named_by(ids, cells))
    facts = () if names else (_contradiction(ids, other, cells) for other, cells in columns.items())
    return names, next(filter(None, facts), "")


def _contradiction(ids: Sequence[str | None], other: str, cells: Sequence[object]) -> str:
    """Return where a column contradicts the name that it usually gives to an id, "" if it names none or all."""
    pairs = Counter(zip(ids, map(_label, cells), strict=True))
    usual = {id_: name for (id_, name), _ in reversed(pairs.most_common())}
    strays = [(id_, name) for id_, name in pairs if usual[id_] != name]
    few = sum(pairs[pair] for pair in strays) <= _FEW * len(ids)
    if not strays or not few or not _is_named_by(ids, [usual[id_] for id_ in ids]):
        return ""
    id_, name = strays[0]
    fact = f"{quoted(other)} names them except that {id_} is {quoted(str(name))} where it usually is"
    return f"{fact} {quoted(str(usual[id_]))}"


def are_integers(cells: Iterable[object]) -> bool:
    """Return whether all cells that are not empty are integers."""
    labels = map(_label, cells)
    return all(label is None or _INTEGER.fullmatch(label) for label in labels)


def without_index(columns: Iterable[str]) -> list[str]:
    """Return column names without those of an index that pandas stored: these are neither text nor label."""
    return [column for column in columns if not _INDEX.fullmatch(column)]


def _is_named_by(ids: Sequence[str | None], cells: Sequence[object]) -> bool:
    profile = ColumnProfile.of(cells)
    if not profile.wordy or not profile.is_short or len(profile.labels) < 2:
        return False
    pairs = {*zip(ids, map(_label, cells), strict=True)}
    if any((id_ is None) != (name is None) for id_, name in pairs):
        return False
    distinct = {id_ for id_, _ in pairs}, {name for _, name in pairs}
    return len(distinct[0]) == len(distinct[1]) == len(pairs) < len(ids)


def _label(value: object) -> str | None:
    try:
        return cell_label(value) or None
    except DataError:
        return None
