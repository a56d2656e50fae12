"""Classifiers: from texts to labels with confidences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from emoclass.encoders.bert.numpy_model import sigmoid, softmax
from emoclass.encoders.tokenization import HeadTailTokenizer, TokenizedTexts
from emoclass.errors import ConfigError
from emoclass.inference.engines import Engine, TorchEngine
from emoclass.inference.inputs import require_text, text_windows
from emoclass.inference.thresholds import Thresholds

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

Floats = npt.NDArray[np.float32]

# Texts that are sorted by length and computed together: enough for batches of similar lengths.
WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one text. A blank text has the label ``""``, confidence 0 and an empty ``top_k``.

    Attributes:
        label: The most probable class.
        confidence: Its probability, 0 to 1.
        top_k: The most probable classes with their probabilities, best first.
        truncated: Whether the text was above the length limit.
        unknown: Whether most of its tokens are not in the vocabulary.
    """

    label: str
    confidence: float
    top_k: tuple[tuple[str, float], ...]
    truncated: bool
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class MultiLabelPrediction:
    """The prediction for one text of any number of labels. A blank text has none, and an empty ``top_k``.

    Attributes:
        labels: The labels whose probability reaches their threshold, the most probable first.
        confidences: Their probabilities, 0 to 1.
        top_k: The most probable labels with their probabilities, best first, whatever their thresholds.
        truncated: Whether the text was above the length limit.
        unknown: Whether most of its tokens are not in the vocabulary.
    """

    labels: tuple[str, ...]
    confidences: tuple[float, ...]
    top_k: tuple[tuple[str, float], ...]
    truncated: bool
    unknown: bool = False


P = TypeVar("P", Prediction, MultiLabelPrediction)


