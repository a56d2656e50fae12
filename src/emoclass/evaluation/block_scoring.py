"""What scoring of labelled texts block by block has in common, whatever the number of labels of a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from emoclass.data.cleaning.cleaning import Block
from emoclass.data.cleaning.stream import predict_command
from emoclass.data.columns.labels import Label, meant
from emoclass.data.columns.naming import listed_labels
from emoclass.data.similarity.folding import HashSet, bare_hashes, text_hashes
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.errors import DataError
from emoclass.inference.classifiers import AnyClassifier
from emoclass.inference.threads import Windows, ahead

# Wrong predictions to keep with their texts: as many as an HTML report shows.
KEPT_MISTAKES = 500


class LabelledData(Protocol):
    """Cleaned, labelled rows, in memory or read on demand."""

    @property
    def name(self) -> str:
        """Name of the data in messages."""

    @property
    def total_rows(self) -> int | None:
        """Number of data rows before cleaning, or ``None`` if unknown."""

    @property
    def removed_counts(self) -> dict[str, int]:
        """Rows that cleaning removed so far, by reason."""

    def blocks(self) -> Iterator[Block]:
        """Yield the remaining rows in order."""


@dataclass(frozen=True, eq=False)
class PreparedBlock:
    """The rows of a block whose label the classifier knows, tokenized.

    Attributes:
        texts: The texts.
        numbers: 1-based data rows, ``int64[rows]``.
        true: True label ids, ``int32[rows]``; with any number of labels, which each has, ``bool[rows, labels]``.
        tokenized: Their tokens.
        baseline: What the baseline predicts, ``int64[rows]`` or ``bool[rows, labels]``; empty without one.
        seen: Whether a text is a training text, apart from punctuation, ``bool[rows]``.
    """

    texts: list[str]
    numbers: npt.NDArray[np.int64]
    true: npt.NDArray[Any]
    tokenized: TokenizedTexts
    baseline: npt.NDArray[Any]
    seen: npt.NDArray[np.bool_]


class HasLoss(Protocol):
    """A mistake of any kind."""

    @property
    def loss(self) -> float:
        """Loss of the text, in nats."""


class PredictsTexts(Protocol):
    """A baseline of any kind."""

    def predict(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Return what each text is predicted as."""


M = TypeVar("M", bound=HasLoss)
R = TypeVar("R")
_Columns = TypeVar("_Columns")


