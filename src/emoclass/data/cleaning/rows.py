"""Turn the cells of a row into a text and a label, or into the reason to remove the row."""

from collections.abc import Iterable, Sequence

from emoclass.data.columns.cells import cell_text
from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.labels import Label, names_of
from emoclass.data.columns.naming import FileRows, all_located, brief, counted, located, quoted, shortened
from emoclass.errors import DataError

# Why a row is removed whatever the other rows are.
REASONS = (
    "null_text", "blank_text", "null_label", "blank_label", "empty_label_list", "repeated_header", "small_class",
)  # fmt: skip
_KEPT_PLACES = 6


class RowCells:
    """Reads the rows of one table in order, and remembers what deserves a note.

    Args:
        name: What messages call the table.
        columns: Its text and label columns.
        files: Where the rows of each file start, if the table is read from several.
    """

    def __init__(self, name: str, columns: Columns, files: Sequence[FileRows] = ()) -> None:
        self._name, self._columns, self._files = name, columns, files
        header = columns.text_of(columns.texts) or ""
        self._header = (_folded(header), *map(_folded, columns.labels))
        self._longest = len(header) + 100
        self._unwrapped = 0
        self._example = ""
        self._headers: list[tuple[int, int | None]] = []
        self._without = 0

    def read(
        self, text_cells: Sequence[object], label_cells: Sequence[object], row: int, line: int | None
    ) -> tuple[str, Label, str | None]:
        """Return text, label and the reason to remove the row, ``None`` if it stays.

        Args:
            text_cells: Values of the text columns.
            label_cells: Values of the label columns; not looked at if there are none.
            row: 1-based number of the data row.
            line: Line where it starts; 0 or ``None`` if the input has no lines.

        Raises:
            DataError: A cell is binary, nested too deeply, an object that is no label, or has a lone surrogate; the
                message names the row.
        """
        try:
            text = self._columns.text_of(text_cells)
            if text and len(text) < self._longest and self._repeats_header(text, label_cells, row, line):
                return text, "", "repeated_header"
            label = self._columns.read_label(label_cells) if self._columns.labels else ""
            _require_characters(self._columns.text, (text or "",))
            _require_characters(self._columns.label, names_of(label or ""))
        except DataError as error:
            raise DataError(f"{self._name}: {located(row, line, self._files)}: {error}") from error
        if text is None or not text.strip():
            return "", label or "", "null_text" if text is None else "blank_text"
        if not self._columns.labels:
            return text, "", None
        if label is None or label == "":
            return text, "", "null_label" if label is None else _blank(label_cells)
        label_cell = label_cells[0]
        if isinstance(label, tuple):
            self._without += not label
        elif len(label_cells) == 1 and label is not label_cell and _is_wrapped(label_cell, label):
            self._unwrapped += 1
            self._example = (
                self._example
                or f"{_shown(label_cell)} in {located(row, line, self._files)}: read as {shortened(label)}"
            )
        if self._columns.becomes:
            renamed = self._columns.renamed(label)
            return text, renamed, "small_class" if label and not renamed else None
        return text, label, None

    def _repeats_header(self, text: str, labels: Sequence[object], row: int, line: int | None) -> bool:
        if not self._columns.labels or not all(isinstance(label, str) for label in labels):
            return False
        cells = (_folded(text), *(_folded(str(label)) for label in labels))
        if cells == self._header:
            if len(self._headers) < _KEPT_PLACES:
                self._headers.append((row, line))
            return True
        if cells == self._header[::-1]:
            raise DataError(
                f"{self._name}: {located(row, line, self._files)} repeats the header in another order, so that rows"
                " below it have other columns: split the file there"
            )
        return False

    def notes(self) -> tuple[str, ...]:
        """Return what to tell about the rows read so far."""
        notes = []
        if self._headers:
            rows, lines = zip(*self._headers, strict=True)
            verb = "repeats" if len(rows) == 1 else "repeat"
            notes.append(f"{self._name}: {all_located(rows, lines, self._files)} {verb} the header: removed")
        if self._unwrapped:
            lists = counted(self._unwrapped, "label is a list", "labels are lists")
            notes.append(f"{self._name}: {lists} of one, such as {self._example}")
        if self._without:
            rows_have = counted(self._without, "row has", "rows have")
            notes.append(f"{self._name}: {rows_have} no label: kept, as texts to which no label applies")
        return tuple(notes)


def _require_characters(column: str, values: Iterable[str]) -> None:
    try:
        for value in values:
            value.encode()
    except UnicodeEncodeError as error:  # files have none of these, but data frames may
        problem = "holds half of a surrogate pair (\\ud800-\\udfff)"
        raise DataError(f"column {quoted(brief(column))} {problem}: repair the cell") from error


def _folded(text: str) -> str:
    return text.strip("\ufeff \t\r\n").casefold()


def _blank(cells: Sequence[object]) -> str:
    if len(cells) > 1:
        return "blank_label"
    (cell,) = cells
    return "blank_label" if isinstance(cell, bytes) or not str(cell).strip() else "empty_label_list"


def _is_wrapped(cell: object, label: str) -> bool:
    """Return whether the label was taken out of a list or an object, not merely stripped or written as text."""
    written = cell.strip() if isinstance(cell, str) else cell_text(cell) if isinstance(cell, dict | list) else label
    return written != label


def _shown(cell: object) -> str:
    text = (cell_text(cell) or "").strip()
    return text if len(text) <= 60 else f"{text[:60]}…"
