"""The baseline for any number of labels a text: TF-IDF with a linear SVM for each label, calibrated as the model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.encoders.bert.numpy_model import sigmoid
from emoclass.evaluation.baseline import C_VALUES, TfidfLinear, fit_tfidf
from emoclass.evaluation.multilabel_metrics import Bools, Counts, occurring
from emoclass.evaluation.thresholds import fit_calibration, fit_thresholds


@dataclass(frozen=True, eq=False)
class MultiLabelBaseline(TfidfLinear):
    """A linear classifier of each label on TF-IDF features, and the most frequent label; see ``TfidfLinear``.

    Attributes:
        thresholds: Probability from which on each label is predicted, ``float32[labels]``.
    """

    thresholds: npt.NDArray[np.float32]

    def predict(self, texts: Sequence[str]) -> Bools:
        """Return which labels each text gets, ``bool[texts, labels]``."""
        result: Bools = sigmoid(self.scores(texts).astype(np.float32)) >= self.thresholds
        return result


def fit_multilabel_baseline(
    texts: Sequence[str], truth: Bools, val_texts: Sequence[str], val_truth: Bools
) -> MultiLabelBaseline:
    """Fit a linear SVM for each label on TF-IDF of words and word pairs.

    On the validation set, its scores are calibrated, and thresholds and C are selected, as those of the model are.

    Args:
        texts: Training texts.
        truth: Which labels each has, ``bool[texts, labels]``.
        val_texts: Validation texts.
        val_truth: Which labels each of these has, ``bool[val_texts, labels]``.
    """
    counts = truth.sum(axis=0)
    vectorizer, features = fit_tfidf(texts)
    prior = np.log((counts + 0.5) / (len(truth) - counts + 0.5))
    candidates, terms, idf = [(np.zeros((len(counts), 0)), prior)], tuple[str, ...](), np.zeros(0)
    val_features: Any = np.zeros((len(val_texts), 0))
    if features is not None:
        terms, idf = tuple(vectorizer.get_feature_names_out().tolist()), vectorizer.idf_
        val_features = vectorizer.transform(val_texts)
        candidates = [_fit_svms(features, truth, prior, c) for c in C_VALUES]
    fitted, scores = [], []
    for weights, intercepts in candidates:
        logits = np.asarray(val_features @ weights.T) + intercepts
        slopes, offsets = fit_calibration(logits, val_truth)
        probabilities = sigmoid((logits * slopes + offsets).astype(np.float32))
        thresholds = fit_thresholds(probabilities, val_truth)
        arrays = (idf, weights * slopes[:, None], intercepts * slopes + offsets, thresholds)
        fitted.append(MultiLabelBaseline(int(counts.argmax()), terms, *(each.astype(np.float32) for each in arrays)))
        scores.append(float(Counts.of(val_truth, probabilities >= thresholds).macro_f1(occurring(val_truth))))
    return fitted[int(np.argmax(scores))]


def _fit_svms(
    features: Any, truth: Bools, prior: npt.NDArray[np.float64], c: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return weights, ``[labels, terms]``, and intercepts; a label of all texts or none has its prior alone."""
    from sklearn.svm import LinearSVC

    weights, intercepts = np.zeros((truth.shape[1], features.shape[1])), prior.copy()
    for label in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        svm = LinearSVC(C=c, random_state=0).fit(features, truth[:, label])
        weights[label], intercepts[label] = svm.coef_[0], svm.intercept_[0]
    return weights, intercepts