class BlockScoring(ABC, Generic[M, R]):
    """Accumulates the predictions of a classifier on blocks of labelled texts.

    Args:
        classifier: The classifier.
        training_hashes: Output of ``training_hashes`` for the classifier's training texts.
        baseline: Baseline with the same classes.
        logits_of: Function to compute the classifier's logits; ``classifier.logits`` by default.
        kept_mistakes: Number of wrong predictions to keep with their texts.

    Attributes:
        on_scored: Called with the texts and rows of each block.
        unknown_labels: Labels that the classifier does not know, with their number of rows.
        mistakes: The wrong predictions with the highest loss, in descending order.
        seen: Number of rows whose text is a training text, apart from punctuation.
    """

    def __init__(
        self,
        classifier: AnyClassifier,
        *,
        training_hashes: npt.NDArray[np.int64],
        baseline: PredictsTexts | None = None,
        logits_of: Callable[[TokenizedTexts], npt.NDArray[np.float32]] | None = None,
        kept_mistakes: int = KEPT_MISTAKES,
    ) -> None:
        self.classifier, self.labels = classifier, classifier.labels
        self.on_scored: Callable[[Sequence[str], R], None] = lambda texts, rows: None
        self.unknown_labels: Counter[str] = Counter()
        self.mistakes: list[M] = []
        self.seen = 0
        self._ids = {label: number for number, label in enumerate(classifier.labels)}
        self._training = HashSet(training_hashes)
        self._predicted_by_baseline = baseline and baseline.predict
        self._logits_of = logits_of or classifier.logits
        self._kept_mistakes = kept_mistakes
        self._columns: dict[str, list[npt.NDArray[Any]]] = {}

    @abstractmethod
    def _known(self, labels: list[Label]) -> tuple[list[int], npt.NDArray[Any]]:
        """Return the positions of the rows to score, and what is true of them; counts labels that are not known."""

    @abstractmethod
    def add(self, block: PreparedBlock) -> None:
        """Predict the rows of a block."""

    @abstractmethod
    def columns(self, texts: Sequence[str], rows: R, *, lists: bool) -> dict[str, Sequence[object]]:
        """Return what a file of predictions has of rows, by name; ``lists`` says whether its cells can be lists."""

    def prepare(self, block: Block) -> PreparedBlock:
        """Do the part of the work that does not need the model; may run in another thread, ahead of ``add``."""
        known, true = self._known(block.labels)
        texts = [block.texts[i] for i in known]
        baseline = self._predicted_by_baseline
        return PreparedBlock(
            texts=texts,
            numbers=block.rows[known],
            true=true,
            tokenized=self.classifier.tokenizer(texts),
            baseline=baseline(texts) if baseline and texts else np.zeros(0, np.int64),
            # Models of earlier versions hold the hashes of folded texts only.
            seen=self._training.find(text_hashes(texts)) | self._training.find(bare_hashes(texts)),
        )

    def _keep(self, *tables: object) -> None:
        """Keep the columns of a block."""
        for table in tables:
            for name, column in vars(table).items():
                self._columns.setdefault(name, []).append(column)

    def _joined(self, kind: type[_Columns]) -> _Columns:
        # One column after the other, so that only one of them is in memory twice.
        return kind(**{field.name: np.concatenate(self._columns.pop(field.name)) for field in fields(kind)})  # type: ignore[arg-type]

    def _keep_mistakes(
        self, wrong: npt.NDArray[np.bool_], losses: npt.NDArray[np.float64], mistake: Callable[[int], M]
    ) -> None:
        """Keep the worst of the wrong rows of a block, which ``mistake`` makes of their positions."""
        rows = np.flatnonzero(wrong)
        worst = rows[np.argsort(-losses[rows], kind="stable")][: self._kept_mistakes]
        new = [mistake(i) for i in worst.tolist()]
        self.mistakes = sorted([*self.mistakes, *new], key=lambda mistake: -mistake.loss)[: self._kept_mistakes]

    def _none_known(self, name: str) -> DataError:
        """Return the error for data of which the classifier knows no label."""
        unknown, known = listed_labels(self.unknown_labels, most=5), listed_labels(self._ids, most=5)
        message = (
            f"{name}: the model knows none of its labels ({unknown}), only {known}"
            f"{meant(self.unknown_labels, self._ids)}; evaluate on data with the same classes, or set"
            " --label-column"
        )
        if Path(name).is_file():  # some other column may have been taken for labels that are kept back
            message += f"; if it has no labels, predict it with the same --model: {predict_command([name])}"
        return DataError(message)


def score_blocks(
    scorings: Sequence[BlockScoring[Any, Any]], data: LabelledData, on_rows: Callable[[int, int | None], None]
) -> None:
    """Read the data once for all scorings; threads read and tokenize ahead of the model.

    Args:
        scorings: Scorings to add each block to.
        data: Cleaned, labelled rows.
        on_rows: Called after each block with its number of data rows and the total, which may be unknown.
    """
    blocks = Windows(data.blocks(), 1)

    def prepared() -> Iterator[tuple[int, list[PreparedBlock]]]:
        for (block,) in blocks:
            yield block.read, [scoring.prepare(block) for scoring in scorings]

    with closing(ahead(prepared(), stop=blocks.stop)) as stage:
        for read, prepared_blocks in stage:
            for scoring, block in zip(scorings, prepared_blocks, strict=True):
                scoring.add(block)
            on_rows(read, data.total_rows)
