"""Write records as they come: csv, tsv, jsonl and parquet."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from emoclass.data.columns.cells import cell_text, json_text
from emoclass.data.columns.class_names import name_of
from emoclass.data.columns.naming import quoted, shortened
from emoclass.data.tables.features import class_names, kept_metadata
from emoclass.data.tables.styles import Style
from emoclass.errors import DataError, one_line

# Rows of a Parquet row group, and bytes of text after which a smaller one is written.
_GROUP_ROWS, _GROUP_BYTES = 65_536, 1 << 26


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


# Value of a field that a JSON object lacks; it is not written.
ABSENT = _Absent()


class RecordWriter(Protocol):
    """Writes records to a byte stream that stays open."""

    def write(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write some records; except for jsonl the columns must be the same in all calls.

        Raises:
            DataError: The format cannot store a value.
            OSError: The stream cannot be written to.
        """

    def close(self) -> None:
        """Write what is buffered, also after a ``DataError``, but nothing after the stream has failed."""


def record_writer(
    file: BinaryIO, format: str, *, delimiter: str | None = None, schema: Any = None, style: Style | None = None
) -> RecordWriter:
    """Return a writer for one of the table formats.

    Args:
        file: Stream to write to; text is UTF-8 with line feeds.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        delimiter: Delimiter of csv; a comma if ``None``.
        schema: ``pyarrow.Schema`` of the input. Parquet gets its types and metadata; types of other columns are
            inferred from the first values. Other formats get its class names in place of ids.
        style: How text is written, in place of UTF-8 with line feeds and ``delimiter``.
    """
    if format == "parquet":
        return _ParquetWriter(file, schema)
    style = style or Style(delimiter="\t" if format == "tsv" else delimiter or ",")
    text = _TextWriter(file, style)
    writer = _JsonWriter(text, style) if format == "jsonl" else _DelimitedWriter(text, style)
    names = class_names(schema)
    return _NamingWriter(writer, names) if names else writer


class _TextWriter:
    """Encodes text; what UTF-8 cannot hold, halves of surrogate pairs, becomes a question mark."""

    def __init__(self, file: BinaryIO, style: Style) -> None:
        self._file, self._mark, self._name = file, style.mark, style.encoding
        errors = "replace" if style.encoding.startswith("utf-") else "strict"
        self._encoder = codecs.getincrementalencoder(style.encoding)(errors)

    def write(self, text: str) -> None:
        try:
            encoded = self._encoder.encode(text)
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise DataError(
                f"{quoted(character)} cannot be written in {self._name}, the encoding of the file that is replaced:"
                " write to another file"
            ) from error
        self._file.write(self._mark + encoded)
        self._mark = b""


