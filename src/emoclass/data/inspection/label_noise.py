"""Rows whose label is probably wrong, ranked: what a cheap model, trained on the other rows, disagrees with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoclass import runtime
from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.labels import LabelSet
from emoclass.errors import DataError

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

_FOLDS = 5
_MOST_FEATURES = 100_000


@dataclass(frozen=True)
class Suspect:
    """A row whose label is probably wrong.

    Attributes:
        row: 1-based data row.
        line: Line where the row starts; ``None`` for Parquet.
        text: its text.
        label: the label it has.
        suggestion: what the model takes for more probable.
        quality: probability that the label is right, as far as the model can tell.
    """

    row: int
    line: int | None
    text: str
    label: str
    suggestion: str
    quality: float


def require_packages() -> None:
    """Refuses before the work rather than after it.

    Raises:
        ConfigError: cleanlab is not installed.
    """
    runtime.require_packages("--label-noise", "label-noise", "cleanlab")


def find_suspects(data: CleanData, *, seed: int = 0) -> list[Suspect]:
    """Return the rows whose label is probably wrong, the most suspicious first.

    TF-IDF with logistic regression gives each row a prediction by a model that did not see it, and confident learning
    (cleanlab) tells disagreement from uncertainty.

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
    if np.bincount(labels).min() < _FOLDS:
        raise DataError(f"{data.name}: --label-noise needs at least {_FOLDS} rows of each class")
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
    """A vectorizer of words, single letters too, and pairs of them; more settings are those of scikit-learn."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32, **settings
    )
