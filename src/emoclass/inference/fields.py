"""What a prediction adds to a record: a label and its confidence, or any number of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

from emoclass.data.columns.naming import shortened
from emoclass.data.tables.formats import FORMATS, LINES
from emoclass.errors import ConfigError, EmoclassError
from emoclass.inference.classifiers import AnyClassifier, MultiLabelClassifier, MultiLabelPrediction, P, Prediction

OUTPUT_FORMATS = (LINES, *FORMATS)
_PREFIX = "predicted_"
_TYPES = {"label": "string", "confidence": "double"}
_UNCERTAIN = "uncertain"
# Confidences below this are counted in the summary if there is no --min-confidence.
_LOW_CONFIDENCE = 0.5
# Between several labels in one field: the first that no label contains.
_SEPARATORS = (",", ";", "|")

Ranked = tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What to write of a prediction.

    Attributes:
        format: ``text``, ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        top_k: Number of most probable classes to write.
        probabilities: Whether to write the probability of every class.
        min_confidence: Confidence below which the label is ``uncertain_label``.
        uncertain_label: The label of uncertain predictions, ``uncertain`` if ``None``; with any number of labels a
            text, those below ``min_confidence`` are left out instead.
        escape_formulas: Whether to prefix an apostrophe to fields of csv and tsv that a spreadsheet would compute.
    """

    format: str
    top_k: int = 1
    probabilities: bool = False
    min_confidence: float = 0.0
    uncertain_label: str | None = None
    escape_formulas: bool = False

    def __post_init__(self) -> None:
        if self.format not in OUTPUT_FORMATS:
            raise ConfigError(f"--output-format {self.format} is not known; use {', '.join(OUTPUT_FORMATS)}")
        if self.top_k < 1:
            raise ConfigError(f"--top-k {self.top_k} is less than 1")
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"--min-confidence {self.min_confidence} is not between 0 and 1")
        if self.uncertain_label is not None and not self.uncertain_label.strip():
            raise ConfigError("--uncertain-label is empty, like the label of an empty text: pass a name")

    @property
    def low_confidence(self) -> float:
        """Confidence below which a summary counts a prediction of one label."""
        return self.min_confidence or _LOW_CONFIDENCE

    def ranks(self, classes: int) -> int:
        """Return how many classes a prediction has to rank."""
        return classes if self.probabilities else self.top_k


