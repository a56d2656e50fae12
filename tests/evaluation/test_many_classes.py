"""Hundreds of classes: reports stay short, pages small, and what is left out is said."""

import numpy as np
import pytest

from emoclass.evaluation.metrics import MATRIX_CLASSES, compute_metrics, confusion_matrix
from emoclass.evaluation.significance import bootstrap_intervals

NAMES = [f"class {n:03}" for n in range(300)]


def matrix_of(classes: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(classes), 4)
    predicted = np.where(rng.random(len(true)) < 0.6, true, rng.integers(0, classes, len(true)))
    return confusion_matrix(true, predicted, classes)


def test_the_matrix_of_many_classes_is_stored_by_its_cells() -> None:
    matrix = matrix_of(len(NAMES))
    values = compute_metrics(NAMES, matrix, 1.0).to_dict()
    assert values["confusion_matrix"] is None
    assert "confusion_matrix_normalized" not in values
    again = np.zeros_like(matrix)
    for cell in values["confusions"]:
        again[NAMES.index(cell["label"]), NAMES.index(cell["predicted"])] = cell["rows"]
    assert (again == matrix).all()
    few = compute_metrics(NAMES[:MATRIX_CLASSES], matrix_of(MATRIX_CLASSES), 1.0).to_dict()
    assert len(few["confusion_matrix"]) == len(few["confusion_matrix_normalized"]) == MATRIX_CLASSES


def test_the_interval_of_macro_f1_is_that_of_resampled_rows() -> None:
    matrix = matrix_of(6, seed=3) * 5
    found = bootstrap_intervals(matrix)["macro_f1"]
    rng = np.random.default_rng(1)
    scores = []
    for _ in range(2000):
        drawn = np.array([rng.multinomial(row.sum(), row / row.sum()) for row in matrix])
        scores.append(compute_metrics(NAMES[:6], drawn, 1.0).macro_f1)
    lower, upper = np.quantile(scores, [0.025, 0.975])
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=0.01)
