"""What BERT has to beat: TF-IDF with a linear model, fitted on the same texts and kept as plain arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emoclass.data.inspection.label_noise import tfidf_vectorizer
from emoclass.errors import ModelError

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

NAME = "TF-IDF + linear"
_MOST_FEATURES = 50_000
# In fewer texts, words that occur once count as well.
_FEW_TEXTS = 2000
_STRENGTHS = (0.1, 1.0)


@dataclass(frozen=True, eq=False)
class Baseline:
    """Word and word pair weights for each class, and the class that is most frequent.

    Attributes:
        majority: Number of the most frequent class.
        terms: Words and word pairs.
        idf: Inverse document frequency of each, ``float32[terms]``.
        weights: ``float32[classes, terms]``.
        intercepts: ``float32[classes]``.
    """

    majority: int
    terms: tuple[str, ...]
    idf: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    intercepts: npt.NDArray[np.float32]

    def predict(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """The class number of each text, ``int64[texts]``."""
        if not self.terms:
            return np.full(len(texts), self.majority)
        scores = self._vectorizer.transform(texts) @ self.weights.T + self.intercepts
        result: npt.NDArray[np.int64] = np.asarray(scores).argmax(axis=1)
        return result

    @cached_property
    def _vectorizer(self) -> TfidfVectorizer:
        vectorizer = tfidf_vectorizer(vocabulary={term: number for number, term in enumerate(self.terms)})
        vectorizer.idf_ = self.idf
        return vectorizer

    def save(self, directory: Path, stem: str) -> None:
        """Writes ``stem``.json and ``stem``.safetensors."""
        from safetensors.numpy import save

        document = {"majority": self.majority, "terms": list(self.terms)}
        (directory / f"{stem}.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        arrays = {"idf": self.idf, "weights": self.weights, "intercepts": self.intercepts}
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        (directory / f"{stem}.safetensors").write_bytes(save(contiguous))

    @classmethod
    def load(cls, directory: Path, stem: str, classes: int) -> Baseline | None:
        """Reads what ``save`` wrote; ``None`` if there is nothing.

        Raises:
            ModelError: The files do not fit together.
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
            shapes = (baseline.idf.shape, baseline.weights.shape, baseline.intercepts.shape)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(f"{path}: the baseline cannot be read: {error}; train the model again") from None
        terms = len(baseline.terms)
        if shapes != ((terms,), (classes, terms), (classes,)) or not 0 <= baseline.majority < classes:
            raise ModelError(f"{path}: the parts of the baseline do not fit together; train the model again")
        return baseline


def fit_baseline(
    texts: Sequence[str],
    labels: npt.NDArray[np.int64],
    val_texts: Sequence[str],
    val_labels: npt.NDArray[np.int64],
    classes: int,
) -> Baseline:
    """Fits TF-IDF of words and word pairs and a linear support vector machine, its strength chosen by validation.

    Args:
        texts: Training texts.
        labels: Their class numbers, ``int64[texts]``; every class occurs.
        val_texts: Texts to choose by.
        val_labels: Their class numbers.
        classes: Number of classes, at least two.
    """
    from sklearn.svm import LinearSVC

    counts = np.bincount(labels, minlength=classes)
    vectorizer = tfidf_vectorizer(min_df=1 if len(texts) < _FEW_TEXTS else 2, max_features=_MOST_FEATURES)
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # no text has a word
        empty = np.zeros(0, np.float32)
        nothing = np.zeros(classes, np.float32)
        return Baseline(int(counts.argmax()), (), empty, np.zeros((classes, 0), np.float32), nothing)
    val_features = vectorizer.transform(val_texts)
    candidates = [LinearSVC(C=strength, random_state=0).fit(features, labels) for strength in _STRENGTHS]
    best = max(candidates, key=lambda candidate: float((candidate.predict(val_features) == val_labels).mean()))
    weights, intercepts = best.coef_, best.intercept_
    if classes == 2:  # one row tells the second class from the first
        weights, intercepts = np.concatenate([-weights, weights]), np.concatenate([-intercepts, intercepts])
    return Baseline(
        majority=int(counts.argmax()),
        terms=tuple(vectorizer.get_feature_names_out().tolist()),
        idf=vectorizer.idf_.astype(np.float32),
        weights=weights.astype(np.float32),
        intercepts=np.asarray(intercepts, dtype=np.float32),
    )
