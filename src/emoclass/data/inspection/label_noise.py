"""Rank rows whose label is probably wrong: a cheap model trained on the other rows disagrees with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoclass import runtime
from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.labels import LabelSet
from emoclass.data.columns.naming import shortened
from emoclass.errors import DataError

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

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
        label: The label.
        suggestion: The label that the model predicts.
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
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    names = LabelSet.from_labels(data.labels, where=f"{data.name}: ")
    labels = names.encode(data.labels)
    rows = np.bincount(labels)
    if rows.min() < _FOLDS:
        few = ", ".join(f"{shortened(names.names[i])} ({rows[i]})" for i in np.flatnonzero(rows < _FOLDS)[:_SHOWN])
        raise DataError(
            f"{data.name}: --label-noise needs at least {_FOLDS} rows of each class, but there are fewer of {few}: add"
            " rows, or leave these classes out"
        )
    model = make_pipeline(
        tfidf_vectorizer(min_df=2, max_features=_MOST_FEATURES), LogisticRegression(C=10.0, max_iter=300)
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    try:
        probabilities = cross_val_predict(model, data.texts, labels, cv=folds, method="predict_proba")
    except ValueError as error:
        raise DataError(f"{data.name}: --label-noise: {error}") from error
    found = find_label_issues(labels, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    quality = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    rows = np.flatnonzero(found)
    return [
        Suspect(
            *data.origin(i),
            text=data.texts[i],
            label=data.labels[i],
            suggestion=names.names[int(probabilities[i].argmax())],
            quality=float(quality[i]),
        )
        for i in rows[np.argsort(quality[rows], kind="stable")].tolist()
    ]


def tfidf_vectorizer(**settings: Any) -> TfidfVectorizer:
    """Return a vectorizer of words, including single letters, and word pairs, with further scikit-learn settings."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32, **settings
    )
