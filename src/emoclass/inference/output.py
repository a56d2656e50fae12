"""Write records with their predictions, as lines of text or as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from emoclass.data.columns.naming import shortened
from emoclass.data.tables.formats import FORMATS, LINES
from emoclass.data.tables.writing import RecordWriter, record_writer
from emoclass.errors import ConfigError, DataError, EmoclassError

if TYPE_CHECKING:
    from emoclass.inference.predictor import Prediction
    from emoclass.inference.records import Item, Layout

OUTPUT_FORMATS = (LINES, *FORMATS)
_PREFIX = "predicted_"
_TYPES = {"label": "string", "confidence": "double"}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Batch: TypeAlias = "list[tuple[Item, Prediction]]"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What to write of a prediction.

    Attributes:
        format: ``text``, ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        top_k: Number of most probable classes to write.
        probabilities: Whether to write the probability of every class.
        min_confidence: Confidence below which the label is ``uncertain_label``.
        uncertain_label: The label of uncertain predictions.
        escape_formulas: Whether to prefix an apostrophe to fields of csv and tsv that a spreadsheet would compute.
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
        if not self.uncertain_label.strip():
            raise ConfigError("--uncertain-label is empty, like the label of an empty text: pass a name")

    def check_labels(self, labels: Iterable[str]) -> None:
        """Check that uncertain predictions do not look like those of a class.

        Args:
            labels: All classes.

        Raises:
            EmoclassError: A class is named like ``uncertain_label``.
        """
        if self.min_confidence and _collapsed(self.uncertain_label) in map(_collapsed, labels):
            raise EmoclassError(
                f"the model has a class {shortened(self.uncertain_label)}, so that it cannot mark predictions below"
                " --min-confidence: pass another name with --uncertain-label"
            )

    def ranks(self, classes: int) -> int:
        """Return how many classes a prediction has to rank."""
        return classes if self.probabilities else self.top_k


class AddedColumns:
    """The columns that predictions add to a table.

    Args:
        options: What to write of a prediction.
        labels: All classes.
        on_note: Called when a column gets another name than usual.

    Raises:
        EmoclassError: A class is named like the label of uncertain predictions.
    """

    def __init__(
        self, options: OutputOptions, labels: Sequence[str], on_note: Callable[[str], None] = lambda note: None
    ) -> None:
        self._options, self._labels, self._on_note = options, labels, on_note
        self._renamed: set[str] = set()
        options.check_labels(labels)

    def types(self) -> dict[str, str]:
        """Return the aliases of the columns' pyarrow types by column name."""
        more = {f"{name}_{rank}": type_ for rank in range(2, self._options.top_k + 1) for name, type_ in _TYPES.items()}
        each = [f"probability_{label}" for label in self._labels] if self._options.probabilities else []
        return {**_TYPES, **more, **dict.fromkeys(each, "double")}

    def values(self, prediction: Prediction) -> list[object]:
        """Return the values of the columns for one prediction."""
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
        """Return the label to write."""
        if prediction.label and prediction.confidence < self._options.min_confidence:
            return self._options.uncertain_label
        return prediction.label

    def number(self, value: float | None) -> object:
        """Return a probability as it is written: to six digits in text formats."""
        if value is None or self._options.format == "parquet":
            return value
        return round(value, 6)

    def free_names(self, columns: Sequence[str], names: Iterable[str]) -> list[str]:
        """Return names for added columns, prefixed where the input has such a column."""
        taken = set(columns)
        result = []
        for name in names:
            free = name
            while free in taken:
                free = _PREFIX + free
            taken.add(free)
            result.append(free)
            if free != name and name not in self._renamed:
                self._renamed.add(name)
                self._on_note(f"the input has a field {name!r}; the prediction's is named {free!r}")
        return result


class PredictionWriter:
    """Writes records with their predictions; a context manager that writes what is buffered at the end.

    Args:
        file: The stream to write to.
        options: The format and the fields to write.
        labels: All classes.
        layout: The layout of the input.
        on_note: Called when an added field gets another name than usual.
    """

    def __init__(
        self,
        file: BinaryIO,
        options: OutputOptions,
        labels: Sequence[str],
        layout: Layout,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._file, self._options, self._labels = file, options, labels
        self._added, self._on_note = AddedColumns(options, labels, on_note), on_note
        self._spelling = _spelling(labels)
        self._writer: RecordWriter | None = None
        if options.format != LINES:
            delimiter = layout.delimiter if layout.format == options.format else None
            self._writer = record_writer(file, options.format, delimiter=delimiter, schema=layout.schema)
        self._columns = list(layout.columns)
        self._is_empty = True
        self._seen: dict[str, None] = dict.fromkeys(layout.columns)
        self._names: list[str] = []

    def write(self, batch: Batch) -> None:
        """Write records and flush them, so that a reader gets them at once.

        Raises:
            DataError: Records have different fields, or the format cannot store a value.
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
        return "\t".join(f"{self._spelling(label)}\t{confidence:.4f}" for label, confidence in pairs) + "\n"

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
            writer.write([*own, *self._names], [[*item.values, *self._object(prediction).values()]])

    def _object(self, prediction: Prediction) -> dict[str, object]:
        """Return the fields that a prediction adds to a JSON object."""
        number = self._added.number
        fields: dict[str, object] = {
            "label": self._added.label(prediction),
            "confidence": number(prediction.confidence),
        }
        if self._options.top_k > 1:
            best = prediction.top_k[: self._options.top_k]
            fields["top_k"] = [{"label": label, "confidence": number(p)} for label, p in best]
        if self._options.probabilities:
            by_label = dict(prediction.top_k)
            fields["probabilities"] = {label: number(by_label.get(label)) for label in self._labels}
        return fields

    def _choose_names(self, batch: Batch) -> None:
        """Choose names for added fields that no record so far has, so that a name means the same in all if possible."""
        known = len(self._seen)
        for item, _ in batch:
            self._seen.update(dict.fromkeys(item.columns[: len(item.values)]))
        if self._names and len(self._seen) == known:
            return
        before, self._names = self._names, self._added.free_names(list(self._seen), self._object(batch[0][1]))
        for name in set(before) - set(self._names):
            self._on_note(f"{name!r} is a field of the input only from here on; above it is the prediction's")


def _collapsed(label: str) -> str:
    return " ".join(label.split())


def _spelling(labels: Sequence[str]) -> Callable[[str], str]:
    """Return how labels are spelled on lines of text, where one with a tab or a line end must not look like two.

    Whitespace becomes a single space; if two classes would look the same, tabs and line ends become escapes instead.
    """
    return _collapsed if len(set(map(_collapsed, labels))) == len(set(labels)) else _with_escapes


def _with_escapes(label: str) -> str:
    return "".join(c.encode("unicode_escape").decode() if c == "\\" or (c.isspace() and c != " ") else c for c in label)


def _escaped(value: object) -> object:
    if isinstance(value, bytes):  # the text of a binary column
        return b"'" + value if value[:1].decode("latin-1") in _FORMULA_STARTS else value
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA_STARTS else value
