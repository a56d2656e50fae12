"""Thresholds that a user gives in place of those of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from numbers import Real

from emoclass.data.columns.labels import folded_name
from emoclass.data.columns.naming import listed_labels, shortened
from emoclass.errors import ConfigError


@dataclass(frozen=True)
class Thresholds:
    """Probabilities from which on labels are predicted.

    Attributes:
        every: That of all labels without their own; ``None`` for those of the model.
        by_label: Those of some labels.

    Raises:
        ConfigError: One is not a number between 0 and 1.
    """

    every: float | None = None
    by_label: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (*([] if self.every is None else [self.every]), *self.by_label.values()):
            if not isinstance(value, Real) or not 0 <= value <= 1:
                raise ConfigError(f"--threshold {value} is not a number between 0 and 1")

    def __bool__(self) -> bool:
        return self.every is not None or bool(self.by_label)

    @classmethod
    def given(cls, value: float | Mapping[str, float] | None) -> Thresholds:
        """Return a threshold for all labels, or those of some.

        Raises:
            ConfigError: One is not a number between 0 and 1.
        """
        return cls(by_label=value) if isinstance(value, Mapping) else cls(value)

    @classmethod
    def parse(cls, values: Sequence[str]) -> Thresholds:
        """Return the thresholds in the values of ``--threshold``: ``0.4`` for all labels, ``joy=0.4`` for one.

        Raises:
            ConfigError: A value is neither.
        """
        every, by_label = None, dict[str, float]()
        for value in values:
            label, equals, number = value.rpartition("=")
            try:
                threshold = float(number)
            except ValueError:
                threshold = -1.0
            if not 0 <= threshold <= 1:
                raise ConfigError(f"--threshold {value!r} is not P or LABEL=P with P from 0 to 1, such as joy=0.4")
            if equals:
                by_label[label] = threshold
            else:
                every = threshold
        return cls(every, by_label)

    def of(self, labels: Sequence[str], task: str) -> dict[str, float]:
        """Return the thresholds of a model's labels, as far as they are given.

        Raises:
            ConfigError: The model does not have one of the labels, or predicts one label a text.
        """
        if self and task == "single":
            raise ConfigError("--threshold is for models of any number of labels a text, and this one predicts one")
        for label in self.by_label:
            if label not in labels:
                raise ConfigError(f"--threshold: the model has no label {shortened(label)}{_suggestion(label, labels)}")
        return {**({} if self.every is None else dict.fromkeys(labels, self.every)), **self.by_label}


def _suggestion(label: str, labels: Sequence[str]) -> str:
    by_fold = {folded_name(name): name for name in labels}
    if folded_name(label) in by_fold:
        return f": did you mean {shortened(by_fold[folded_name(label)])}?"
    close = get_close_matches(label, labels, n=1)
    return f": did you mean {shortened(close[0])}?" if close else f"; its labels are {listed_labels(labels)}"
