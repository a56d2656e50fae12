"""From the label cells of a row to its label: one in a cell, several in a cell, or a column of 0 and 1 for each."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from emoclass.config import Task
from emoclass.data.columns.cells import cell_label, cell_labels
from emoclass.data.columns.label_kinds import INSIDE_NAMES, LabelKind, pieces_of, unusual_kind
from emoclass.data.columns.labels import Label
from emoclass.data.columns.naming import brief, quoted
from emoclass.data.columns.spread import flagged
from emoclass.errors import ConfigError, DataError

# With a smaller share of rows that have several labels, these may be mistakes in a table of one label a text.
_CLEARLY_SEVERAL = 0.01
# Names of one class contain these, too: somebody has to say that they separate labels.
_UNCLEAR = (*INSIDE_NAMES, " and ")


def read_label(columns: Sequence[str], cells: Sequence[object], task: Task, separator: str) -> Label | None:
    """Return the label of a row, ``None`` if its cell is null.

    Args:
        columns: Names of the label columns; each of several is a label, and its cells are flags.
        cells: The cells of the row in these columns.
        task: Whether a label is one name or a tuple of any number of names.
        separator: What stands between several labels in a cell; empty where cells hold lists or single labels.

    Raises:
        DataError: A cell cannot be read as a label.
    """
    if len(columns) > 1:
        names = flagged(columns, cells)
        return tuple(sorted(names)) if task == "multi" else ", ".join(names)
    if task == "single":
        return cell_label(cells[0])
    found = cell_labels(cells[0], lambda text: pieces_of(text, separator) if separator else (text,))
    return None if found is None else tuple(sorted(set(found)))


def notation_of(
    columns: Sequence[str],
    sample: Callable[[str], Iterable[object]],
    task: Task | None,
    *,
    given: str | None = None,
    usual: str = "",
) -> tuple[Task, str, str]:
    """Return whether rows have one label or any number of them, what separates several in a cell, and a note.

    Args:
        columns: Names of the label columns.
        sample: Returns a sample of a column's cells; called only if the task or the separator is open.
        task: The task if it is known.
        given: The separator if it is known.
        usual: What separates labels if the cells do not say.

    Raises:
        DataError: The cells hold something else than labels.
        ConfigError: There is a separator, but nothing to divide.
    """
    if given is not None and (task == "single" or len(columns) > 1):
        why = "--task single has one label in a cell" if task == "single" else "several label columns hold flags"
        raise ConfigError(f"--label-separator divides the labels of a cell, but {why}: leave it out")
    if len(columns) != 1:
        return task or ("multi" if columns else "single"), "", ""
    if task == "single" or given is not None:
        return ("single", "", "") if given is None else ("multi", given, "")
    kind, share = _kind_of_cells(sample(columns[0]))
    if kind is None or (task is None and not _are_clearly_several(kind, share)):
        return task or "single", "" if task is None else usual, ""
    if kind.code in ("vectors", "objects"):
        raise DataError(f"{share:.1%} of the cells of column {quoted(brief(columns[0]))} {kind.fact}: {kind.remedy}")
    fact = f"{share:.1%} of the rows {kind.fact}: read as any number of labels a text; --task single expects one"
    separator = kind.separator if kind.code == "several_labels" else usual
    return "multi", separator, fact if task is None else ""


def _kind_of_cells(cells: Iterable[object]) -> tuple[LabelKind | None, float]:
    """Return what cells hold if they are no classes, and for which share of those with a label that is so."""
    labels = Counter(filter(None, map(_label, cells)))
    kind = unusual_kind(labels) if labels else None
    return kind, sum(labels[name] for name in kind.names) / labels.total() if kind else 0.0


def _are_clearly_several(kind: LabelKind, share: float) -> bool:
    """Return whether cells hold several labels beyond doubt: lists, or many with a separator."""
    if kind.code != "several_labels" or kind.separator in _UNCLEAR:
        return False
    return not kind.separator or share >= _CLEARLY_SEVERAL


def _label(cell: object) -> str | None:
    try:
        return cell_label(cell)
    except DataError:  # reading says where
        return None
