"""Input records: texts, lines and rows of tables, in order."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from inspect import GEN_RUNNING, getgeneratorstate
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Protocol

from emoclass.data.columns.choosing import Wanted, choose_columns, needs_no_sample
from emoclass.data.columns.chosen import Columns
from emoclass.data.options import DataOptions
from emoclass.data.tables.features import class_names
from emoclass.data.tables.formats import LINES, STDIN, format_of
from emoclass.data.tables.records import Record, RecordReader, open_records
from emoclass.data.tables.styles import Style, style_of
from emoclass.data.tables.writing import ABSENT, unified_schema
from emoclass.errors import ConfigError, DataError, raise_error

# Where no name identifies the text column, the content of this many records does: few, for they may come slowly.
_SAMPLE_RECORDS = 100


class Item(NamedTuple):
    """One input record.

    Attributes:
        columns: Names of its fields. The list may grow with later records; the first ``len(values)`` names count.
        values: Its fields.
        text: The text to classify.
    """

    columns: Sequence[str]
    values: Sequence[object]
    text: str


@dataclass(frozen=True)
class Layout:
    """What the records of an input have in common.

    Attributes:
        format: ``text``, ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        columns: Names of the fields; those of the first records for jsonl.
        delimiter: Delimiter of csv and tsv.
        schema: ``pyarrow.Schema`` of parquet.
        is_replaced: Whether the output takes the place of the input.
        style: How the text of an input is written that the output replaces.
    """

    format: str = LINES
    columns: Sequence[str] = ("text",)
    delimiter: str | None = None
    schema: Any = None
    is_replaced: bool = False
    style: Style | None = None


class Records(Protocol):
    """An input: an iterable of records with a layout."""

    @property
    def layout(self) -> Layout:
        """The layout of the records."""

    def __iter__(self) -> Iterator[Item]: ...


class TextInput:
    """Texts as records with the single field ``text``, such as the arguments of a command.

    Args:
        texts: The texts.
    """

    layout = Layout()

    def __init__(self, texts: Iterable[str]) -> None:
        # Arguments that are not valid UTF-8 hold halves of surrogate pairs.
        self._texts = (text.encode("utf-8", "replace").decode() for text in texts)

    def __iter__(self) -> Iterator[Item]:
        return (Item(self.layout.columns, (text,), text) for text in self._texts)


class RecordInput:
    """Iterates once over the records of several inputs, in order.

    The first input is opened at once, and the others are checked as far as that is possible without reading from a
    pipe. Close it, or use it in a ``with`` block.

    Args:
        sources: Paths, or ``-`` for standard input.
        options: How to read them.
        on_error: Called with the error of a record, which is then skipped.
        on_note: Called with each automatic decision, such as the choice of a column.
        is_replaced: Whether the output takes the place of the input, which is a single file then.

    Attributes:
        layout: The layout of the first input.

    Raises:
        ConfigError: Standard input is named twice, or an option has no valid value.
        DataError: An input is missing or unreadable, or has no text column.
    """

    def __init__(
        self,
        sources: Sequence[str],
        options: DataOptions,
        *,
        on_error: Callable[[DataError], None] = raise_error,
        on_note: Callable[[str], None] = lambda note: None,
        is_replaced: bool = False,
    ) -> None:
        if sources.count(STDIN) > 1:
            raise ConfigError(f"--input {STDIN} is given twice: standard input can be read only once")
        self._sources, self._options = sources, options
        self._on_error, self._on_note = on_error, on_note
        self._layouts = _check_inputs(sources, options) if len(sources) > 1 else {}
        self._stack = ExitStack()
        with self._stack:  # closes it after an error
            first = self._open(sources[0])
            self._items = self._read_all(self._read(first))
            self._name = first.name
            self.layout = Layout(
                first.format,
                first.columns,
                first.delimiter,
                first.schema,
                is_replaced,
                style_of(Path(sources[0]), first.layout) if is_replaced else None,
            )
            self._stack = self._stack.pop_all()

    def require_same_columns(self, format: str) -> None:
        """Check that all inputs have the same columns if an output format needs that, and find types for all.

        Raises:
            DataError: An input has other columns than the first one, values that its types have no room for, or other
                names for the same class ids.
        """
        if format in (LINES, "jsonl"):
            return
        names = class_names(self.layout.schema)
        for source, layout in list(self._layouts.items())[1:]:
            if sorted(layout.columns) != sorted(self.layout.columns):
                raise DataError(
                    f"{source}: has the fields {', '.join(layout.columns)}, but {self._name} has "
                    f"{', '.join(self.layout.columns)}: {format} needs the same in all; use --output-format jsonl"
                )
            if class_names(layout.schema) != names:
                raise DataError(f"{source}: names the class ids differently from {self._name}: predict them separately")
        schemas = {source: layout.schema for source, layout in self._layouts.items() if layout.schema is not None}
        if format == "parquet" and len(schemas) == len(self._sources) > 1:
            self.layout = replace(self.layout, schema=unified_schema(schemas))

    def __enter__(self) -> RecordInput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread that waits for input holds the lock of its stream, and closing would wait for it.
        if getgeneratorstate(self._items) != GEN_RUNNING:
            self._stack.close()

    def __iter__(self) -> Iterator[Item]:
        return self._items

    def _read_all(self, first: Iterator[Item]) -> Generator[Item, None, None]:
        yield from first
        for source in self._sources[1:]:
            yield from self._read(self._open(source))

    def _open(self, source: str) -> RecordReader:
        return self._stack.enter_context(_open_input(source, self._options, self._on_error))

    def _read(self, reader: RecordReader) -> Iterator[Item]:
        """Choose the text columns now, and read the records later."""
        text = _find_text(reader, self._options)
        for note in (*reader.notes, *text.notes):
            self._on_note(note)
        return self._items_of(reader, chain(text.sample, reader), text.columns, told=len(reader.notes))

    def _items_of(
        self, reader: RecordReader, records: Iterator[Record], columns: Columns, *, told: int
    ) -> Iterator[Item]:
        positions = [reader.columns.index(name) for name in columns.texts]
        with reader:
            for record in records:
                try:
                    text = columns.text_of([_cell(record, position) for position in positions])
                except DataError as error:
                    self._on_error(DataError(f"{reader.name}: row {record.number}: {error}"))
                    continue
                yield Item(reader.columns, record.values, text or "")
        for note in reader.notes[told:]:
            self._on_note(note)
        replaced, guess = reader.replaced
        if replaced:
            if self.layout.is_replaced:
                raise DataError(
                    f"{reader.name}: the output replaces the input, and bytes in {replaced} places that are not valid"
                    f" {reader.encoding} would be lost: pass --encoding {guess or 'NAME'}, or write to another file"
                )
            hint = f" (is it {guess}? then pass --encoding {guess})" if guess else ""
            self._on_note(
                f"{reader.name}: bytes that are not valid {reader.encoding} replaced in {replaced} places{hint}"
            )


class _TextFields(NamedTuple):
    """Where the text of a record is.

    Attributes:
        columns: Its columns.
        sample: The records that were read to find them.
        notes: How they were chosen.
    """

    columns: Columns
    sample: Sequence[Record] = ()
    notes: tuple[str, ...] = ()


def _find_text(reader: RecordReader, options: DataOptions) -> _TextFields:
    if reader.format == LINES:
        for option, value in (("column", options.text_column), ("separator", options.text_separator)):
            if value is not None:
                raise DataError(
                    f"{reader.name}: lines have no columns: leave --text-{option} out, or pass --input-format csv"
                )
        return _TextFields(Columns(tuple(reader.columns)))
    wanted: Wanted = replace(options.wanted, labels="none")
    seen: list[Record] = []
    notes: list[str] = []

    def sample(column: str) -> Iterable[object]:
        if more := list(islice(reader, _SAMPLE_RECORDS - len(seen))):
            seen.extend(more)
            notes.extend(reader.check_header(seen))
        position = reader.columns.index(column)
        return [record.values[position] for record in seen if position < len(record.values)]

    # An object may lack the key that others have.
    if reader.format == "jsonl" and not needs_no_sample(reader.columns, wanted):
        seen.extend(islice(reader, _SAMPLE_RECORDS))
    chosen = choose_columns(
        reader.name,
        list(reader.columns),
        sample,
        wanted,
    )
    return _TextFields(chosen, seen, (*notes, *chosen.notes))


def _cell(record: Record, position: int) -> object:
    value = record.values[position] if position < len(record.values) else None
    return None if value is ABSENT else value


def _check_inputs(sources: Sequence[str], options: DataOptions) -> dict[str, Layout]:
    """Return the layouts of the inputs that are files; of pipes only the name and the permission are checked."""
    layouts = {}
    for source in sources:
        if _is_pipe(source):
            _check_pipe(source, options)
        elif source != STDIN:
            with _open_input(source, options, on_error=lambda error: None) as reader:
                layouts[source] = Layout(reader.format, list(reader.columns), reader.delimiter, reader.schema)
                _find_text(reader, options)
    return layouts


def _is_pipe(source: str) -> bool:
    """Return whether a path leads to what can be read only once, or not to its end."""
    try:
        mode = Path(source).stat().st_mode
    except (OSError, ValueError):  # which opening it reports
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _check_pipe(source: str, options: DataOptions) -> None:
    if not os.access(source, os.R_OK):
        raise DataError(f"{source}: no permission to read it: change its permissions")
    if options.format is None and format_of(source)[0] is None:
        # Without a byte of it: its name means lines, or is an error.
        _open_input(source, options, raise_error, io.BytesIO()).close()


def _open_input(
    source: str, options: DataOptions, on_error: Callable[[DataError], None], stream: BinaryIO | None = None
) -> RecordReader:
    return open_records(source, options, stdin=stream, prediction=True, on_error=on_error)
