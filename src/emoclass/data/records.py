"""Any supported input as a stream of records, in constant memory."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from emoclass.data.decoding import TextLines
from emoclass.data.delimited import DelimitedRows
from emoclass.data.jsonlines import JsonRows
from emoclass.data.parquet import ParquetRows
from emoclass.data.sources import Source, open_source
from emoclass.errors import DataError


class Record(NamedTuple):
    """One data row. A named tuple, because a million of them should cost little.

    Attributes:
        number: 1-based number among the data rows; blank lines and the header do not count.
        line: 1-based line where the row starts; 0 for parquet.
        values: one value per column of the reader, in its order.
    """

    number: int
    line: int
    values: list[object]


class RecordReader:
    """Iterates once over the records of an input; close it, or use it in a ``with`` block.

    Attributes:
        name: how messages call the input: its path as given, or "standard input".
        format: csv, tsv, jsonl or parquet.
        encoding: of the text; None for parquet.
        columns: the names as they stand in the input. For jsonl it grows in place when a later object has
            a new key; a record's values fit the columns at its time, so ``zip(columns, values)`` is right.
        notes: what the reader decided by itself (delimiter, byte order mark, gzip).
    """

    def __init__(self, source: Source, rows: DelimitedRows | JsonRows | ParquetRows, stack: ExitStack) -> None:
        self.name = source.name
        self.format = source.format
        self.encoding: str | None = None
        self.columns = rows.columns
        self.notes = [*source.notes, *rows.notes]
        self._source = source
        self._rows = rows
        self._stack = stack
        self._records = self._read()

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def __enter__(self) -> "RecordReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened; standard input stays open."""
        self._stack.close()

    def sha256(self) -> str:
        """Hex digest of the stored bytes; call it after the last record."""
        if self.format == "parquet" and self._source.file.seekable():
            return _digest(self._source.file)
        return self._source.raw.sha256()

    def _read(self) -> Iterator[Record]:
        for number, (line, values) in enumerate(self._rows, start=1):
            yield Record(number, line, values)


def open_records(
    source: str | Path,
    *,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    stdin: BinaryIO | None = None,
) -> RecordReader:
    """Open an input and read its header.

    Args:
        source: a .csv, .tsv, .jsonl, .ndjson or .parquet file, the text formats also as .gz; ``-`` is
            standard input, taken as CSV.
        format: csv, tsv, jsonl or parquet, whatever the name says.
        encoding: of the text; UTF-8, or what a byte order mark says, when not given.
        delimiter: of csv and tsv, one character or ``tab``.
        stdin: the byte stream that ``-`` stands for.

    Raises:
        DataError: also while iterating; the message names the input, the row and the line.
    """
    with ExitStack() as stack:
        opened = open_source(source, stack, format=format, stdin=stdin)
        return _open_rows(opened, stack.pop_all(), encoding, delimiter)


def _open_rows(source: Source, stack: ExitStack, encoding: str | None, delimiter: str | None) -> RecordReader:
    try:
        _check_options(source, encoding, delimiter)
        if source.format == "parquet":
            reader = RecordReader(source, ParquetRows(_seekable(source), name=source.name), stack)
        else:
            newline = "\n" if source.format == "jsonl" else ""
            lines = TextLines(source.content, encoding=encoding, newline=newline)
            stack.callback(lines.close)
            rows: DelimitedRows | JsonRows
            if source.format == "jsonl":
                rows = JsonRows(lines, name=source.name)
            else:
                rows = DelimitedRows(lines, name=source.name, format=source.format, delimiter=delimiter)
            reader = RecordReader(source, rows, stack)
            reader.encoding = lines.encoding
            reader.notes.extend(lines.notes)
        _check_names(reader)
    except BaseException:
        stack.close()
        raise
    return reader


def _check_options(source: Source, encoding: str | None, delimiter: str | None) -> None:
    if delimiter is not None and source.format not in ("csv", "tsv"):
        raise DataError(f"{source.name}: {source.format} has no delimiter: leave --delimiter out")
    if encoding is not None and source.format == "parquet":
        raise DataError(f"{source.name}: parquet has no text encoding: leave --encoding out")


def _check_names(reader: RecordReader) -> None:
    names = reader.columns
    if not names:
        raise DataError(f"{reader.name}: has no columns: it needs a text and a label column")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        listed = ", ".join(map(repr, repeated))
        raise DataError(f"{reader.name}: more than one column is named {listed}: rename or remove the others")


def _seekable(source: Source) -> BinaryIO:
    """A parquet file is read from its end, so a pipe has to be held in memory."""
    if source.file.seekable():
        source.file.seek(0)
        return source.file
    return io.BytesIO(source.content.read())


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
