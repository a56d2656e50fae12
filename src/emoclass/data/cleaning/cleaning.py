"""Take texts and labels from a table without empty and repeated rows, and record every removed row."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emoclass.data.cleaning import rows
from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.labels import Label, LabelSet
from emoclass.data.columns.naming import FileRows, quoted
from emoclass.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emoclass.data.tables.table import Table

# Rows of a block: enough texts to be batched by length.
BLOCK_ROWS = 4096
REASONS = (*rows.REASONS, "duplicate")


@dataclass(frozen=True)
class Conflict:
    """A text with several labels.

    Attributes:
        text: The text.
        labels: Its labels.
        rows: 1-based data row of the first occurrence of each label.
        lines: Line where each of the rows starts; empty for Parquet.
    """

    text: str
    labels: tuple[Label, ...]
    rows: tuple[int, ...]
    lines: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Some consecutive kept rows.

    Attributes:
        texts: Texts, unchanged.
        labels: Class names, or tuples of them.
        rows: 1-based data row of each text, ``int64[texts]``.
        read: Data rows since the previous block, including removed ones.
    """

    texts: list[str]
    labels: list[Label]
    rows: "NDArray[np.int64]"
    read: int


@dataclass(frozen=True)
class CleanData:
    """The kept rows of a table, and which rows were removed.

    Attributes:
        name: What messages call the input.
        columns: Columns of the texts and labels.
        texts: Texts, unchanged.
        labels: Class names, or tuples of them.
        rows: 1-based data row of each text, ``int64[texts]``.
        lines: 1-based line where the row of each text starts, ``int64[texts]``; 0 for Parquet.
        total_rows: Data rows before cleaning.
        removed: 1-based data rows by reason; a row has one reason, the first that applies.
        conflicts: Texts with two or more labels; all of their rows are kept.
        files: Where the rows of each file start, if the table was read from several.
        notes: How columns were chosen, and which cells were not taken as they are.
    """

    name: str
    columns: Columns
    texts: list[str]
    labels: list[Label]
    rows: "NDArray[np.int64]"
    lines: "NDArray[np.int64]"
    total_rows: int
    removed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    files: tuple[FileRows, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def removed_counts(self) -> dict[str, int]:
        """Number of removed rows for every reason, including zeros."""
        return {reason: len(self.removed.get(reason, ())) for reason in REASONS}

    def label_set(self) -> LabelSet:
        """Return the classes.

        Raises:
            DataError: There are fewer than two.
        """
        return LabelSet.from_labels(self.labels, task=self.columns.task, where=f"{self.name}: ")

    def origin(self, position: int) -> tuple[int, int | None]:
        """Return the 1-based data row of a text and the line where it starts, ``None`` for Parquet."""
        return int(self.rows[position]), int(self.lines[position]) or None

    def lines_of(self, positions: Iterable[int]) -> tuple[int, ...]:
        """Return the lines where rows start, by the positions of their texts; none for Parquet."""
        return tuple(int(self.lines[position]) for position in positions if self.lines[position])

    def blocks(self) -> Iterator[Block]:
        """Yield the kept rows in blocks."""
        for start in range(0, len(self), BLOCK_ROWS):
            chosen = slice(start, start + BLOCK_ROWS)
            texts = self.texts[chosen]
            yield Block(texts, self.labels[chosen], self.rows[chosen], len(texts))


def clean(table: "Table", columns: Columns, *, keep_duplicates: bool = False) -> CleanData:
    """Remove rows without text or label, repeated headers, and all but the first of rows with the same text and label.

    If there is no label column, all labels are empty, and no row is removed for that. Texts are not changed; labels are
    stripped and taken out of lists (see ``cell_label``).

    Args:
        table: The table.
        columns: Its text columns and its label column, if it has one.
        keep_duplicates: Whether to keep repeated rows.

    Raises:
        DataError: No row remains, a cell is binary, or a label is an object.
    """
    import numpy as np

    cells = rows.RowCells(table.name, columns, table.files)
    sieve = _Sieve(cells, keep_duplicates=keep_duplicates)
    frame = table.frame
    texts = zip(*(frame[name].tolist() for name in columns.texts), strict=True)
    sieve.run(texts, table.label_cells(columns), table.lines.tolist())
    if not sieve.rows:
        counts = {reason: len(removed) for reason, removed in sieve.removed.items()}
        raise DataError(nothing_left(table.name, columns, counts))
    kept = np.array(sieve.rows, dtype=np.int64)
    return CleanData(
        name=table.name,
        columns=columns,
        texts=sieve.texts,
        labels=sieve.labels,
        rows=kept,
        lines=table.lines[kept - 1],
        total_rows=len(frame),
        removed={reason: tuple(sieve.removed[reason]) for reason in REASONS if reason in sieve.removed},
        conflicts=sieve.conflicts(table.lines),
        files=table.files,
        notes=(*columns.notes, *cells.notes()),
    )


class _Sieve:
    """Sorts rows into kept and removed."""

    def __init__(self, cells: rows.RowCells, *, keep_duplicates: bool) -> None:
        self._cells = cells
        self._keep_duplicates = keep_duplicates
        self.texts: list[str] = []
        self.labels: list[Label] = []
        self.rows: list[int] = []
        self.removed: defaultdict[str, list[int]] = defaultdict(list)
        self._first: dict[str, int] = {}
        # Texts with several labels only: positions of the first row of each label among the kept rows.
        self._again: dict[str, list[int]] = {}

    def run(self, texts: Iterable[Sequence[object]], labels: Iterable[Sequence[object]], lines: Iterable[int]) -> None:
        read = self._cells.read
        for row, (text_cells, label_cells, line) in enumerate(zip(texts, labels, lines, strict=True), start=1):
            text, label, reason = read(text_cells, label_cells, row, line)
            if reason:
                self.removed[reason].append(row)
            else:
                self._keep(text, label, row)

    def _keep(self, text: str, label: Label, row: int) -> None:
        position = len(self.texts)
        first = self._first.setdefault(text, position)
        if first != position:
            same_text = self._again.get(text, [first])
            known = any(self.labels[other] == label for other in same_text)
            if known and not self._keep_duplicates:
                self.removed["duplicate"].append(row)
                return
            if not known:
                self._again[text] = [*same_text, position]
        self.texts.append(text)
        self.labels.append(label)
        self.rows.append(row)

    def conflicts(self, lines: "NDArray[np.int64]") -> tuple[Conflict, ...]:
        conflicts = []
        for text, positions in self._again.items():
            rows = tuple(self.rows[position] for position in positions)
            starts = tuple(int(lines[row - 1]) for row in rows if lines[row - 1])
            conflicts.append(Conflict(text, tuple(self.labels[position] for position in positions), rows, starts))
        return tuple(conflicts)


def nothing_left(name: str, columns: Columns, removed: Mapping[str, int]) -> str:
    """Return the message for a table without remaining rows."""
    counts = ", ".join(f"{rows} {reason.replace('_', ' ')}" for reason, rows in removed.items())
    text = f"a text in column {quoted(columns.text)}"
    both = f"both {text} and a label in column {quoted(columns.label)}" if columns.labels else text
    return f"{name}: no row has {both} ({counts}): check that these are the right columns"
