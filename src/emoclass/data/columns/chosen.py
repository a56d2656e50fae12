"""Name the chosen columns of a table, and make one text of the cells of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from emoclass.config import TASKS, Task
from emoclass.data.columns.cells import cell_text, json_text
from emoclass.data.columns.class_names import note_of
from emoclass.data.columns.label_reading import read_label
from emoclass.data.columns.labels import Label
from emoclass.data.columns.naming import brief, quoted
from emoclass.errors import DataError

# To a BERT tokenizer a space and a line feed are the same. A space keeps a joined text on one line, so that it can be
# written, read as a line of standard input, and compared with other texts.
SEPARATOR = " "


@dataclass(frozen=True)
class Columns:
    """The chosen columns.

    Attributes:
        texts: Names of the text columns, in the order in which their cells are joined.
        labels: Name of the label column, or of several columns with a label each, whose cells say which rows have it;
            none if there is none, or none was needed.
        separator: What stands between the cells of several text columns.
        notes: What was chosen by content, and how to choose otherwise.
        class_names: Names of the ids in the label column; empty if it holds names.
        task: Whether each row has one label, or any number of them.
        label_separator: What stands between several labels in a cell; empty where cells hold lists or one label.
        becomes: Classes with the name that each is read as; "" leaves it out.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    separator: str = SEPARATOR
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    task: Task = "single"
    label_separator: str = ""
    becomes: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The text columns as one name, for messages and reports."""
        return " + ".join(self.texts)

    @property
    def label(self) -> str:
        """The label columns as one name, for messages and reports; empty if there are none."""
        return " + ".join(self.labels)

    def with_class_names(self, name: str, known: Mapping[str, tuple[str, ...]]) -> "Columns":
        """Return the columns of an input of that name whose metadata gives the class names of some columns."""
        names = known.get(self.labels[0], ()) if len(self.labels) == 1 else ()
        if not names:
            return self
        return replace(self, class_names=names, notes=(*self.notes, f"{name}: {note_of(names)}"))

    def text_of(self, cells: Sequence[object]) -> str | None:
        """Return the text of a row: its only cell, or its cells joined without null and blank ones.

        Args:
            cells: One cell for each of ``texts``.

        Returns:
            ``None`` if all cells are null.

        Raises:
            DataError: A cell holds a list or an object, or bytes that are not UTF-8.
        """
        if len(self.texts) == 1:
            return _piece(self.texts[0], cells[0])
        pieces = [_piece(name, cell) for name, cell in zip(self.texts, cells, strict=True)]
        if filled := [piece for piece in pieces if piece and piece.strip()]:
            return self.separator.join(filled)
        return None if all(piece is None for piece in pieces) else ""

    def read_label(self, cells: Sequence[object]) -> Label | None:
        """Return the label of a row, ``None`` if its cell is null.

        Args:
            cells: One cell for each of ``labels``.

        Raises:
            DataError: A cell cannot be read as a label.
        """
        return read_label(self.labels, cells, self.task, self.label_separator)

    @cached_property
    def _new_names(self) -> dict[str, str]:
        return dict(self.becomes)

    def renamed(self, label: Label) -> Label:
        """Return a label under the names that its classes are read as; empty if they are left out."""
        names = self._new_names
        if isinstance(label, str):
            return names.get(label, label)
        return tuple(sorted({names.get(name, name) for name in label} - {""}))

    def to_dict(self) -> dict[str, Any]:
        """Return the names as plain JSON values: lists of several columns, and separators where there are some."""
        values: dict[str, Any] = {"text": self.text, "label": self.label}
        if len(self.texts) > 1:
            values |= {"text": list(self.texts), "separator": self.separator}
        if len(self.labels) > 1:
            values["label"] = list(self.labels)
        if self.task == "multi":
            values |= {"task": self.task, "label_separator": self.label_separator}
        return {**values, "becomes": dict(self.becomes)} if self.becomes else values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Columns":
        """Return the columns from the result of ``to_dict``.

        Raises:
            ValueError: It is not one.
        """
        text, label, separator = values.get("text"), values.get("label"), values.get("separator", SEPARATOR)
        texts: list[Any] = text if isinstance(text, list) else [text]
        labels: list[Any] = label if isinstance(label, list) else [label]
        between, task = values.get("label_separator", ""), values.get("task", "single")
        becomes = values.get("becomes", {})
        if not isinstance(becomes, dict):
            raise ValueError("no names of classes")
        names = (*texts, *labels, separator, between, *becomes, *becomes.values())
        if not texts or not all(isinstance(value, str) for value in names):
            raise ValueError("no names of columns")
        if task not in TASKS:
            raise ValueError("no task")
        own_labels = tuple(filter(None, labels))
        more = {"task": task, "label_separator": between, "becomes": tuple(becomes.items())}
        return cls(tuple(texts), own_labels, separator, **more)


def _piece(name: str, cell: object) -> str | None:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, dict | list):
        kind = "a list" if isinstance(cell, list) else "an object"
        raise DataError(
            f"column {quoted(brief(name))} holds {kind} ({_shown(cell)}), not a text: write it as one text, or pass"
            " another --text-column"
        )
    try:
        return cell_text(cell)
    except DataError as error:
        raise DataError(f"column {quoted(brief(name))}: {error}") from error


def _shown(cell: object) -> str:
    try:
        return brief(json_text(cell))
    except DataError:
        return "…"