class _NamingWriter:
    """Writes class names in place of ids, which mean nothing without the metadata of their file."""

    def __init__(self, writer: RecordWriter, names: Mapping[str, Sequence[str]]) -> None:
        self._writer, self._names = writer, names

    def write(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        named = [(number, self._names[column]) for number, column in enumerate(columns) if column in self._names]
        self._writer.write(columns, (self._with_names(row, named) for row in rows))

    def close(self) -> None:
        self._writer.close()

    @staticmethod
    def _with_names(row: Sequence[object], named: Sequence[tuple[int, Sequence[str]]]) -> Sequence[object]:
        cells = list(row)
        for number, names in named:
            cells[number] = name_of(cells[number], names, strict=False)
        return cells


class _DelimitedWriter:
    def __init__(self, text: _TextWriter, style: Style) -> None:
        self._text = text
        self._buffer = io.StringIO(newline="")
        # The csv module quotes a lone carriage return only if its line terminator has one.
        self._quoting = style.row_writer(self._buffer, quote_all=True)
        self._minimal = style.row_writer(self._buffer)
        self._style, self._has_header = style, not style.header

    def write(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        if not self._has_header:
            self._write_row(columns, is_header=True)
            self._has_header = True
        for row in rows:
            self._write_row([value if type(value) is str else _cell(value) for value in row])
        self._text.write(self._buffer.getvalue())
        self._buffer.seek(0)
        self._buffer.truncate()

    def close(self) -> None:
        pass

    def _write_row(self, row: Sequence[str], *, is_header: bool = False) -> None:
        if self._style.has_own_quotes:
            self._buffer.write(self._style.row(row, is_header=is_header))
            return
        writer = self._quoting if any("\r" in value for value in row) else self._minimal
        try:
            writer.writerow(row)
        except csv.Error as error:
            raise DataError(
                f"a field of the row {shortened(str(list(row)))} cannot be written without quotes, which the file that"
                " is replaced does not have: write to another file"
            ) from error


def _cell(value: object) -> str:
    return "" if value is ABSENT else _text(value)


def _text(value: object) -> str:
    with _for_parquet_only():
        return cell_text(value) or ""


@contextmanager
def _for_parquet_only() -> Iterator[None]:
    try:
        yield
    except DataError:
        raise DataError(
            "a field holds binary or too deeply nested values, which only parquet can store: write parquet"
        ) from None


class _JsonWriter:
    def __init__(self, text: _TextWriter, style: Style) -> None:
        self._text, self._line_end = text, style.line_end

    def write(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        lines = [_json_line(dict(zip(columns, row, strict=True))) + self._line_end for row in rows]
        self._text.write("".join(lines))

    def close(self) -> None:
        pass


def _json_line(record: dict[str, object]) -> str:
    with _for_parquet_only():
        return json_text({name: value for name, value in record.items() if value is not ABSENT})


class _ParquetWriter:
    def __init__(self, file: BinaryIO, schema: Any) -> None:
        self._file = file
        self._given = {} if schema is None else {field.name: field for field in schema}
        self._metadata = kept_metadata(schema)
        self._writer: Any = None
        self._schema: Any = None
        self._columns: list[str] = []
        self._rows: list[Sequence[object]] = []
        self._bytes = self._written = 0

    def write(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self._columns = self._columns or list(columns)
        for row in rows:
            self._rows.append(row)
            self._bytes += sum(len(value) for value in row if isinstance(value, str))
            if len(self._rows) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
                self._flush()

    def close(self) -> None:
        try:
            if self._columns:
                self._flush()
        finally:  # a record that does not fit must not cost the records before it
            if self._writer is not None:
                with self._abandon_on_error():
                    self._writer.close()

    def _flush(self) -> None:
        from pyarrow.parquet import ParquetWriter

        with self._abandon_on_error(), _storable("a column", self._written):
            if self._schema is None:
                self._schema = arrow_schema(self._columns, self._rows, self._given).with_metadata(self._metadata)
                self._writer = ParquetWriter(self._file, self._schema)
            self._writer.write_table(arrow_table(self._rows, self._schema, before=self._written))
        self._written += len(self._rows)
        self._rows, self._bytes = [], 0

    @contextmanager
    def _abandon_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._columns = []
            if self._writer is not None and not isinstance(error, DataError):
                # It would try to write its last bytes again when it is garbage-collected.
                self._writer.is_open = False
                self._writer = None
            raise


def arrow_schema(columns: Sequence[str], rows: Sequence[Sequence[object]], given: Mapping[str, Any]) -> Any:
    """Return the ``pyarrow.Schema`` of columns, with inferred types for those without a given one.

    Args:
        columns: Names of the columns.
        rows: Rows to infer types from.
        given: Fields with types and metadata by name of the column.

    Raises:
        DataError: The values of a column have no common type.
    """
    import pyarrow as pa

    fields = []
    for number, name in enumerate(columns):
        with _storable(f"column {quoted(name)}", 0):
            if name in given:
                fields.append(pa.field(name, given[name].type, metadata=given[name].metadata))
            else:
                fields.append(pa.field(name, _type_of(_values(rows, number))))
    return pa.schema(fields)


def unified_schema(schemas: Mapping[str, Any]) -> Any:
    """Return a ``pyarrow.Schema`` with room for the values of several files, with the metadata of the first.

    Args:
        schemas: Their schemas by name of the file, at least one.

    Raises:
        DataError: A column has types that no type has room for; the message names it and the file.
    """
    import pyarrow as pa

    first, *others = schemas
    schema = schemas[first]
    for name in others:
        for field in schemas[name]:
            try:
                pa.unify_schemas(
                    [pa.schema([schema.field(field.name)]), pa.schema([field])], promote_options="permissive"
                )
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise DataError(
                    f"{name}: column {quoted(field.name)} is {field.type}, in {first} it is"
                    f" {schema.field(field.name).type}: parquet needs the same in all; use csv or jsonl, or convert it"
                ) from error
        ordered = pa.schema([schemas[name].field(column) for column in schema.names])
        schema = pa.unify_schemas([schema, ordered], promote_options="permissive")
    return schema.with_metadata(schemas[first].metadata)


def arrow_table(rows: Sequence[Sequence[object]], schema: Any, *, before: int = 0) -> Any:
    """Return rows as a ``pyarrow.Table``.

    Args:
        rows: Rows with values in the order of the schema's fields.
        schema: A ``pyarrow.Schema``.
        before: Number of rows of the same input stored before, for messages.

    Raises:
        DataError: A value does not fit its column.
    """
    import pyarrow as pa

    arrays = []
    for number, field in enumerate(schema):
        values = _values(rows, number)
        with _storable(f"column {quoted(field.name)}", before):
            if pa.types.is_nested(field.type) or pa.types.is_date(field.type) or pa.types.is_integer(field.type):
                for row, value in enumerate(values, start=before + 1):
                    _require_room(value, field.type, row)
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _require_room(value: object, type_: Any, row: int) -> None:
    """Reject what pyarrow would drop silently: keys that a struct does not have, fractions, the time of a date."""
    import pyarrow as pa

    if pa.types.is_struct(type_) and isinstance(value, dict):
        for key, inner in value.items():
            place = type_.get_field_index(key)
            if place < 0:
                raise pa.ArrowInvalid(f"row {row} has the key {quoted(key)}, values before have not")
            _require_room(inner, type_.field(place).type, row)
    elif pa.types.is_list(type_) and isinstance(value, list):
        for inner in value:
            _require_room(inner, type_.value_type, row)
    elif pa.types.is_date(type_) and isinstance(value, datetime):
        raise pa.ArrowInvalid(f"{value} in row {row} has a time of day, values before have none")
    elif pa.types.is_integer(type_) and isinstance(value, float) and not value.is_integer() and value == value:
        raise pa.ArrowInvalid(f"{value} in row {row} has a fraction, values before have none")


def _values(rows: Sequence[Sequence[object]], number: int) -> list[object]:
    return [None if row[number] is ABSENT else row[number] for row in rows]


@contextmanager
def _storable(what: str, before: int) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise DataError(
            f"{what} cannot be stored as parquet (after row {before}): {one_line(error)}: use csv or jsonl"
        ) from error


def _type_of(values: list[object]) -> Any:
    import pyarrow as pa

    found = pa.array(values).type
    return pa.string() if pa.types.is_null(found) else found
