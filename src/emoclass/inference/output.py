"""Predictions as fields of their records, and as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from emoclass.data.tables.formats import FORMATS, LINES
from emoclass.data.tables.writing import RecordWriter, record_writer
from emoclass.errors import ConfigError, DataError

if TYPE_CHECKING:
    from emoclass.inference.predictor import Prediction
    from emoclass.inference.records import Item

OUTPUT_FORMATS = (LINES, *FORMATS)
_PREFIX = "predicted_"
_TYPES = {"label": "string", "confidence": "double"}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Batch: TypeAlias = "list[tuple[Item, Prediction]]"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What is written of a prediction.

    Attributes:
        format: ``text``, ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        top_k: How many of the most probable classes.
        probabilities: Whether the probability of every class is written too.
        min_confidence: Below this confidence the label is ``uncertain_label``.
        uncertain_label: What stands for no answer.
        escape_formulas: Whether an apostrophe is put before what a spreadsheet would take for a formula, in csv and
            tsv.
    """

    format: str
    top_k: int = 1
    probabilities: bool = False
    min_confidence: float = 0.0
    uncertain_label: str = "uncertain"
    escape_formulas: bool = False

    def __post_init__(self) -> None:
        if self.format not in OUTPUT_FORMATS:
            raise ConfigError(f"--output-format {self.format} is not known; use {', '.join(OUTPUT_FORMATS)}")
        if self.top_k < 1:
            raise ConfigError(f"--top-k {self.top_k} is less than 1")
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"--min-confidence {self.min_confidence} is not between 0 and 1")

    def ranks(self, classes: int) -> int:
        """How many of the classes a prediction has to name."""
        return classes if self.probabilities else self.top_k


def _escaped(value: object) -> object:
    if isinstance(value, bytes):  # the text of a binary column
        return b"'" + value if value[:1].decode("latin-1") in _FORMULA_STARTS else value
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA_STARTS else value


class AddedColumns:
    """The columns that a prediction adds to a row of a table.

    Args:
        options: What is written of a prediction.
        labels: All classes.
        on_note: Takes what was decided without being asked.
    """

    def __init__(
        self, options: OutputOptions, labels: Sequence[str], on_note: Callable[[str], None] = lambda note: None
    ) -> None:
        self._options, self._labels, self._on_note = options, labels, on_note
        self._renamed: set[str] = set()

    def types(self) -> dict[str, str]:
        """Names of the columns and pyarrow's names of their types."""
        more = {f"{name}_{rank}": type_ for rank in range(2, self._options.top_k + 1) for name, type_ in _TYPES.items()}
        each = [f"probability_{label}" for label in self._labels] if self._options.probabilities else []
        return {**_TYPES, **more, **dict.fromkeys(each, "double")}

    def values(self, prediction: Prediction) -> list[object]:
        """Return the fields of one row."""
        ranked = list(prediction.top_k[1 : self._options.top_k])
        ranked += [(None, None)] * (self._options.top_k - 1 - len(ranked))  # type: ignore[list-item]
        values: list[object] = [self.label(prediction), self.number(prediction.confidence)]
        for label, confidence in ranked:
            values += [label, self.number(confidence)]
        if self._options.probabilities:
            by_label = dict(prediction.top_k)
            values += [self.number(by_label.get(label)) for label in self._labels]
        return values

    def label(self, prediction: Prediction) -> str:
        """Return the label, or the label for uncertain predictions."""
        if prediction.label and prediction.confidence < self._options.min_confidence:
            return self._options.uncertain_label
        return prediction.label

    def number(self, value: float | None) -> object:
        """Return a probability as it is written."""
        if value is None or self._options.format == "parquet":
            return value
        return round(value, 6)

    def free_names(self, columns: Sequence[str], wanted: Iterable[str]) -> list[str]:
        """Return the wanted names, with a prefix where the records already have such a field."""
        taken = set(columns)
        names = []
        for name in wanted:
            free = name
            while free in taken:
                free = _PREFIX + free
            taken.add(free)
            names.append(free)
            if free != name and name not in self._renamed:
                self._renamed.add(name)
                self._on_note(f"the input has a field {name!r}; the prediction's is named {free!r}")
        return names


