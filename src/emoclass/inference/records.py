"""Records in: from texts, lines and tables, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from inspect import GEN_RUNNING, getgeneratorstate
from itertools import chain, islice
from types import TracebackType
from typing import NamedTuple

from emoclass.data.columns.cells import cell_text
from emoclass.data.columns.choosing import choose_columns, has_text_column
from emoclass.data.options import DataOptions
from emoclass.data.tables.formats import LINES, STDIN
from emoclass.data.tables.records import Record, RecordReader, open_records
from emoclass.data.tables.writing import ABSENT
from emoclass.errors import DataError, raise_error

# Where no name tells the text column, it is chosen by this many records: few, for they may come slowly.
_SAMPLE_RECORDS = 100


class Item(NamedTuple):
    """One record on its way.

    Attributes:
        columns: Names of its fields; there may be more than values, the first ones count.
        values: Its fields.
        text: What is to be classified.
    """

    columns: Sequence[str]
    values: Sequence[object]
    text: str


class RecordInput:
    """The records of several inputs, one after the other, each read once; the first is opened at once.

    Close it, or use it in a ``with`` block.

    Args:
        sources: Paths, or ``-`` for standard input.
        options: How to read them.
        on_error: Takes what is wrong with a record, which is then left out.
        on_note: Takes what was decided without being asked.

    Attributes:
        first: The reader of the first input.
    """

    def __init__(
        self,
        sources: Sequence[str],
        options: DataOptions,
        *,
        on_error: Callable[[DataError], None] = raise_error,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._sources, self._options = sources, options
        self._on_error, self._on_note = on_error, on_note
        self._stack = ExitStack()
        with self._stack:  # closed, if there is an error
            self.first = self._open(sources[0])
            self._items_of_all = self._read_all(self._items(self.first))
            self._stack = self._stack.pop_all()

    def __enter__(self) -> RecordInput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread that waits for input holds the lock of its stream, and closing would wait for it.
        if getgeneratorstate(self._items_of_all) != GEN_RUNNING:
            self._stack.close()

    def __iter__(self) -> Iterator[Item]:
        return self._items_of_all

    def _read_all(self, first: Iterator[Item]) -> Generator[Item, None, None]:
        yield from first
        for source in self._sources[1:]:
            yield from self._items(self._open(source))

    def _open(self, source: str) -> RecordReader:
        return self._stack.enter_context(
            open_records(
                source,
                format=self._options.format,
                encoding=self._options.encoding,
                delimiter=self._options.delimiter,
                allow_lines=True,
                replace_invalid=True,
                absent=ABSENT,
                on_error=self._on_error,
            )
        )

    def _items(self, reader: RecordReader) -> Iterator[Item]:
        """Chooses the text column now, and reads the records later."""
        for note in reader.notes:
            self._on_note(note)
        if reader.format == LINES:
            if self._options.text_column is not None and self._sources[0] == STDIN:
                raise DataError(
                    f"{reader.name}: lines have no columns: leave --text-column out, or pass --input-format csv"
                )
            return self._read(reader, iter(reader), 0)
        seen: list[Record] = []

        def sample(column: str) -> Iterable[object]:
            seen.extend(islice(reader, _SAMPLE_RECORDS - len(seen)))
            position = reader.columns.index(column)
            return [record.values[position] for record in seen if position < len(record.values)]

        # An object may lack the key that others have.
        if reader.format == "jsonl" and not has_text_column(reader.columns, self._options.text_column):
            seen.extend(islice(reader, _SAMPLE_RECORDS))
        chosen = choose_columns(
            reader.name,
            list(reader.columns),
            sample,
            text_column=self._options.text_column,
            need_label=False,
            has_header_line=reader.format in ("csv", "tsv"),
        )
        for note in chosen.notes:
            self._on_note(note)
        return self._read(reader, chain(seen, reader), reader.columns.index(chosen.text))

    def _read(self, reader: RecordReader, records: Iterator[Record], position: int) -> Iterator[Item]:
        with reader:
            for record in records:
                value = record.values[position] if position < len(record.values) else ABSENT
                try:
                    text = None if value is ABSENT else cell_text(value)
                except DataError as error:
                    self._on_error(DataError(f"{reader.name}: row {record.number}: {error}"))
                    continue
                yield Item(reader.columns, record.values, text or "")
        replaced, guess = reader.replaced
        if replaced:
            hint = f" (is it {guess}? then pass --encoding {guess})" if guess else ""
            self._on_note(
                f"{reader.name}: bytes that are not valid {reader.encoding} replaced in {replaced} places{hint}"
            )


def given_texts(texts: Iterable[str]) -> Iterator[Item]:
    """Items of texts that were given one by one."""
    columns = ("text",)
    # Arguments that are not valid UTF-8 hold halves of surrogate pairs.
    valid = (text.encode("utf-8", "replace").decode() for text in texts)
    return (Item(columns, (text,), text) for text in valid)