class Fields(ABC, Generic[P]):
    """The fields that predictions add to records.

    Args:
        options: What to write of a prediction.
        labels: All classes.
        on_note: Called when a field gets another name than usual.

    Raises:
        EmoclassError: The options do not go with the labels.
    """

    def __init__(
        self, options: OutputOptions, labels: Sequence[str], on_note: Callable[[str], None] = lambda note: None
    ) -> None:
        self.options, self.labels, self._on_note = options, labels, on_note
        self._renamed: set[str] = set()
        self._spelling = _spelling(labels)

    @abstractmethod
    def types(self) -> dict[str, str]:
        """Return the aliases of the columns' pyarrow types by column name."""

    @abstractmethod
    def values(self, prediction: P) -> list[object]:
        """Return the values of these columns for one prediction."""

    @abstractmethod
    def json_fields(self, prediction: P) -> dict[str, object]:
        """Return the fields that a prediction adds to a JSON object."""

    @abstractmethod
    def line(self, prediction: P) -> str:
        """Return the line of text for a prediction, without its end."""

    @property
    def low_confidence(self) -> float:
        """Confidence below which a summary counts a prediction; with any number of labels, a label as not there."""
        return self.options.min_confidence

    def number(self, value: float | None) -> object:
        """Return a probability as it is written: to six digits in text formats."""
        if value is None or self.options.format == "parquet":
            return value
        return round(value, 6)

    def earlier(self, columns: Sequence[str]) -> list[str]:
        """Return those of a table's columns that an earlier prediction added, under names that nobody else gives."""
        names = list(self.types())
        if self.options.format == "jsonl":
            best, each = self.options.top_k > 1, self.options.probabilities
            names = names[:2] + ["top_k"] * best + ["probabilities"] * each
        own, last = columns[: -len(names)], list(columns[-len(names) :])
        return last if last == _free(own, names) and any(name.startswith(_PREFIX) for name in last) else []

    def free_names(self, columns: Sequence[str], names: Iterable[str]) -> list[str]:
        """Return names for added columns, prefixed where the input has such a column."""
        names = list(names)
        result = _free(columns, names)
        for name, free in zip(names, result, strict=True):
            if free != name and name not in self._renamed:
                self._renamed.add(name)
                self._on_note(f"the input has a field {name!r}; the prediction's is named {free!r}")
        return result

    def _probability_types(self) -> dict[str, str]:
        names = [f"probability_{label}" for label in self.labels] if self.options.probabilities else []
        return dict.fromkeys(names, "double")

    def _probabilities(self, ranked: Ranked) -> list[object]:
        if not self.options.probabilities:
            return []
        by_label = dict(ranked)
        return [self.number(by_label.get(label)) for label in self.labels]

    def _ranked_values(self, ranked: Ranked, count: int) -> list[object]:
        """Return so many labels with their probabilities one after the other, ``None`` where there are no more."""
        pairs = [*ranked, *[(None, None)] * (count - len(ranked))]
        return [value for label, probability in pairs for value in (label, self.number(probability))]

    def _more_objects(self, ranked: Ranked) -> dict[str, object]:
        fields: dict[str, object] = {}
        if self.options.top_k > 1:
            best = ranked[: self.options.top_k]
            fields["top_k"] = [{"label": label, "confidence": self.number(p)} for label, p in best]
        if self.options.probabilities:
            by_label = dict(ranked)
            fields["probabilities"] = {label: self.number(by_label.get(label)) for label in self.labels}
        return fields

    def _pairs(self, ranked: Ranked) -> list[str]:
        return [f"{self._spelling(label)}\t{probability:.4f}" for label, probability in ranked]


class LabelFields(Fields[Prediction]):
    """A label and its confidence; see ``Fields``."""

    def __init__(
        self, options: OutputOptions, labels: Sequence[str], on_note: Callable[[str], None] = lambda note: None
    ) -> None:
        super().__init__(options, labels, on_note)
        self._uncertain = options.uncertain_label or _UNCERTAIN
        if options.min_confidence and _collapsed(self._uncertain) in map(_collapsed, labels):
            raise EmoclassError(
                f"the model has a class {shortened(self._uncertain)}, so that it cannot mark predictions below"
                " --min-confidence: pass another name with --uncertain-label"
            )

    @property
    def low_confidence(self) -> float:
        """Confidence below which a summary counts a prediction."""
        return self.options.low_confidence

    def types(self) -> dict[str, str]:
        """Return the aliases of the columns' pyarrow types by column name."""
        ranks = ["", *(f"_{rank}" for rank in range(2, self.options.top_k + 1))]
        types = {f"{name}{rank}": type_ for rank in ranks for name, type_ in _TYPES.items()}
        return {**types, **self._probability_types()}

    def values(self, prediction: Prediction) -> list[object]:
        """Return the values of these columns for one prediction."""
        best = prediction.top_k[1 : self.options.top_k]
        return [
            self._label(prediction),
            self.number(prediction.confidence),
            *self._ranked_values(best, self.options.top_k - 1),
            *self._probabilities(prediction.top_k),
        ]

    def json_fields(self, prediction: Prediction) -> dict[str, object]:
        """Return the fields that a prediction adds to a JSON object."""
        own = {"label": self._label(prediction), "confidence": self.number(prediction.confidence)}
        return {**own, **self._more_objects(prediction.top_k)}

    def line(self, prediction: Prediction) -> str:
        """Return the line of text for a prediction, without its end."""
        more = prediction.top_k[1 : self.options.top_k]
        return "\t".join(self._pairs(((self._label(prediction), prediction.confidence), *more)))

    def _label(self, prediction: Prediction) -> str:
        if prediction.label and prediction.confidence < self.options.min_confidence:
            return self._uncertain
        return prediction.label


