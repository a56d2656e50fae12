"""TF-IDF of words and word pairs: what cheap models read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer


def tfidf_vectorizer(**settings: Any) -> TfidfVectorizer:
    """A vectorizer of words, single letters too, and pairs of them; more settings are those of scikit-learn."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32, **settings
    )