class PredictionWriter:
    """Writes records with their predictions, in a ``with`` block; at its end, also after an error, what is left.

    Args:
        file: Where to.
        options: What.
        labels: All classes.
        columns: Fields of the input as far as they are known, whose names all records of a table have.
        delimiter: Of csv; a comma when not given.
        schema: pyarrow's types of the input's fields, for parquet.
        on_note: Takes what was decided without being asked.
    """

    def __init__(
        self,
        file: BinaryIO,
        options: OutputOptions,
        labels: Sequence[str],
        columns: Sequence[str],
        *,
        delimiter: str | None = None,
        schema: Any = None,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._file, self._options, self._labels = file, options, labels
        self._added, self._on_note = AddedColumns(options, labels, on_note), on_note
        self._writer: RecordWriter | None = None
        if options.format != LINES:
            self._writer = record_writer(file, options.format, delimiter=delimiter, schema=schema)
        self._columns = list(columns)
        self._is_empty = True
        self._taken: dict[str, None] = dict.fromkeys(columns)
        self._names: list[str] = []

    def write(self, batch: Batch) -> None:
        """Write some records and flush them, so that a reader gets them at once.

        Raises:
            DataError: Records do not have the same fields, or a field cannot be written in this format.
            OSError: The stream cannot be written to.
        """
        self._is_empty = False
        if self._writer is None:
            lines = [self._line(prediction) for _, prediction in batch]
            self._file.write("".join(lines).encode("utf-8", "replace"))
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

    def _line(self, prediction: Prediction) -> str:
        pairs = prediction.top_k or (("", 0.0),)
        pairs = ((self._added.label(prediction), prediction.confidence), *pairs[1:])
        # A label with a tab or a line end in it must not look like two.
        return "\t".join(f"{' '.join(label.split())}\t{confidence:.4f}" for label, confidence in pairs) + "\n"

    def _write_rows(self, writer: RecordWriter, batch: Batch) -> None:
        self._names = self._names or self._added.free_names(self._columns, self._added.types())
        names = [*self._columns, *self._names]
        escaped = self._options.escape_formulas and self._options.format in ("csv", "tsv")
        if escaped:
            names = [str(_escaped(name)) for name in names]
        rows: list[list[object]] = []
        try:
            for item, prediction in batch:
                row = [*self._fields(item), *self._added.values(prediction)]
                rows.append([_escaped(value) for value in row] if escaped else row)
        except DataError:  # what came before a record that does not fit is not lost
            if rows:
                writer.write(names, rows)
            raise
        writer.write(names, rows)

    def _fields(self, item: Item) -> Sequence[object]:
        """Return the fields of an item in the order of the output."""
        own = item.columns[: len(item.values)]
        if own == self._columns:
            return item.values
        if sorted(own) != sorted(self._columns):
            raise DataError(
                f"a record has the fields {', '.join(own)}, but the output has {', '.join(self._columns)}:"
                f" {self._options.format} needs the same in all; use --output-format jsonl"
            )
        fields = dict(zip(own, item.values, strict=True))
        return [fields[column] for column in self._columns]

    def _write_objects(self, writer: RecordWriter, batch: Batch) -> None:
        added = ["label", "confidence"]
        added += ["top_k"] if self._options.top_k > 1 else []
        added += ["probabilities"] if self._options.probabilities else []
        self._choose_names(batch, added)
        for item, prediction in batch:
            own = item.columns[: len(item.values)]
            values: list[object] = [self._added.label(prediction), self._added.number(prediction.confidence)]
            if self._options.top_k > 1:
                best = prediction.top_k[: self._options.top_k]
                values.append([{"label": label, "confidence": self._added.number(p)} for label, p in best])
            if self._options.probabilities:
                by_label = dict(prediction.top_k)
                values.append({label: self._added.number(by_label.get(label)) for label in self._labels})
            writer.write([*own, *self._names], [[*item.values, *values]])

    def _choose_names(self, batch: Batch, wanted: Sequence[str]) -> None:
        """Choose names that no record has so far: a name has one meaning in all records if possible."""
        known = len(self._taken)
        for item, _ in batch:
            self._taken.update(dict.fromkeys(item.columns[: len(item.values)]))
        if self._names and len(self._taken) == known:
            return
        before, self._names = self._names, self._added.free_names(list(self._taken), wanted)
        for name in set(before) - set(self._names):
            self._on_note(f"{name!r} is a field of the input only from here on; above it is the prediction's")