class TextClassifier(ABC, Generic[P]):
    """What all classifiers have in common.

    Args:
        engine: What computes the logits.
        tokenizer: The tokenizer.
        labels: Class names by class id.
    """

    def __init__(self, engine: Engine, tokenizer: HeadTailTokenizer, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.tokenizer = tokenizer
        self._engine = engine

    @abstractmethod
    def _with_engine(self, engine: Engine) -> Self:
        """Return the same classifier with another engine."""

    @abstractmethod
    def _probabilities(self, logits: Floats) -> Floats:
        """Return the probabilities of all classes, ``float32[texts, classes]`` from logits of this shape."""

    @abstractmethod
    def _prediction(self, probabilities: Floats, ranked: tuple[tuple[str, float], ...], truncated: bool) -> P:
        """Return the prediction of one text from the probabilities of all classes and the best of them."""

    @abstractmethod
    def _blank(self) -> P:
        """Return the prediction of a blank text."""

    @abstractmethod
    def at(self, thresholds: Thresholds) -> Self:
        """Return the classifier with these thresholds in place of its own.

        Raises:
            ConfigError: It does not have one of the labels, or predicts one label a text.
        """

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """Return the classifier on another device or in another precision; this one must not be used any more.

        Raises:
            ConfigError: It was not loaded with ``engine="torch"``.
        """
        if not isinstance(self._engine, TorchEngine):
            raise ConfigError('only a classifier that was loaded with engine="torch" can move to another device')
        return self._with_engine(self._engine.to(device, dtype))

    def predict(self, texts: Iterable[str], *, top_k: int = 1) -> Iterator[P]:
        """Predict texts lazily and in order; texts are read and computed in windows.

        Args:
            texts: Any iterable of strings: a list, a generator, a column of a table.
            top_k: Number of most probable classes in a prediction.

        Returns:
            An iterator of predictions.

        Raises:
            ConfigError: ``top_k`` is less than 1.
            TypeError: ``texts`` is a single string or a table; or a text is not a string, after the predictions of
                those before it.
            ValueError: A text has a lone surrogate, likewise.
        """
        if top_k < 1:
            raise ConfigError(f"--top-k {top_k} is less than 1")
        return self._predict(text_windows(texts, WINDOW, "predict"), top_k)

    def _predict(self, windows: Iterator[list[str]], top_k: int) -> Iterator[P]:
        for window in windows:
            yield from self.predict_tokenized(window, self.tokenizer(window), top_k=top_k)

    def predict_proba(self, texts: Iterable[str]) -> Floats:
        """Return the probabilities of all classes, ``float32[texts, classes]``, columns in the order of ``labels``.

        Args:
            texts: Any iterable of strings, as for ``predict``.

        Raises:
            TypeError: ``texts`` is a single string or a table, or a text is not a string.
            ValueError: A text has a lone surrogate.
        """
        checked = [text for window in text_windows(texts, WINDOW, "predict_proba") for text in window]
        return self._probabilities(self.logits(self.tokenizer(checked)))

    def predict_tokenized(
        self,
        texts: Sequence[str],
        tokenized: TokenizedTexts,
        *,
        top_k: int = 1,
        waiting: Callable[[], int] = lambda: 0,
    ) -> Iterator[P]:
        """Predict texts that are already tokenized; see ``predict``.

        Args:
            texts: The texts.
            tokenized: Their tokens.
            top_k: Number of most probable classes in a prediction.
            waiting: Returns how many more texts are known to follow.
        """
        tokens, unknown = self.tokenizer.count_tokenized(tokenized)
        is_unknown = 2 * unknown > tokens
        probabilities = self._probabilities(self._engine.logits(tokenized, waiting()))
        # The sort is stable, so that ties are in the order of the classes.
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        for row, text in enumerate(texts):
            if not text.strip():
                yield self._blank()
                continue
            ranked = tuple((self.labels[i], float(probabilities[row, i])) for i in best[row])
            prediction = self._prediction(probabilities[row], ranked, bool(tokenized.truncated[row]))
            yield replace(prediction, unknown=True) if is_unknown[row] else prediction

    def logits(self, tokenized: TokenizedTexts) -> Floats:
        """Return the logits of tokenized texts, ``float32[texts, classes]``."""
        return self._engine.logits(tokenized)


class Classifier(TextClassifier[Prediction]):
    """A trained classifier of one label a text.

    Args:
        engine: What computes its logits.
        tokenizer: Its tokenizer.
        labels: Class names by class id.
    """

    def predict_text(self, text: str) -> tuple[str, float]:
        """Return the most probable label of one text, and its probability."""
        require_text(text, "predict_text")
        prediction = next(self.predict([text]))
        return prediction.label, prediction.confidence

    def at(self, thresholds: Thresholds) -> Classifier:
        """Return the classifier itself; raise a ``ConfigError`` if there are thresholds."""
        thresholds.of(self.labels, "single")
        return self

    def _with_engine(self, engine: Engine) -> Classifier:
        return Classifier(engine, self.tokenizer, self.labels)

    def _probabilities(self, logits: Floats) -> Floats:
        return softmax(logits)

    def _prediction(self, probabilities: Floats, ranked: tuple[tuple[str, float], ...], truncated: bool) -> Prediction:
        return Prediction(*ranked[0], ranked, truncated)

    def _blank(self) -> Prediction:
        return Prediction("", 0.0, (), False)


class MultiLabelClassifier(TextClassifier[MultiLabelPrediction]):
    """A trained classifier of any number of labels a text.

    Args:
        engine: What computes its logits.
        tokenizer: Its tokenizer.
        labels: Names of the labels by id.
        thresholds: Probability from which on each label is predicted.
    """

    def __init__(
        self, engine: Engine, tokenizer: HeadTailTokenizer, labels: Sequence[str], thresholds: Sequence[float]
    ) -> None:
        super().__init__(engine, tokenizer, labels)
        self.thresholds: Floats = np.asarray(thresholds, dtype=np.float32)

    def with_thresholds(self, thresholds: float | Mapping[str, float]) -> MultiLabelClassifier:
        """Return the classifier with another threshold for all labels, or others for some.

        Raises:
            ConfigError: It does not have one of the labels, or a threshold is not between 0 and 1.
        """
        return self.at(Thresholds.given(thresholds))

    def at(self, thresholds: Thresholds) -> MultiLabelClassifier:
        """Return the classifier with these thresholds; see ``with_thresholds``."""
        own = dict(zip(self.labels, self.thresholds.tolist(), strict=True))
        changed = {**own, **thresholds.of(self.labels, "multi")}
        return MultiLabelClassifier(self._engine, self.tokenizer, self.labels, [*changed.values()])

    def predict_text(self, text: str) -> tuple[tuple[str, float], ...]:
        """Return the labels of one text with their probabilities, the most probable first."""
        require_text(text, "predict_text")
        prediction = next(self.predict([text]))
        return tuple(zip(prediction.labels, prediction.confidences, strict=True))

    def _with_engine(self, engine: Engine) -> MultiLabelClassifier:
        return MultiLabelClassifier(engine, self.tokenizer, self.labels, self.thresholds.tolist())

    def _probabilities(self, logits: Floats) -> Floats:
        return sigmoid(logits)

    def _prediction(
        self, probabilities: Floats, ranked: tuple[tuple[str, float], ...], truncated: bool
    ) -> MultiLabelPrediction:
        chosen = np.flatnonzero(probabilities >= self.thresholds)
        chosen = chosen[np.argsort(-probabilities[chosen], kind="stable")]
        labels = tuple(self.labels[i] for i in chosen)
        return MultiLabelPrediction(labels, tuple(probabilities[chosen].tolist()), ranked, truncated)

    def _blank(self) -> MultiLabelPrediction:
        return MultiLabelPrediction((), (), (), False)


AnyClassifier = Classifier | MultiLabelClassifier
AnyPrediction = Prediction | MultiLabelPrediction
