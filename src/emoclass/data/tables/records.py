"""Open any supported input as a stream of records, in constant memory.

This is where a file becomes rows: ``open_records`` picks the parser, ``delimited`` for CSV.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from emoclass.data.columns.naming import listed
from emoclass.data.tables.decoding import TextLines
from emoclass.data.tables.delimited import DelimitedRows
from emoclass.data.tables.excel import ExcelRows
from emoclass.data.tables.fasttext import FastTextRows
from emoclass.data.tables.formats import EXCEL, FASTTEXT, LINES
from emoclass.data.tables.jsonlines import JsonRows
from emoclass.data.tables.options import ReadOptions
from emoclass.data.tables.parquet import ParquetRows
from emoclass.data.tables.plain import PlainRows
from emoclass.data.tables.sniffing import Identified, identify
from emoclass.data.tables.sources import Source, open_source
from emoclass.data.tables.writing import ABSENT
from emoclass.errors import DataError, raise_error
from emoclass.fingerprint import stream_sha256

if TYPE_CHECKING:
    from typing_extensions import Self

_Rows = DelimitedRows | JsonRows | ParquetRows | PlainRows | FastTextRows | ExcelRows


class Record(NamedTuple):
    """One data row; a named tuple, because a million of them must be cheap.

    Attributes:
        number: 1-based number among the data rows, without the header and blank lines.
        line: 1-based line where the row starts; 0 for parquet.
        values: One value for each column of the reader, in its order.
    """

    number: int
    line: int
    values: list[object]


class RecordStream(ABC):
    """Iterates once over records; close it, or use it in a ``with`` block."""

    _records: Iterator[Record]

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close what the records come from."""


class RecordReader(RecordStream):
    """Iterates once over the records of an input.

    Attributes:
        name: What messages call the input: its path as given, or "standard input".
        format: ``csv``, ``tsv``, ``jsonl``, ``parquet`` or ``text``.
        encoding: Encoding of the text; ``None`` for parquet.
        delimiter: Delimiter of csv and tsv; ``None`` for other formats.
        schema: The ``pyarrow.Schema`` of parquet; ``None`` for other formats.
        total_rows: Number of data rows if known without reading them, as for parquet; else ``None``.
        columns: Names of the columns. For jsonl the list grows in place when a later object has a new key; a record has
            values for the columns known when it was read, the first ones.
        notes: What was recognized without an option: delimiter, byte order mark, gzip; more after the last record.
        layout: How the input is written: ``format``, and for text ``encoding``, ``line_end``, ``gzip``; for csv and tsv
            also ``delimiter``, ``quoting`` and ``header``.
    """

    def __init__(
        self, source: Source, found: Identified, rows: _Rows, lines: TextLines | None, stack: ExitStack
    ) -> None:
        self.name = source.name
        self.format = found.format
        self.encoding = None if lines is None else lines.encoding
        self.delimiter: str | None = getattr(rows, "delimiter", None)
        self.schema: Any = getattr(rows, "schema", None)
        self.total_rows: int | None = getattr(rows, "total_rows", None)
        self.columns = rows.columns
        self.notes = [*source.notes, *found.notes, *rows.notes, *(() if lines is None else lines.notes)]
        self.layout = _layout(source, found, rows, self.encoding)
        self._lines = lines
        self._source = source
        self._rows = rows
        self._stack = stack
        self._records = self._read()

    @property
    def replaced(self) -> tuple[int, str | None]:
        """Number of places where bytes were replaced so far, and the likely encoding."""
        if self._lines is None or not self._lines.replaced:
            return 0, None
        return self._lines.replaced, self._lines.guess

    def check_header(self, records: Iterable[Record]) -> list[str]:
        """Return a note if the header of a pipe may be data; the header of a file is checked when it is opened.

        Args:
            records: The first ones.

        Raises:
            DataError: It is data.
        """
        if not isinstance(self._rows, DelimitedRows):
            return []
        return self._rows.check_header([record.values for record in records])

    def close(self) -> None:
        """Close the input; standard input stays open."""
        self._stack.close()

    def sha256(self) -> str:
        """Return the hex digest of the stored bytes; call it after the last record."""
        if self.format in ("parquet", EXCEL) and self._source.file.seekable():
            self._source.file.seek(0)
            return stream_sha256(self._source.file)
        return self._source.raw.sha256()

    def _read(self) -> Iterator[Record]:
        for number, (line, values) in enumerate(self._rows, start=1):
            yield Record(number, line, values)
        self.notes += () if self._lines is None else self._lines.last_notes()


