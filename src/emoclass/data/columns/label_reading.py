"""From the label cells of a row to its label: one in a cell, several in a cell, or a column of 0 and 1 for each."""

from collections import Counter
from collections.abc import Iterable, Sequence

from emoclass.data.columns.cells import cell_label, cell_labels
from emoclass.data.columns.label_kinds import LabelKind, pieces_of, unusual_kind
from emoclass.data.columns.labels import Label, Task
from emoclass.data.columns.spread import flagged
from emoclass.errors import DataError

# With a smaller share of rows that have several labels, these may be mistakes in a table of one label a text.
_CLEARLY_SEVERAL = 0.01
# Names of one class contain these, too: somebody has to say that they separate labels.
_INSIDE_NAMES = (" ", "-", "_", " and ")


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


def kind_of_cells(cells: Iterable[object]) -> tuple[LabelKind | None, float]:
    """Return what the cells of a label column hold if they are no classes, and for which share of them that is so."""
    labels = Counter(filter(None, map(_label, cells)))
    kind = unusual_kind(labels) if labels else None
    return kind, sum(labels[name] for name in kind.names) / labels.total() if kind else 0.0


def are_clearly_several(kind: LabelKind | None, share: float) -> bool:
    """Return whether cells that are no classes hold several labels beyond doubt: lists, or many with a separator."""
    if kind is None or kind.code != "several_labels" or kind.separator in _INSIDE_NAMES:
        return False
    return not kind.separator or share >= _CLEARLY_SEVERAL


def _label(cell: object) -> str | None:
    try:
        return cell_label(cell)
    except DataError:  # reading says where
        return None
