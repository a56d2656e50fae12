"""Scoring of labelled texts with a classifier of one label a text, block by block; a few numbers per row are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.data.columns.labels import Label
from emoclass.encoders.bert.numpy_model import softmax
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.block_scoring import BlockScoring, PreparedBlock
from emoclass.evaluation.calibration import with_temperature
from emoclass.evaluation.metrics import log_losses
from emoclass.inference.classifiers import Classifier


@dataclass(frozen=True, eq=False)
class Rows:
    """The scored rows, in order.

    Attributes:
        numbers: 1-based data rows, ``int64[rows]``.
        true: True label ids, ``int32[rows]``.
        predicted: Predicted label ids, ``int32[rows]``.
        confidences: Probabilities of the predicted classes, ``float32[rows]``.
        losses: Negative log probabilities of the true classes, ``float64[rows]``.
    """

    numbers: npt.NDArray[np.int64]
    true: npt.NDArray[np.int32]
    predicted: npt.NDArray[np.int32]
    confidences: npt.NDArray[np.float32]
    losses: npt.NDArray[np.float64]

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each prediction is correct, ``bool[rows]``."""
        result: npt.NDArray[np.bool_] = self.predicted == self.true
        return result

    def select(self, numbers: npt.NDArray[np.int64]) -> Rows:
        """Return the rows with these numbers."""
        chosen = np.isin(self.numbers, numbers)
        return Rows(**{name: column[chosen] for name, column in vars(self).items()})


@dataclass(frozen=True, eq=False)
class RowDetails:
    """Further columns of the scored rows, which the report summarizes.

    Attributes:
        uncalibrated: Confidences without temperature scaling, ``float32[rows]``.
        lengths: Tokens after truncation, ``int32[rows]``.
        truncated: Whether a text exceeds the length limit, ``bool[rows]``.
        baseline: Label ids predicted by the baseline, ``int32[rows]``; empty without one.
    """

    uncalibrated: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    baseline: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction.

    Attributes:
        row: 1-based data row.
        text: The text.
        label: True class.
        label_probability: Probability of the true class.
        prediction: Predicted class.
        confidence: Probability of the predicted class.
        loss: Negative log probability of the true class, in nats.
    """

    row: int
    text: str
    label: str
    label_probability: float
    prediction: str
    confidence: float
    loss: float


class Scoring(BlockScoring[Mistake, Rows]):
    """Accumulates the predictions of a classifier of one label a text; see ``BlockScoring``.

    Args:
        classifier: The classifier.
        baseline: Baseline with the same classes.
        temperature: The temperature that the classifier's logits were divided by when training ended.
        **options: Further arguments of ``BlockScoring``.

    Attributes:
        correct_unseen: Number of correct predictions among the rows whose text is no training text.
    """

    def __init__(
        self, classifier: Classifier, *, baseline: Baseline | None = None, temperature: float = 1.0, **options: Any
    ) -> None:
        super().__init__(classifier, baseline=baseline, **options)
        self.baseline, self.temperature = baseline, temperature
        self.correct_unseen = 0

    def _known(self, labels: list[Label]) -> tuple[list[int], npt.NDArray[np.int32]]:
        ids: dict[Any, int] = self._ids
        known = [i for i, label in enumerate(labels) if label in ids]
        if len(known) < len(labels):
            self.unknown_labels.update(str(label) for label in labels if label not in ids)
        return known, np.array([ids[labels[i]] for i in known], dtype=np.int32)

    def add(self, block: PreparedBlock) -> None:
        """Predict the rows of a block."""
        if not block.texts:
            return
        probabilities = softmax(self._logits_of(block.tokenized))
        rows = Rows(
            numbers=block.numbers,
            true=block.true,
            predicted=probabilities.argmax(axis=1).astype(np.int32),
            confidences=probabilities.max(axis=1),
            losses=log_losses(probabilities, block.true),
        )
        details = RowDetails(
            uncalibrated=with_temperature(probabilities, 1 / self.temperature).max(axis=1),
            lengths=block.tokenized.lengths.astype(np.int32),
            truncated=block.tokenized.truncated,
            baseline=block.baseline.astype(np.int32),
        )
        self._keep(rows, details)
        self.seen += int(block.seen.sum())
        self.correct_unseen += int(rows.correct[~block.seen].sum())

        def mistake(i: int) -> Mistake:
            return Mistake(
                row=int(rows.numbers[i]),
                text=block.texts[i],
                label=self.labels[rows.true[i]],
                label_probability=float(probabilities[i, rows.true[i]]),
                prediction=self.labels[rows.predicted[i]],
                confidence=float(rows.confidences[i]),
                loss=float(rows.losses[i]),
            )

        self._keep_mistakes(~rows.correct, rows.losses, mistake)
        self.on_scored(block.texts, rows)

    def columns(self, texts: Sequence[str], rows: Rows, *, lists: bool) -> dict[str, Sequence[object]]:
        """Return row, text, label, prediction, confidence and loss."""
        return {
            "row": rows.numbers.tolist(),
            "text": texts,
            "label": [self.labels[i] for i in rows.true.tolist()],
            "prediction": [self.labels[i] for i in rows.predicted.tolist()],
            "confidence": rows.confidences.astype(np.float64).round(6).tolist(),
            "loss": rows.losses.round(6).tolist(),
        }

    def finish(self, name: str) -> tuple[Rows, RowDetails]:
        """Return all rows and release the memory of the blocks; call once, at the end.

        Args:
            name: Name of the data in messages.

        Raises:
            DataError: The classifier knows none of the labels.
        """
        if not self._columns:
            raise self._none_known(name)
        return self._joined(Rows), self._joined(RowDetails)