def _layout(source: Source, found: Identified, rows: _Rows, encoding: str | None) -> dict[str, Any]:
    layout: dict[str, Any] = {"format": found.format}
    if encoding is not None:
        layout |= {"encoding": encoding, "line_end": found.line_end, "gzip": source.compressed}
    if isinstance(rows, DelimitedRows):
        layout |= {"delimiter": rows.delimiter, "quoting": rows.dialect.quoting, "header": rows.has_header}
    return layout


def open_records(
    source: str | Path,
    options: ReadOptions | None = None,
    *,
    stdin: BinaryIO | None = None,
    prediction: bool = False,
    wait: bool = False,
    on_error: Callable[[DataError], None] = raise_error,
) -> RecordReader:
    """Open an input, decide how it is written, and read its header.

    Args:
        source: A file of one of the formats, text also with .gz, or ``-`` for CSV on standard input.
        options: How it is written, as far as that is known.
        stdin: The stream that ``-`` stands for, or the bytes of a path that Python cannot open.
        prediction: Whether the records are to be predicted: plain text is allowed, one record per line; bytes that
            cannot be decoded become replacement characters, counted by the reader; fields that a JSON object lacks are
            ``ABSENT``.
        wait: Whether to wait for the first part of a pipe, which shows more than its header.
        on_error: Called with the error of a csv, tsv or jsonl record, which is then skipped. Raises it by default.

    Raises:
        ConfigError: The format or encoding is unknown, or the delimiter cannot be used.
        DataError: The input cannot be read, also while iterating; the message names input, row and line.
    """
    options = options or ReadOptions()
    with ExitStack() as stack:
        opened = open_source(source, stack, stdin=stdin)
        found = identify(opened, source, options, prediction=prediction, wait=wait)
        _check_options(opened.name, found.format, options)
        lines: TextLines | None = None
        rows: _Rows
        if found.format in ("parquet", EXCEL):
            kind = ParquetRows if found.format == "parquet" else ExcelRows
            rows = kind(opened.seekable(), name=opened.name)
        else:
            lines = TextLines(
                opened.content,
                encoding=options.encoding,
                newline=found.newline,
                replace=prediction,
                binary=found.format == LINES,
            )
            stack.callback(lines.close)
            rows = _text_rows(lines, found, options, absent=ABSENT if prediction else None, on_error=on_error)
        _check_names(opened.name, rows.columns)
        return RecordReader(opened, found, rows, lines, stack.pop_all())


def _text_rows(
    lines: TextLines,
    found: Identified,
    options: ReadOptions,
    *,
    absent: object,
    on_error: Callable[[DataError], None],
) -> DelimitedRows | JsonRows | PlainRows | FastTextRows:
    name = lines.name
    if found.format == LINES:
        return PlainRows(lines)
    if found.format == FASTTEXT:
        return FastTextRows(lines)
    if found.format == "jsonl":
        return JsonRows(lines, name=name, absent=absent, on_error=on_error)
    return DelimitedRows(lines, found.sample, options, name=name, format=found.format, on_error=on_error)


def _check_options(name: str, format: str, options: ReadOptions) -> None:
    if format not in ("csv", "tsv"):
        given = {
            "--delimiter": options.delimiter is not None,
            "--quoting": options.quoting is not None,
            "--header" if options.header else "--no-header": options.header is not None,
        }
        for option, is_given in given.items():
            if is_given:
                raise DataError(f"{name}: {format} does not use {option}: leave it out")
    if options.encoding is not None and format in ("parquet", EXCEL):
        raise DataError(f"{name}: {format} has no text encoding: drop --encoding")


def _check_names(name: str, columns: list[str]) -> None:
    if not columns:
        raise DataError(f"{name}: has no columns: it needs a text and a label column")
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise DataError(f"{name}: more than one column is named {listed(repeated)}: rename or remove the others")
