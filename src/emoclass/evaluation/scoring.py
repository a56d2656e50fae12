"""A classifier on labelled texts, block by block; of each row a few numbers are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from emoclass.data.cleaning.cleaning import Block
from emoclass.data.similarity.folding import HashSet, text_hashes
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.errors import DataError
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.calibration import with_temperature
from emoclass.evaluation.metrics import log_losses
from emoclass.inference.predictor import Classifier
from emoclass.inference.threads import Windows, ahead

# Of the wrong predictions so many are kept with their texts, unless told otherwise: what a page shows.
KEPT_MISTAKES = 500


class LabelledData(Protocol):
    """Rows that cleaning kept, in memory or read as they are asked for."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def total_rows(self) -> int | None:
        """Data rows before cleaning, where that is known."""

    @property
    def removed_counts(self) -> dict[str, int]:
        """Rows that cleaning took out, by reason, as far as it was read."""

    def blocks(self) -> Iterator[Block]:
        """The rows that stay."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What became of each scored row, in order.

    Attributes:
        numbers: 1-based data rows, ``int64[rows]``.
        true: True class numbers, ``int32[rows]``.
        predicted: Predicted class numbers, ``int32[rows]``.
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
        """Which predictions are right, ``bool[rows]``."""
        result: npt.NDArray[np.bool_] = self.predicted == self.true
        return result


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction.

    Attributes:
        row: 1-based data row.
        text: The text.
        label: The true class.
        label_probability: What the classifier gives it.
        prediction: The predicted class.
        confidence: What the classifier gives that.
        loss: Negative log probability of the true class.
    """

    row: int
    text: str
    label: str
    label_probability: float
    prediction: str
    confidence: float
    loss: float


@dataclass(frozen=True, eq=False)
class _Prepared:
    """Rows of a block that the classifier knows the label of."""

    texts: list[str]
    numbers: npt.NDArray[np.int64]
    true: npt.NDArray[np.int32]
    tokenized: TokenizedTexts
    by_baseline: npt.NDArray[np.int64]
    seen: npt.NDArray[np.bool_]


