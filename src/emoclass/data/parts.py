"""Choose the columns of tables that belong together, and find out which of them have no labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.labels import names_of
from emoclass.data.columns.naming import brief, quoted
from emoclass.errors import DataError

if TYPE_CHECKING:
    from emoclass.data.options import DataOptions
    from emoclass.data.tables.table import Table

# What some benchmarks write for labels that they keep to themselves.
_HIDDEN = "-1"


@dataclass(frozen=True)
class PartColumns:
    """The columns of one of several tables.

    Attributes:
        columns: The columns; the label column is empty if the table has no labels.
        unlabelled: Why it has no labels, beginning with its name; empty if it has some.
    """

    columns: Columns
    unlabelled: str = ""


def choose_together(
    tables: Mapping[str, Table], options: DataOptions, *, labels: Literal["required", "optional"] = "required"
) -> dict[str, PartColumns]:
    """Choose the columns of the training table, or else of the first, and the same ones in the others.

    Args:
        tables: Tables by split or name.
        options: What is known about the columns.
        labels: Whether the training table needs labels; the others need none.

    Raises:
        DataError: No choice is clear, or a table lacks a text column of the training table.
    """
    first = "train" if "train" in tables else next(iter(tables))
    columns = tables[first].choose_columns(replace(options.wanted, labels=labels))
    chosen = {first: PartColumns(columns)}
    if labels == "optional":
        chosen[first] = _without_hidden_labels(tables[first], columns)
    wanted = replace(
        options.wanted,
        texts=columns.texts,
        separator=columns.separator,
        label_columns=columns.labels or options.wanted.label_columns,
        task=columns.task,
        trained=columns,  # what separates labels there, unless the cells say otherwise
        labels="optional",
        like=tables[first].name,
    )
    for name, table in tables.items():
        if name != first:
            own = table.choose_columns(wanted)
            chosen[name] = _without_hidden_labels(table, own, like=(tables[first], columns))
    return {name: chosen[name] for name in tables}


def _without_hidden_labels(table: Table, columns: Columns, *, like: tuple[Table, Columns] | None = None) -> PartColumns:
    """Drop a label column that holds no labels: nothing, or one value that stands for them in all rows."""
    if not columns.labels:
        if like is not None and like[1].labels:
            return PartColumns(columns, columns.notes[-1])
        reason = f"{table.name}: no column looks like labels; --label-column names one"
        return PartColumns(replace(columns, notes=(*columns.notes, reason)), reason)
    try:
        labels, classes = _labels(table, columns), _labels(*like) if like else None
    except DataError:  # cleaning says where
        return PartColumns(columns)
    column = f"{table.name}: column {quoted(brief(columns.label))}"
    if not labels:
        reason = f"{column} is empty"
    elif like and classes and _stand_for_none(labels, classes, rows=len(table.frame)):
        reason = f"{column} is {quoted(brief(*labels))} in all rows, which is not a class of {like[0].name}"
    else:
        return PartColumns(columns)
    return PartColumns(replace(columns, labels=(), notes=(*columns.notes, f"{reason}: read without labels")), reason)


def _stand_for_none(labels: set[str], classes: set[str], *, rows: int) -> bool:
    return len(labels) == 1 and not labels & classes and (labels == {_HIDDEN} or rows > 1)


def _labels(table: Table, columns: Columns) -> set[str]:
    rows = map(columns.read_label, table.label_cells(columns) if columns.labels else ())
    return {name for label in rows if label for name in names_of(label)}
