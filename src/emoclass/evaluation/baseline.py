"""The baseline that BERT has to beat: TF-IDF with a linear SVM, fitted on the same texts and saved as plain arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emoclass.data.inspection.label_noise import tfidf_vectorizer
from emoclass.errors import ModelError

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from typing_extensions import Self

NAME = "TF-IDF + linear"
_MAX_FEATURES = 50_000
# Smaller training sets keep words that occur in a single text.
_SMALL_DATA = 2000
C_VALUES = (0.1, 1.0)


@dataclass(frozen=True, eq=False)
class TfidfLinear:
    """A linear function of TF-IDF features.

    Attributes:
        majority: Id of the most frequent class.
        terms: Words and word pairs; empty if no training text has a word.
        idf: Inverse document frequency of each term, ``float32[terms]``.
        weights: Weights of the terms, ``float32[classes, terms]``.
        intercepts: Intercepts, ``float32[classes]``.
    """

    majority: int
    terms: tuple[str, ...]
    idf: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    intercepts: npt.NDArray[np.float32]

    def scores(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Return the score of each class, ``[texts, classes]``."""
        if not self.terms:
            return np.tile(self.intercepts, (len(texts), 1))
        return np.asarray(self._vectorizer.transform(texts) @ self.weights.T + self.intercepts)

    @cached_property
    def _vectorizer(self) -> TfidfVectorizer:
        vectorizer = tfidf_vectorizer(vocabulary={term: number for number, term in enumerate(self.terms)})
        vectorizer.idf_ = self.idf
        return vectorizer

    @classmethod
    def _arrays(cls) -> list[str]:
        return [field.name for field in fields(cls) if field.name not in ("majority", "terms")]

    def save(self, directory: Path, stem: str) -> None:
        """Write ``stem``.json and ``stem``.safetensors."""
        from safetensors.numpy import save

        document = {"majority": self.majority, "terms": list(self.terms)}
        (directory / f"{stem}.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        contiguous = {name: np.ascontiguousarray(getattr(self, name)) for name in self._arrays()}
        (directory / f"{stem}.safetensors").write_bytes(save(contiguous))

    @classmethod
    def load(cls, directory: Path, stem: str, classes: int) -> Self | None:
        """Read the files that ``save`` wrote, or return ``None`` if there are none.

        Raises:
            ModelError: A file is damaged, or the files do not fit together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = directory / f"{stem}.json"
        if not path.exists():
            return None
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            arrays = load_file(directory / f"{stem}.safetensors")
            baseline = cls(int(document["majority"]), tuple(document["terms"]), **arrays)
            shapes = {name: getattr(baseline, name).shape for name in cls._arrays()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise ModelError(f"{path}: the baseline cannot be read: {error}; train the model again") from None
        terms = len(baseline.terms)
        expected = dict.fromkeys(shapes, (classes,)) | {"idf": (terms,), "weights": (classes, terms)}
        if shapes != expected or not 0 <= baseline.majority < classes:
            raise ModelError(f"{path}: the parts of the baseline do not fit together; train the model again")
        return baseline


class Baseline(TfidfLinear):
    """A linear classifier on TF-IDF features, and the majority class; see ``TfidfLinear``."""

    def predict(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the label id of each text, ``int64[texts]``."""
        if not self.terms:
            return np.full(len(texts), self.majority)
        result: npt.NDArray[np.int64] = self.scores(texts).argmax(axis=1)
        return result


def fit_baseline(
    texts: Sequence[str],
    labels: npt.NDArray[np.int64],
    val_texts: Sequence[str],
    val_labels: npt.NDArray[np.int64],
    classes: int,
) -> Baseline:
    """Fit a linear SVM on TF-IDF of words and word pairs; its C is selected on the validation set.

    Args:
        texts: Training texts.
        labels: Their label ids, ``int64[texts]``; every class occurs.
        val_texts: Validation texts.
        val_labels: Their label ids, ``int64[val_texts]``.
        classes: Number of classes, at least two.
    """
    from sklearn.svm import LinearSVC

    counts = np.bincount(labels, minlength=classes)
    vectorizer, features = fit_tfidf(texts)
    if features is None:
        idf, weights, intercepts = (np.zeros(shape, np.float32) for shape in (0, (classes, 0), classes))
        return Baseline(int(counts.argmax()), (), idf, weights, intercepts)
    val_features = vectorizer.transform(val_texts)
    candidates = [LinearSVC(C=c, random_state=0).fit(features, labels) for c in C_VALUES]
    best = max(candidates, key=lambda candidate: float((candidate.predict(val_features) == val_labels).mean()))
    weights, intercepts = best.coef_, best.intercept_
    if classes == 2:  # scikit-learn has a single row, for the second class
        weights, intercepts = np.concatenate([-weights, weights]), np.concatenate([-intercepts, intercepts])
    return Baseline(
        majority=int(counts.argmax()),
        terms=tuple(vectorizer.get_feature_names_out().tolist()),
        idf=vectorizer.idf_.astype(np.float32),
        weights=weights.astype(np.float32),
        intercepts=np.asarray(intercepts, dtype=np.float32),
    )


def fit_tfidf(texts: Sequence[str]) -> tuple[TfidfVectorizer, Any]:
    """Return a vectorizer of words and word pairs, and the features of its texts; ``None`` if no text has a word."""
    vectorizer = tfidf_vectorizer(min_df=1 if len(texts) < _SMALL_DATA else 2, max_features=_MAX_FEATURES)
    try:
        return vectorizer, vectorizer.fit_transform(texts)
    except ValueError:
        return vectorizer, None
