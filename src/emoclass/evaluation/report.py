"""A classifier against labelled data, with all that makes the numbers less than they seem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.data.cleaning import CleanData
from emoclass.data.folding import text_hashes
from emoclass.errors import DataError
from emoclass.evaluation.metrics import Metrics, compute_metrics
from emoclass.inference.predictor import Classifier

_WINDOW = 4096


@dataclass(frozen=True)
class Evaluation:
    """Scores on one set of data.

    Attributes:
        source: Name of the data.
        metrics: Scores over the rows whose label the model knows.
        removed_rows: Rows that cleaning took out, by reason.
        unknown_labels: Labels that the model does not know, with their rows; left out of the scores.
        seen_in_training: Rows whose text also stood in the training part.
        accuracy_unseen: Accuracy without those rows; ``None`` if there are no others.
        truncated: Rows longer than the length limit.
    """

    source: str
    metrics: Metrics
    removed_rows: dict[str, int]
    unknown_labels: dict[str, int]
    seen_in_training: int
    accuracy_unseen: float | None
    truncated: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the metrics, and beside them what qualifies them."""
        return {
            "source": self.source,
            **self.metrics.to_dict(),
            "absent_labels": list(self.metrics.absent_labels),
            "unknown_labels": self.unknown_labels,
            "removed_rows": self.removed_rows,
            "seen_in_training": self.seen_in_training,
            "accuracy_unseen": self.accuracy_unseen,
            "truncated": self.truncated,
        }


def evaluate_classifier(
    classifier: Classifier,
    data: CleanData,
    *,
    training_hashes: npt.NDArray[np.int64],
    on_texts: Callable[[int], None] = lambda texts: None,
) -> Evaluation:
    """Scores of a classifier on cleaned, labelled data.

    Args:
        classifier: The classifier.
        data: The data.
        training_hashes: What ``text_hashes`` gave for the training part.
        on_texts: Called with the number of texts just done.

    Raises:
        DataError: The classifier knows none of the labels.
    """
    ids = {label: number for number, label in enumerate(classifier.labels)}
    known = [row for row, label in enumerate(data.labels) if label in ids]
    unknown = Counter(label for label in data.labels if label not in ids)
    if not known:
        raise DataError(
            f"{data.name}: none of its labels ({_some(list(unknown))}) is known to the model "
            f"({_some(list(classifier.labels))}); evaluate with data of the same classes, or name --label-column"
        )
    texts = [data.texts[row] for row in known]
    true = np.array([ids[data.labels[row]] for row in known], dtype=np.int64)
    probabilities = np.empty((len(texts), len(ids)), dtype=np.float32)
    truncated = 0
    for start in range(0, len(texts), _WINDOW):
        tokenized = classifier.tokenizer(texts[start : start + _WINDOW])
        probabilities[start : start + _WINDOW] = classifier.logits(tokenized).softmax(-1).numpy()
        truncated += int(tokenized.truncated.sum())
        on_texts(len(tokenized))
    seen = np.isin(text_hashes(texts), training_hashes)
    correct = probabilities.argmax(axis=1) == true
    return Evaluation(
        source=data.name,
        metrics=compute_metrics(classifier.labels, true, probabilities),
        removed_rows=data.removed_counts,
        unknown_labels=dict(unknown),
        seen_in_training=int(seen.sum()),
        accuracy_unseen=None if seen.all() else float(correct[~seen].mean()),
        truncated=truncated,
    )


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
