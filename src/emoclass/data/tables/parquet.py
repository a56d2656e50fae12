"""Read Parquet files batch by batch."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from emoclass.errors import DataError, one_line

# Rows in memory at a time: small enough for long texts, large enough for speed.
_BATCH_ROWS = 8192

Row = tuple[int, list[object]]


class ParquetRows:
    """Rows of a Parquet file as (0, values): Parquet has no lines.

    Args:
        file: The file, seekable.
        name: What messages call the input.

    Attributes:
        columns: Names of the columns.
        schema: The ``pyarrow.Schema``.
        total_rows: Number of rows.

    Raises:
        DataError: The file is damaged, or has values that pyarrow cannot convert to Python.
    """

    def __init__(self, file: BinaryIO, *, name: str) -> None:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        self.name = name
        self.notes: tuple[str, ...] = ()
        self._failures = (ArrowException, OSError, ValueError, OverflowError)
        try:
            self._file = ParquetFile(file)
            self.schema = self._file.schema_arrow
            self.columns: list[str] = list(self.schema.names)
            self.total_rows: int = self._file.metadata.num_rows
        except self._failures as error:
            raise self._damaged(error) from error

    def __iter__(self) -> Iterator[Row]:
        for batch in self.batches():
            try:
                columns = [column.to_pylist() for column in batch.columns]
            except self._failures as error:
                raise self._damaged(error) from error
            for values in zip(*columns, strict=True):
                yield 0, list(values)

    def batches(self) -> Iterator[Any]:
        """Yield the rows as ``pyarrow.RecordBatch``."""
        try:
            yield from self._file.iter_batches(batch_size=_BATCH_ROWS)
        except self._failures as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.name}: cannot be read as parquet: {one_line(error)}: check or rewrite the file")
