"""Hold a whole table in memory."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from emoclass.data.columns.choosing import SAMPLE_ROWS, Wanted, choose_columns
from emoclass.data.columns.chosen import Columns
from emoclass.data.tables.records import Record, RecordReader
from emoclass.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


NO_ROWS = "has a header but no data rows: add rows below it"

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
    """

    name: str
    frame: "pd.DataFrame"
    lines: "NDArray[np.int64]"
    format: str
    encoding: str | None = None
    sha256: str = ""
    schema: Any = None
    notes: tuple[str, ...] = ()

    def choose_columns(self, wanted: Wanted | None = None) -> Columns:
        """Choose the text and the label columns; see ``emoclass.data.columns.choosing.choose_columns``.

        Raises:
            DataError: A named column does not exist, the choice is ambiguous, or no column fits.
        """
        step = max(1, len(self.frame) // SAMPLE_ROWS)
        return choose_columns(
            self.name,
            list(self.frame.columns),
            lambda column: self.frame[column].iloc[::step].tolist(),
            wanted,
            has_header_line=self.format in ("csv", "tsv"),
        )


def read_table(reader: RecordReader, *, on_rows: Callable[[int], None] = lambda rows: None) -> Table:
    """Read all records of an input and close it.

    Args:
        reader: The opened input.
        on_rows: Called with the number of rows just read.

    Raises:
        DataError: The input cannot be read, or has no data rows.
    """
    import numpy as np
    import pandas as pd

    with reader:
        columns, lines = _collect(reader, on_rows)
        if not lines:
            raise DataError(f"{reader.name}: {NO_ROWS}")
        return Table(
            name=reader.name,
            frame=pd.DataFrame(dict(zip(reader.columns, columns, strict=True)), dtype=object),
            lines=np.array(lines, dtype=np.int64),
            format=reader.format,
            encoding=reader.encoding,
            sha256=reader.sha256(),
            schema=reader.schema,
            notes=tuple(reader.notes),
        )


def _collect(reader: RecordReader, on_rows: Callable[[int], None]) -> "tuple[list[list[object]], array[int]]":
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
