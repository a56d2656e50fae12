"""Read the shards of a table as one stream of records."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emoclass.data.columns.naming import FileRows, listed
from emoclass.data.tables.features import class_names
from emoclass.data.tables.records import Record, RecordReader, RecordStream
from emoclass.errors import DataError, one_line


class JoinedReader(RecordStream):
    """Iterates once over the records of several files of one format, in order; a ``RecordReader`` in all it offers.

    Rows are numbered through all files, lines within each. All files are opened once before the first record, so that
    columns that differ are an error at once.

    Args:
        name: What messages call the table.
        paths: The files, at least one.
        open: Opens a file.

    Attributes:
        files: The files whose first record was read or comes next, in order.

    Raises:
        DataError: A file cannot be read, or the columns differ; also while iterating. The message names the file.
    """

    def __init__(self, name: str, paths: Sequence[str | Path], open: Callable[[str | Path], RecordReader]) -> None:
        self.name = name
        self._paths, self._open = paths, open
        self._hash = hashlib.sha256()
        self.files: list[FileRows] = []
        self.notes: list[str] = []
        self.columns: list[str] = []
        self.schema: Any = None
        totals = list[int | None]()
        for path in paths:
            with open(path) as reader:
                self._check(reader)
                self._note(reader)
                totals.append(reader.total_rows)
        self.format, self.encoding, self.delimiter = reader.format, reader.encoding, reader.delimiter
        self.layout = reader.layout
        known = [total for total in totals if total is not None]
        self.total_rows = sum(known) if len(known) == len(totals) else None
        self._current: RecordReader | None = None
        self._records = self._read()

    def close(self) -> None:
        """Close the file that is open."""
        if self._current is not None:
            self._current.close()

    def sha256(self) -> str:
        """Return the hex digest of the files' digests; call it after the last record."""
        return self._hash.hexdigest()

    def _read(self) -> Iterator[Record]:
        number = 0
        for path in self._paths:
            with self._open(path) as self._current:
                self.files.append(FileRows(path=str(path), first_row=number + 1))
                for record in self._current:
                    number += 1
                    yield Record(number, record.line, self._aligned(self._current, record.values))
                self._note(self._current)
                self._hash.update(self._current.sha256().encode())

    def _aligned(self, reader: RecordReader, values: list[object]) -> list[object]:
        """Return values in the order of the joined columns, which grow where JSON objects have new keys."""
        own = reader.columns
        if own == self.columns[: len(own)]:
            return values
        self.columns.extend(column for column in own if column not in self.columns)
        by_name = dict(zip(own, values, strict=False))
        return [by_name.get(column) for column in self.columns]

    def _check(self, reader: RecordReader) -> None:
        self.columns = self.columns or list(reader.columns)
        if reader.format != "jsonl" and set(reader.columns) != set(self.columns):
            raise DataError(
                f"{reader.name}: has the columns {listed(reader.columns)}, the first file of {self.name} has"
                f" {listed(self.columns)}: give all the same, or pass one file"
            )

        if reader.schema is not None:
            self.schema = reader.schema if self.schema is None else self._unified(reader)

    def _unified(self, reader: RecordReader) -> Any:
        """Return a schema for the files so far and another one, with the metadata of the first."""
        import pyarrow as pa

        if class_names(reader.schema) != class_names(self.schema):
            raise DataError(
                f"{reader.name}: has other class names in its metadata than the first file of {self.name}: get files of"
                " one data set"
            )
        try:
            schema = pa.unify_schemas([self.schema, reader.schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(
                f"{reader.name}: has other types than the first file of {self.name}: {one_line(error)}: get files of"
                " one data set"
            ) from error
        return schema.with_metadata(self.schema.metadata)

    def _note(self, reader: RecordReader) -> None:
        """Keep what was recognized in the first file, and in others only what was not in that one."""
        heard = {note.split(": ", 1)[-1] for note in self.notes}
        self.notes += [note for note in reader.notes if note.split(": ", 1)[-1] not in heard]
