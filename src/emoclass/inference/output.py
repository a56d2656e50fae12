"""Write records with their predictions, as lines of text or as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from emoclass.data.tables.formats import LINES
from emoclass.data.tables.writing import RecordWriter, record_writer
from emoclass.errors import DataError
from emoclass.inference.fields import Fields

if TYPE_CHECKING:
    from emoclass.inference.records import Item, Layout

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

# Records with the predictions of one kind of classifier.
Batch: TypeAlias = "list[tuple[Item, Any]]"


class PredictionWriter:
    """Writes records with their predictions; a context manager that writes what is buffered at the end.

    Args:
        file: The stream to write to.
        fields: The fields that predictions add.
        layout: The layout of the input.
        on_note: Called when an added field gets another name than usual.
    """

    def __init__(
        self,
        file: BinaryIO,
        fields: Fields[Any],
        layout: Layout,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._file, self._added, self._on_note = file, fields, on_note
        self._options = options = fields.options
        self._writer: RecordWriter | None = None
        if options.format != LINES:
            delimiter = layout.delimiter if layout.format == options.format else None
            style = layout.style if layout.format == options.format else None
            self._writer = record_writer(file, options.format, delimiter=delimiter, schema=layout.schema, style=style)
        # What an earlier prediction added to a file that is replaced is replaced, too.
        earlier = self._added.earlier(layout.columns) if layout.is_replaced else []
        self._dropped = set(earlier)
        if earlier:
            on_note(f"the fields {', '.join(map(repr, earlier))} are predicted anew")
        self._columns = [column for column in layout.columns if column not in self._dropped]
        self._is_empty = True
        self._seen: dict[str, None] = dict.fromkeys(self._columns)
        self._names: list[str] = []

    def write(self, batch: Batch) -> None:
        """Write records and flush them, so that a reader gets them at once.

        Raises:
            DataError: Records have different fields, or the format cannot store a value.
            OSError: The stream cannot be written to.
        """
        self._is_empty = False
        if self._dropped:
            batch = [(self._without_dropped(item), prediction) for item, prediction in batch]
        if self._writer is None:
            lines = [self._added.line(prediction) for _, prediction in batch]
            self._file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
        elif self._options.format == "jsonl":
            self._write_objects(self._writer, batch)
        else:
            self._write_rows(self._writer, batch)
        self._file.flush()

    def __enter__(self) -> PredictionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            if error is None and self._is_empty and self._options.format != "jsonl":
                self._write_rows(self._writer, [])
            self._writer.close()
        self._file.flush()

    def _without_dropped(self, item: Item) -> Item:
        kept = [pair for pair in zip(item.columns, item.values, strict=False) if pair[0] not in self._dropped]
        return item._replace(columns=[name for name, _ in kept], values=[value for _, value in kept])

    def _write_rows(self, writer: RecordWriter, batch: Batch) -> None:
        self._names = self._names or self._added.free_names(self._columns, self._added.types())
        names = [*self._columns, *self._names]
        escape = self._options.escape_formulas and self._options.format in ("csv", "tsv")
        if escape:
            names = [str(_escaped(name)) for name in names]
        rows: list[list[object]] = []
        try:
            for item, prediction in batch:
                row = [*self._values(item), *self._added.values(prediction)]
                rows.append([_escaped(value) for value in row] if escape else row)
        except DataError:  # the records before one with other fields are still written
            if rows:
                writer.write(names, rows)
            raise
        writer.write(names, rows)

    def _values(self, item: Item) -> Sequence[object]:
        """Return the values of an item in the order of the output's columns."""
        own = item.columns[: len(item.values)]
        if own == self._columns:
            return item.values
        if sorted(own) != sorted(self._columns):
            raise DataError(
                f"a record has the fields {', '.join(own)}, but the output has {', '.join(self._columns)}:"
                f" {self._options.format} needs the same in all; use --output-format jsonl"
            )
        values = dict(zip(own, item.values, strict=True))
        return [values[column] for column in self._columns]

    def _write_objects(self, writer: RecordWriter, batch: Batch) -> None:
        self._choose_names(batch)
        for item, prediction in batch:
            own = item.columns[: len(item.values)]
            writer.write([*own, *self._names], [[*item.values, *self._added.json_fields(prediction).values()]])

    def _choose_names(self, batch: Batch) -> None:
        """Choose names for added fields that no record so far has, so that a name means the same in all if possible."""
        known = len(self._seen)
        for item, _ in batch:
            self._seen.update(dict.fromkeys(item.columns[: len(item.values)]))
        if self._names and len(self._seen) == known:
            return
        own = self._added.json_fields(batch[0][1])
        before, self._names = self._names, self._added.free_names(list(self._seen), own)
        for name in set(before) - set(self._names):
            self._on_note(f"{name!r} is a field of the input only from here on; above it is the prediction's")


def _escaped(value: object) -> object:
    if isinstance(value, bytes):  # the text of a binary column
        return b"'" + value if value[:1].decode("latin-1") in _FORMULA_STARTS else value
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA_STARTS else value