class Scoring:
    """Takes blocks one after the other and keeps what scores are made of.

    Args:
        classifier: The classifier.
        training_hashes: What ``text_hashes`` gave for its training texts.
        baseline: A simpler classifier of the same classes.
        temperature: What the classifier's logits were divided by when training ended.
        logits_of: Gives the classifier's logits in another way.
        kept_mistakes: How many of the worst mistakes are kept with their texts.

    Attributes:
        on_scored: Called with the texts and rows of each block.
        unknown_labels: Labels that the classifier does not know, with their rows.
        mistakes: The wrong predictions with the highest loss, the worst first.
        seen: Rows whose text also stood among the training texts.
        right_unseen: How many of the others are right.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        training_hashes: npt.NDArray[np.int64],
        baseline: Baseline | None = None,
        temperature: float = 1.0,
        logits_of: Callable[[TokenizedTexts], Tensor] | None = None,
        kept_mistakes: int = KEPT_MISTAKES,
    ) -> None:
        self.classifier, self.baseline, self.temperature = classifier, baseline, temperature
        self.unknown_labels: Counter[str] = Counter()
        self.mistakes: list[Mistake] = []
        self.seen = self.right_unseen = 0
        self._ids = {label: number for number, label in enumerate(classifier.labels)}
        self._training = HashSet(training_hashes)
        self._logits_of = logits_of or classifier.logits
        self._kept_mistakes = kept_mistakes
        self.on_scored: Callable[[Sequence[str], Rows], None] = lambda texts, rows: None
        self._columns: dict[str, list[npt.NDArray[Any]]] = {}

    def prepare(self, block: Block) -> _Prepared:
        """All that does not need the model; may run in another thread, ahead of ``add``."""
        known = [i for i, label in enumerate(block.labels) if label in self._ids]
        if len(known) < len(block.labels):
            self.unknown_labels.update(label for label in block.labels if label not in self._ids)
        texts = [block.texts[i] for i in known]
        return _Prepared(
            texts=texts,
            numbers=block.rows[known],
            true=np.array([self._ids[block.labels[i]] for i in known], dtype=np.int32),
            tokenized=self.classifier.tokenizer(texts),
            by_baseline=np.zeros(0, np.int64) if self.baseline is None or not texts else self.baseline.predict(texts),
            seen=self._training.find(text_hashes(texts)),
        )

    def add(self, prepared: _Prepared) -> None:
        """Computes and keeps the rows of one block."""
        if not prepared.texts:
            return
        probabilities = self._logits_of(prepared.tokenized).softmax(-1).numpy()
        rows = Rows(
            numbers=prepared.numbers,
            true=prepared.true,
            predicted=probabilities.argmax(axis=1).astype(np.int32),
            confidences=probabilities.max(axis=1),
            losses=log_losses(probabilities, prepared.true),
        )
        uncalibrated = with_temperature(probabilities, 1 / self.temperature).max(axis=1)
        self._keep(
            **vars(rows),
            uncalibrated=uncalibrated,
            lengths=prepared.tokenized.lengths.astype(np.int32),
            truncated=prepared.tokenized.truncated,
            by_baseline=prepared.by_baseline.astype(np.int32),
        )
        self.seen += int(prepared.seen.sum())
        self.right_unseen += int(rows.correct[~prepared.seen].sum())
        self._keep_mistakes(prepared.texts, rows, probabilities)
        self.on_scored(prepared.texts, rows)

    def require_rows(self, name: str) -> None:
        """Refuses data of which the classifier knows no label.

        Raises:
            DataError: Nothing was scored.
        """
        if not self._columns:
            raise DataError(
                f"{name}: none of its labels ({_some(self.unknown_labels)}) is known to the model "
                f"({_some(self._ids)}); evaluate with data of the same classes, or name --label-column"
            )

    def take(self, name: str) -> npt.NDArray[Any]:
        """A column of all rows, once: of ``Rows``, ``uncalibrated``, ``lengths``, ``truncated`` or ``by_baseline``."""
        return np.concatenate(self._columns.pop(name))

    def take_rows(self) -> Rows:
        """What became of each row, once."""
        return Rows(**{field.name: self.take(field.name) for field in fields(Rows)})

    def _keep(self, **columns: npt.NDArray[Any]) -> None:
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(values)

    def _keep_mistakes(self, texts: Sequence[str], rows: Rows, probabilities: npt.NDArray[np.float32]) -> None:
        labels, most = self.classifier.labels, self._kept_mistakes
        wrong = np.flatnonzero(~rows.correct)
        if self.mistakes and len(self.mistakes) == most:
            wrong = wrong[rows.losses[wrong] > self.mistakes[-1].loss]
        chosen = wrong[np.argsort(-rows.losses[wrong], kind="stable")][:most]
        new = [
            Mistake(
                row=int(rows.numbers[i]),
                text=texts[i],
                label=labels[rows.true[i]],
                label_probability=float(probabilities[i, rows.true[i]]),
                prediction=labels[rows.predicted[i]],
                confidence=float(rows.confidences[i]),
                loss=float(rows.losses[i]),
            )
            for i in chosen.tolist()
        ]
        self.mistakes = sorted([*self.mistakes, *new], key=lambda mistake: -mistake.loss)[:most]


def score_blocks(scorings: Sequence[Scoring], data: LabelledData, on_rows: Callable[[int, int | None], None]) -> None:
    """Reads the data once, for all scorings; reading and tokenizing run in threads of their own, ahead of the model.

    Args:
        scorings: What takes each block.
        data: The data.
        on_rows: Called with the number of data rows just done, and of all of them where that is known.
    """
    blocks = Windows(data.blocks(), 1)

    def prepared() -> Iterator[tuple[int, list[_Prepared]]]:
        for (block,) in blocks:
            yield block.read, [scoring.prepare(block) for scoring in scorings]

    with closing(ahead(prepared(), stop=blocks.stop)) as stage:
        for read, parts in stage:
            for scoring, part in zip(scorings, parts, strict=True):
                scoring.add(part)
            on_rows(read, data.total_rows)


def _some(names: Iterable[str]) -> str:
    first = [repr(name) for name, _ in zip(names, range(6), strict=False)]
    return ", ".join(first[:5]) + (", …" if len(first) > 5 else "")
