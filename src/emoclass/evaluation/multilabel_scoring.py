"""Scoring of labelled texts with a classifier of any number of labels, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.data.columns.labels import Label, names_of
from emoclass.encoders.bert.numpy_model import sigmoid
from emoclass.errors import DataError
from emoclass.evaluation.block_scoring import BlockScoring, PreparedBlock
from emoclass.evaluation.multilabel_baseline import MultiLabelBaseline
from emoclass.evaluation.multilabel_metrics import Bools, Floats, binary_losses
from emoclass.inference.classifiers import MultiLabelClassifier
from emoclass.inference.fields import label_separator


@dataclass(frozen=True, eq=False)
class LabelRows:
    """The scored rows, in order.

    Attributes:
        numbers: 1-based data rows, ``int64[rows]``.
        truth: Which labels each row has, ``bool[rows, labels]``.
        predicted: Which labels are predicted, ``bool[rows, labels]``.
        probabilities: ``float32[rows, labels]``.
        losses: Mean binary cross-entropy over the labels, ``float64[rows]``.
    """

    numbers: npt.NDArray[np.int64]
    truth: Bools
    predicted: Bools
    probabilities: npt.NDArray[np.float32]
    losses: npt.NDArray[np.float64]

    @property
    def exact(self) -> Bools:
        """Whether exactly the right labels are predicted, ``bool[rows]``."""
        result: Bools = (self.predicted == self.truth).all(axis=1)
        return result


@dataclass(frozen=True, eq=False)
class LabelRowDetails:
    """Further columns of the scored rows, which the report summarizes.

    Attributes:
        lengths: Tokens after truncation, ``int32[rows]``.
        truncated: Whether a text exceeds the length limit, ``bool[rows]``.
        seen: Whether a text is a training text, apart from punctuation, ``bool[rows]``.
        baseline: Which labels the baseline predicts, ``bool[rows, labels]``; empty without one.
    """

    lengths: npt.NDArray[np.int32]
    truncated: Bools
    seen: Bools
    baseline: Bools


@dataclass(frozen=True)
class LabelMistake:
    """A text with labels that are missed, or wrongly predicted.

    Attributes:
        row: 1-based data row.
        text: The text.
        labels: Its labels.
        predictions: The predicted labels, the most probable first.
        probabilities: Probabilities of all of these.
        loss: Mean binary cross-entropy over the labels, in nats.
    """

    row: int
    text: str
    labels: tuple[str, ...]
    predictions: tuple[str, ...]
    probabilities: dict[str, float]
    loss: float


class MultiLabelScoring(BlockScoring[LabelMistake, LabelRows]):
    """Accumulates the predictions of a classifier of any number of labels a text; see ``BlockScoring``.

    Labels that the classifier does not know are left out of a row's labels and counted; the row is scored.

    Attributes:
        unknown_rows: Number of rows with such labels.

    Args:
        classifier: The classifier.
        baseline: Baseline with the same labels.
        calibration: Slope and offset of each label by which the classifier's logits were calibrated when training
            ended, ``float64[labels]`` each.
        **options: Further arguments of ``BlockScoring``.
    """

    def __init__(
        self,
        classifier: MultiLabelClassifier,
        *,
        baseline: MultiLabelBaseline | None = None,
        calibration: tuple[Floats, Floats] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(classifier, baseline=baseline, **options)
        self.baseline, self.thresholds = baseline, classifier.thresholds
        count = len(self.labels)
        self.calibration = (np.ones(count), np.zeros(count)) if calibration is None else calibration
        self.unknown_rows = 0

    def _known(self, labels: list[Label]) -> tuple[list[int], Bools]:
        truth = np.zeros((len(labels), len(self.labels)), dtype=np.bool_)
        for row, label in enumerate(labels):
            unknown = [name for name in names_of(label) if name not in self._ids]
            truth[row, [self._ids[name] for name in names_of(label) if name in self._ids]] = True
            self.unknown_labels.update(unknown)
            self.unknown_rows += bool(unknown)
        return list(range(len(labels))), truth

    def add(self, block: PreparedBlock) -> None:
        """Predict the rows of a block."""
        if not block.texts:
            return
        probabilities = sigmoid(self._logits_of(block.tokenized))
        rows = LabelRows(
            numbers=block.numbers,
            truth=block.true,
            predicted=probabilities >= self.thresholds,
            probabilities=probabilities,
            losses=binary_losses(probabilities, block.true),
        )
        lengths = block.tokenized.lengths.astype(np.int32)
        self._keep(rows, LabelRowDetails(lengths, block.tokenized.truncated, block.seen, block.baseline))
        self.seen += int(block.seen.sum())
        self._keep_mistakes(~rows.exact, rows.losses, lambda i: self._mistake(block.texts[i], rows, i))
        self.on_scored(block.texts, rows)

    def columns(self, texts: Sequence[str], rows: LabelRows, *, lists: bool) -> dict[str, Sequence[object]]:
        """Return row, text, labels, predictions, their confidences, and loss."""
        separator = label_separator(self.labels)

        def cells(values: list[list[str]]) -> Sequence[object]:
            return values if lists else [separator.join(each) for each in values]

        order = np.argsort(-rows.probabilities, axis=1, kind="stable").tolist()
        chosen = [[j for j in own if has[j]] for own, has in zip(order, rows.predicted.tolist(), strict=True)]
        confidences = [
            [round(float(own[j]), 6) for j in ids] for own, ids in zip(rows.probabilities, chosen, strict=True)
        ]
        return {
            "row": rows.numbers.tolist(),
            "text": texts,
            "labels": cells([[self.labels[j] for j in np.flatnonzero(has)] for has in rows.truth]),
            "predictions": cells([[self.labels[j] for j in ids] for ids in chosen]),
            "confidences": confidences if lists else cells([[f"{p:.6g}" for p in own] for own in confidences]),
            "loss": rows.losses.round(6).tolist(),
        }

    def finish(self, name: str) -> tuple[LabelRows, LabelRowDetails]:
        """Return all rows and release the memory of the blocks; call once, at the end.

        Args:
            name: Name of the data in messages.

        Raises:
            DataError: The classifier knows none of the labels, or no text has one.
        """
        if not any(truth.any() for truth in self._columns.get("truth", ())):
            if self.unknown_labels:
                raise self._none_known(name)
            raise DataError(f"{name}: no row has a label: set --label-column, or predict it instead")
        return self._joined(LabelRows), self._joined(LabelRowDetails)

    def _mistake(self, text: str, rows: LabelRows, i: int) -> LabelMistake:
        probabilities = rows.probabilities[i]
        ranked = np.argsort(-probabilities, kind="stable")
        shown = [j for j in ranked.tolist() if rows.predicted[i, j] or rows.truth[i, j]]
        return LabelMistake(
            row=int(rows.numbers[i]),
            text=text,
            labels=tuple(self.labels[j] for j in np.flatnonzero(rows.truth[i])),
            predictions=tuple(self.labels[j] for j in shown if rows.predicted[i, j]),
            probabilities={self.labels[j]: float(probabilities[j]) for j in shown},
            loss=float(rows.losses[i]),
        )
