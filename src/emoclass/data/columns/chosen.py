"""Name the chosen columns of a table, and make one text of the cells of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emoclass.data.columns.cells import cell_text, json_text
from emoclass.data.columns.class_names import note_of
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
        label: Name of the label column; empty if there is none, or none was needed.
        separator: What stands between the cells of several text columns.
        notes: What was chosen by content, and how to choose otherwise.
        class_names: Names of the ids in the label column; empty if it holds names.
    """

    texts: tuple[str, ...]
    label: str = ""
    separator: str = SEPARATOR
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text columns as one name, for messages and reports."""
        return " + ".join(self.texts)

    def with_class_names(self, name: str, known: Mapping[str, tuple[str, ...]]) -> "Columns":
        """Return the columns of an input of that name whose metadata gives the class names of some columns."""
        names = known.get(self.label, ())
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

    def to_dict(self) -> dict[str, Any]:
        """Return the names as plain JSON values; several text columns are a list, with their separator."""
        if len(self.texts) == 1:
            return {"text": self.texts[0], "label": self.label}
        return {"text": list(self.texts), "label": self.label, "separator": self.separator}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Columns":
        """Return the columns from the result of ``to_dict``.

        Raises:
            ValueError: It is not one.
        """
        text, label, separator = values.get("text"), values.get("label"), values.get("separator", SEPARATOR)
        texts: list[Any] = text if isinstance(text, list) else [text]
        if not texts or not all(isinstance(value, str) for value in (*texts, label, separator)):
            raise ValueError("no names of columns")
        return cls(tuple(texts), str(label), separator)


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