class LabelsFields(Fields[MultiLabelPrediction]):
    """Any number of labels and their confidences; see ``Fields``."""

    def __init__(
        self, options: OutputOptions, labels: Sequence[str], on_note: Callable[[str], None] = lambda note: None
    ) -> None:
        super().__init__(options, labels, on_note)
        if options.uncertain_label is not None:
            raise ConfigError(
                "--uncertain-label is for models of one label a text; this one leaves out labels below --min-confidence"
            )
        self._separator = label_separator(labels)

    def types(self) -> dict[str, str]:
        """Return the aliases of the columns' pyarrow types by column name."""
        ranks = range(1, self.options.top_k + 1) if self.options.top_k > 1 else ()
        more = {f"{name}_{rank}": type_ for rank in ranks for name, type_ in _TYPES.items()}
        return {"labels": "string", "confidences": "string", **more, **self._probability_types()}

    def values(self, prediction: MultiLabelPrediction) -> list[object]:
        """Return the values of these columns for one prediction."""
        chosen = self._chosen(prediction)
        more = self.options.top_k > 1
        return [
            self._separator.join(label for label, _ in chosen),
            self._separator.join(f"{probability:.6g}" for _, probability in chosen),
            *(self._ranked_values(prediction.top_k[: self.options.top_k], self.options.top_k) if more else ()),
            *self._probabilities(prediction.top_k),
        ]

    def json_fields(self, prediction: MultiLabelPrediction) -> dict[str, object]:
        """Return the fields that a prediction adds to a JSON object."""
        chosen = self._chosen(prediction)
        own = {"labels": [label for label, _ in chosen], "confidences": [self.number(p) for _, p in chosen]}
        return {**own, **self._more_objects(prediction.top_k)}

    def line(self, prediction: MultiLabelPrediction) -> str:
        """Return the line of text for a prediction, without its end."""
        chosen = self._chosen(prediction)
        labels = self._separator.join(self._spelling(label) for label, _ in chosen)
        confidences = self._separator.join(f"{probability:.4f}" for _, probability in chosen)
        more = prediction.top_k[: self.options.top_k] if self.options.top_k > 1 else ()
        return "\t".join([labels, confidences, *self._pairs(more)])

    def _chosen(self, prediction: MultiLabelPrediction) -> list[tuple[str, float]]:
        pairs = zip(prediction.labels, prediction.confidences, strict=True)
        return [(label, probability) for label, probability in pairs if probability >= self.options.min_confidence]


AnyFields = LabelFields | LabelsFields


def fields_of(
    classifier: AnyClassifier, options: OutputOptions, on_note: Callable[[str], None] = lambda note: None
) -> AnyFields:
    """Return the fields that predictions of a classifier add to records; see ``Fields``."""
    if isinstance(classifier, MultiLabelClassifier):
        return LabelsFields(options, classifier.labels, on_note)
    return LabelFields(options, classifier.labels, on_note)


def label_separator(labels: Sequence[str]) -> str:
    """Return what stands between several of these labels in a field."""
    free = (mark for mark in _SEPARATORS if not any(mark in label for label in labels))
    return next(free, _SEPARATORS[0])


def _free(columns: Sequence[str], names: Iterable[str]) -> list[str]:
    taken, result = set(columns), []
    for name in names:
        free = name
        while free in taken:
            free = _PREFIX + free
        taken.add(free)
        result.append(free)
    return result


def _collapsed(label: str) -> str:
    return " ".join(label.split())


def _spelling(labels: Sequence[str]) -> Callable[[str], str]:
    """Return how labels are spelled on lines of text, where one with a tab or a line end must not look like two.

    Whitespace becomes a single space; if two classes would look the same, tabs and line ends become escapes instead.
    """
    return _collapsed if len(set(map(_collapsed, labels))) == len(set(labels)) else _with_escapes


def _with_escapes(label: str) -> str:
    return "".join(c.encode("unicode_escape").decode() if c == "\\" or (c.isspace() and c != " ") else c for c in label)
