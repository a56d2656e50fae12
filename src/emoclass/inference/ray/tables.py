"""Read files as Arrow tables of one schema, some records at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from emoclass.data.options import DataOptions
from emoclass.data.tables.features import kept_metadata
from emoclass.data.tables.parquet import ParquetRows
from emoclass.data.tables.records import RecordReader
from emoclass.data.tables.writing import ABSENT, arrow_schema, arrow_table
from emoclass.errors import DataError, one_line
from emoclass.inference.ray.locations import TableFiles

# Records that the types of JSON fields are inferred from.
_SAMPLE_RECORDS = 10_000
# Rows of a table, and bytes of text after which it ends before it has all its rows.
_ROWS, _BYTES = 8192, 1 << 20


def table_schema(files: TableFiles, options: DataOptions, on_note: Callable[[str], None] = lambda note: None) -> Any:
    """Return the ``pyarrow.Schema`` of the first file: strings for csv and tsv, inferred types for jsonl.

    That of Parquet has the metadata for a file with some of the rows.

    Args:
        files: Files of one format.
        options: Options of reading.
        on_note: Called with what was recognized in that file without an option.

    Raises:
        DataError: The file cannot be read, or the values of a field have no common type.
    """
    import pyarrow as pa

    path = files.paths[0]
    with _opened(files, path, options) as reader:
        for note in reader.notes:
            on_note(note)
        if files.format == "parquet":
            return reader.schema.with_metadata(kept_metadata(reader.schema))
        if files.format != "jsonl":
            return pa.schema([(name, pa.string()) for name in reader.columns])
        records = [record.values for record in islice(reader, _SAMPLE_RECORDS)]
        columns = list(reader.columns)
        return arrow_schema(columns, [[*row, *[ABSENT] * (len(columns) - len(row))] for row in records], {})


def read_tables(files: TableFiles, path: str, schema: Any, options: DataOptions) -> Iterator[Any]:
    """Yield one of the files as ``pyarrow.Table`` of the given schema.

    Raises:
        DataError: The file cannot be read, or its fields are not those of the schema.
    """
    read = _parquet_tables if files.format == "parquet" else _text_tables
    yield from read(files, path, schema, options)


def _parquet_tables(files: TableFiles, path: str, schema: Any, options: DataOptions) -> Iterator[Any]:
    import pyarrow as pa

    with _file(files, path) as file:
        rows = ParquetRows(file, name=path)
        _check_names(path, rows.columns, schema.names)
        for batch in rows.batches():
            try:
                yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise DataError(f"{path}: has other types than the first file: {one_line(error)}") from error


def _text_tables(files: TableFiles, path: str, schema: Any, options: DataOptions) -> Iterator[Any]:
    with _opened(files, path, options) as reader:
        rows: list[list[object]] = []
        size = done = 0
        for record in reader:
            rows.append(_aligned(reader, record.values, schema.names))
            size += sum(len(value) for value in record.values if isinstance(value, str))
            if len(rows) >= _ROWS or size >= _BYTES:
                yield _table(path, rows, schema, done)
                done += len(rows)
                rows, size = [], 0
        if rows:
            yield _table(path, rows, schema, done)


@contextmanager
def _opened(files: TableFiles, path: str, options: DataOptions) -> Iterator[RecordReader]:
    reading = replace(options, format=files.format)
    with (
        _file(files, path) as file,
        reading.open(path, stdin=file, prediction=True) as reader,
    ):
        yield reader


def _file(files: TableFiles, path: str) -> Any:
    try:
        # Not open_input_stream: Parquet is read from its end. The reader decompresses text.
        return files.filesystem.open_input_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from error


def _aligned(reader: RecordReader, values: list[object], names: list[str]) -> list[object]:
    """Return values in the order of the schema, ``ABSENT`` for keys that a JSON object lacks."""
    own = reader.columns[: len(values)]
    if own == names:
        return values
    _check_names(reader.name, own, names, may_lack=reader.format == "jsonl")
    fields = dict(zip(own, values, strict=True))
    return [fields.get(name, ABSENT) for name in names]


def _check_names(path: str, own: list[str], names: list[str], *, may_lack: bool = False) -> None:
    if not set(own) <= set(names) or (len(own) < len(names) and not may_lack):
        raise DataError(
            f"{path}: a record has the fields {', '.join(own)}, the first file has {', '.join(names)}: "
            "parquet needs the same in all"
        )


def _table(path: str, rows: list[list[object]], schema: Any, done: int) -> Any:
    try:
        return arrow_table(rows, schema, before=done)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
