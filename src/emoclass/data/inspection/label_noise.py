"""Rank rows whose label is probably wrong: a cheap model trained on the other rows disagrees with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoclass import runtime
from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.labels import shown_label
from emoclass.data.columns.naming import shortened
from emoclass.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import Pipeline

_SHOWN = 5
_FOLDS = 5
_MOST_FEATURES = 100_000


@dataclass(frozen=True)
class Suspect:
    """A row whose label is probably wrong.

    Attributes:
        row: 1-based data row.
        line: Line where the row starts; ``None`` for Parquet.
        text: The text.
        label: The label, or several joined by commas.
        suggestion: What the model predicts.
        quality: Normalized margin of the label, from 0 (wrong) to 1 (right).
    """

    row: int
    line: int | None
    text: str
    label: str
    suggestion: str
    quality: float


def require_packages() -> None:
    """Check that cleanlab is installed, before any work is done.

    Raises:
        ConfigError: cleanlab is not installed.
    """
    runtime.require_packages("--label-noise", "label-noise", "cleanlab")


def find_suspects(data: CleanData, *, seed: int = 0) -> list[Suspect]:
    """Return the rows whose label is probably wrong, the most suspicious first.

    Logistic regression on TF-IDF predicts each row without having been trained on it, and confident learning (cleanlab)
    distinguishes disagreement from uncertainty.

    Raises:
        ConfigError: cleanlab is not installed.
        DataError: A class has too few rows.
    """
    require_packages()
    import numpy as np

    names = data.label_set()
    targets = names.encode(data.labels)
    rows = np.bincount(targets) if names.task == "single" else targets.sum(axis=0)
    if rows.min() < _FOLDS:
        few = ", ".join(f"{shortened(names.names[i])} ({rows[i]})" for i in np.flatnonzero(rows < _FOLDS)[:_SHOWN])
        raise DataError(
            f"{data.name}: --label-noise needs at least {_FOLDS} rows of each class, but there are fewer of {few}: add"
            " rows, or leave these classes out"
        )
    find = _find_wrong if names.task == "single" else _find_wrong_sets
    try:
        found, quality, suggestions = find(data.texts, targets, seed)
    except ValueError as error:
        raise DataError(f"{data.name}: --label-noise: {error}") from error
    suspects = np.flatnonzero(found)
    return [
        Suspect(
            *data.origin(i),
            text=data.texts[i],
            label=shown_label(data.labels[i]),
            suggestion=", ".join(names.decode(suggestions[i])),
            quality=float(quality[i]),
        )
        for i in suspects[np.argsort(quality[suspects], kind="stable")].tolist()
    ]


def _find_wrong(
    texts: list[str], targets: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64], list[list[int]]]:
    """Return which class ids are probably wrong, the quality of each, and the ids to use instead."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    probabilities = cross_val_predict(_model(), texts, targets, cv=folds, method="predict_proba")
    found = find_label_issues(targets, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    quality = get_label_quality_scores(targets, probabilities, method="normalized_margin")
    return found, quality, [[int(row.argmax())] for row in probabilities]


def _find_wrong_sets(
    texts: list[str], targets: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64], list[list[int]]]:
    """Return the same for rows with any number of labels, each of which has a model of its own.

    Only rows to which another label clearly applies: that a weak model is sure of none says nothing.
    """
    import numpy as np
    from cleanlab.multilabel_classification import get_label_quality_scores
    from cleanlab.multilabel_classification.filter import find_label_issues
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.multiclass import OneVsRestClassifier

    folds = KFold(_FOLDS, shuffle=True, random_state=seed)
    model = OneVsRestClassifier(_model())
    probabilities = cross_val_predict(model, np.array(texts, dtype=object), targets, cv=folds, method="predict_proba")
    ids = [np.flatnonzero(row).tolist() for row in targets]
    found = find_label_issues(ids, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    quality = get_label_quality_scores(ids, probabilities, method="normalized_margin")
    likely = probabilities > 0.5
    return found & (likely & ~targets).any(axis=1), quality, [np.flatnonzero(row).tolist() for row in likely]


def _model() -> Pipeline:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = tfidf_vectorizer(min_df=2, max_features=_MOST_FEATURES)
    return make_pipeline(vectorizer, LogisticRegression(C=10.0, max_iter=300))


def tfidf_vectorizer(**settings: Any) -> TfidfVectorizer:
    """Return a vectorizer of words, including single letters, and word pairs, with further scikit-learn settings."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32, **settings
    )
