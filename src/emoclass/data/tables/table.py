"""Hold a whole table in memory."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from emoclass.data.columns.choosing import SAMPLE_ROWS, Wanted, choose_columns
from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.class_names import name_of
from emoclass.data.columns.naming import FileRows, brief, located, quoted
from emoclass.data.columns.profiles import ColumnProfile
from emoclass.data.tables.features import class_names
from emoclass.data.tables.frames import FrameReader
from emoclass.data.tables.joined import JoinedReader
from emoclass.data.tables.records import Record, RecordReader
from emoclass.data.tables.row_errors import RowErrors
from emoclass.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

TableReader = RecordReader | JoinedReader | FrameReader


def no_rows(reader: TableReader) -> DataError:
    """Return the error for an input without rows, which may be the answer of a server instead of the file."""
    if reader.format not in ("csv", "tsv"):
        return DataError(f"{reader.name}: has no data rows: add some")
    header = quoted(brief(", ".join(reader.columns), most=80))
    return DataError(
        f"{reader.name}: has no data rows, only the line {header}: add rows below it, or download the file again if it"
        " is the answer of a server"
    )


# Too few for the garbage collector to scan them: 40 % faster than batches of thousands.
_BATCH_ROWS = 256


@dataclass(frozen=True)
class Table:
    """A whole input in memory.

    Attributes:
        name: What messages call the input.
        frame: One row per record; all columns have dtype object: strings for csv and tsv, Python values for jsonl and
            parquet, ``None`` for null. "NA", "null" and "nan" are ordinary texts.
        lines: 1-based line where each row starts, ``int64[rows]``; 0 for parquet.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        encoding: Encoding of the text; ``None`` for parquet.
        sha256: Hex digest of the stored bytes.
        schema: The ``pyarrow.Schema`` of parquet; ``None`` for other formats.
        notes: What was recognized without an option.
        files: Where the rows of each file start, if the table was read from several.
        layout: How the input is written; see ``RecordReader``.
    """

    name: str
    frame: "pd.DataFrame"
    lines: "NDArray[np.int64]"
    format: str
    encoding: str | None = None
    sha256: str = ""
    schema: Any = None
    notes: tuple[str, ...] = ()
    files: tuple[FileRows, ...] = ()
    layout: Mapping[str, Any] = field(default_factory=dict)

    def located(self, row: int) -> str:
        """Return the name of a 1-based data row for messages."""
        return located(row, int(self.lines[row - 1]), self.files)

    def label_cells(self, columns: Columns) -> list[Sequence[object]]:
        """Return the cells of each row in the label columns, class names in place of ids that the file has names for.

        Raises:
            DataError: An id has no name.
        """
        if len(columns.labels) != 1:
            names = (self.frame[name].tolist() for name in columns.labels)
            return list(zip(*names, strict=True)) if columns.labels else [()] * len(self.frame)
        cells: list[object] = self.frame[columns.label].tolist()
        if columns.class_names:
            self._name_classes(cells, columns)
        return [(cell,) for cell in cells]

    def _name_classes(self, cells: list[object], columns: Columns) -> None:
        row = 0
        try:
            for row, cell in enumerate(cells):
                cells[row] = name_of(cell, columns.class_names)
        except DataError as error:
            raise DataError(f"{self.name}: {self.located(row + 1)}: {error}") from error

    def sample(self, column: str, known: Mapping[str, Sequence[str]]) -> list[object]:
        """Return cells of rows from the whole table, with known names of class ids in their place."""
        step = max(1, len(self.frame) // SAMPLE_ROWS)
        names = known.get(column, ())
        return [name_of(cell, names, strict=False) for cell in self.frame[column].iloc[::step].tolist()]

    def profiles(self) -> dict[str, ColumnProfile]:
        """Return what each column holds, judged by a sample."""
        known = class_names(self.schema)
        return {column: ColumnProfile.of(self.sample(column, known)) for column in self.frame.columns}

    def choose_columns(self, wanted: Wanted | None = None) -> Columns:
        """Choose the text and the label columns; see ``emoclass.data.columns.choosing.choose_columns``.

        Raises:
            DataError: A named column does not exist, the choice is ambiguous, or no column fits.
        """
        known = class_names(self.schema)
        chosen = choose_columns(
            self.name,
            list(self.frame.columns),
            lambda column: self.sample(column, known),
            wanted,
        )
        return chosen.with_class_names(self.name, known)


def read_table(
    reader: TableReader,
    *,
    errors: RowErrors | None = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Table:
    """Read all records of an input and close it.

    Args:
        reader: The opened input.
        errors: What the reader gives the errors of rows to.
        on_rows: Called with the number of rows just read.

    Raises:
        DataError: The input cannot be read, or has no data rows.
    """
    import numpy as np
    import pandas as pd

    with reader:
        columns, lines = _collect(reader, on_rows)
        if errors is not None:
            errors.check()
        if not lines:
            raise no_rows(reader)
        return Table(
            name=reader.name,
            frame=pd.DataFrame(dict(zip(reader.columns, columns, strict=True)), dtype=object),
            lines=np.array(lines, dtype=np.int64),
            format=reader.format,
            encoding=reader.encoding,
            sha256=reader.sha256(),
            schema=reader.schema,
            notes=(*reader.notes, *(() if errors is None else errors.notes())),
            layout=reader.layout,
            files=tuple(reader.files) if isinstance(reader, JoinedReader) else (),
        )


def _collect(reader: TableReader, on_rows: Callable[[int], None]) -> "tuple[list[list[object]], array[int]]":
    """Transpose records to columns batch by batch, so that no row outlives its batch."""
    columns: list[list[object]] = []
    lines = array("q")
    records = iter(reader)
    while batch := list(islice(records, _BATCH_ROWS)):
        while len(columns) < len(reader.columns):
            columns.append([None] * len(lines))
        lines.extend(record.line for record in batch)
        on_rows(len(batch))
        for column, values in zip(columns, _transposed(batch, len(columns)), strict=True):
            column.extend(values)
    while len(columns) < len(reader.columns):
        columns.append([])
    return columns, lines


def _transposed(batch: list[Record], width: int) -> Iterable[tuple[object, ...]]:
    rows = [record.values for record in batch]
    if any(len(values) < width for values in rows):
        rows = [values + [None] * (width - len(values)) for values in rows]
    return zip(*rows, strict=True)
