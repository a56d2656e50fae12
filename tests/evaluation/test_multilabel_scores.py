"""Intervals, tests and calibration of any number of labels hold what they promise, and unknown labels are counted."""

from typing import Any, cast

import numpy as np
import pytest
from sklearn.metrics import log_loss

from emoclass.data.cleaning.cleaning import Block
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.evaluation.calibration import expected_calibration_error, reliability
from emoclass.evaluation.multilabel_calibration import CALIBRATED_ROWS, measured_calibration
from emoclass.evaluation.multilabel_metrics import average_precisions, binary_losses
from emoclass.evaluation.multilabel_report import evaluate_multilabel
from emoclass.evaluation.multilabel_scoring import MultiLabelScoring
from emoclass.evaluation.multilabel_significance import multilabel_intervals, randomization_tests
from emoclass.evaluation.thresholds import without_calibration
from emoclass.inference.classifiers import MultiLabelClassifier

LABELS = ("anger", "fear", "joy", "love")


def test_the_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, probabilities = rng.random((50, 4)) < 0.3, (0.01 + 0.98 * rng.random((50, 4))).astype(np.float32)
    exact = [log_loss(truth[:, i], probabilities[:, i].astype(float), labels=[False, True]) for i in range(4)]
    assert binary_losses(probabilities, truth).mean() == pytest.approx(np.mean(exact), rel=1e-6)


def test_many_texts_are_ranked_like_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 9, (60, 5)), rng.random((60, 5)) < 0.4
    whole = average_precisions(scores, truth)
    monkeypatch.setattr("emoclass.evaluation.multilabel_metrics._MAX_CELLS", 35)
    np.testing.assert_array_equal(average_precisions(scores, truth), whole)


def made(texts: int, seed: int, *, noise: float = 0.8) -> tuple[Any, Any, Any]:
    """The truth of a frequent, a rare and a very rare label, and the predictions of two equally good classifiers."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(texts, 3)) * 1.5 + [-0.5, -2.0, -4.0]
    truth = rng.random((texts, 3)) < 1 / (1 + np.exp(-signal))
    first, second = (signal + noise * rng.normal(size=signal.shape) > -1 for _ in range(2))
    return truth, first, second


def resampled_scores(truth: Any, predicted: Any, *, draws: int = 500) -> dict[str, Any]:
    """Scores of plain resamples of the texts."""
    rng, occurs = np.random.default_rng(1), truth.any(axis=0)
    found: dict[str, list[Any]] = {"micro_f1": [], "macro_f1": [], "subset_accuracy": [], "per_label": []}
    for _ in range(draws):
        chosen = rng.integers(0, len(truth), len(truth))
        true, own = truth[chosen], predicted[chosen]
        hits, both = (true & own).sum(axis=0), true.sum(axis=0) + own.sum(axis=0)
        f1 = 2 * hits / np.maximum(both, 1)
        found["micro_f1"].append(2 * hits.sum() / both.sum())
        found["macro_f1"].append(f1[occurs].mean())
        found["subset_accuracy"].append((true == own).all(axis=1).mean())
        found["per_label"].append(f1)
    return {name: np.quantile(values, [0.025, 0.975], axis=0) for name, values in found.items()}


@pytest.mark.parametrize("units", [10_000, 400], ids=["texts", "groups of texts"])
def test_intervals_are_those_of_plain_resamples(units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emoclass.evaluation.multilabel_significance._MAX_UNITS", units)
    truth, predicted, _ = made(2000, 0)
    intervals, per_label = multilabel_intervals(truth, predicted)
    expected = resampled_scores(truth, predicted)
    for name, interval in intervals.items():
        width = expected[name][1] - expected[name][0]
        assert [interval.lower, interval.upper] == pytest.approx(expected[name], abs=0.25 * width), name
    for number, each in enumerate(per_label):
        assert each is not None
        bounds = expected["per_label"][:, number]
        assert [each.lower, each.upper] == pytest.approx(bounds, abs=0.3 * (bounds[1] - bounds[0]))


def test_equally_good_classifiers_seldom_differ_significantly() -> None:
    tests = [randomization_tests(*made(300, seed), seed=seed) for seed in range(100)]
    for metric in ("micro_f1", "macro_f1"):
        assert sum(test[metric].significant for test in tests) <= 11  # of 5 that are expected: exceeded once in 200


def test_calibration_is_measured_for_each_label_before_and_after() -> None:
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(4000, 2)) * 2 - 1).astype(np.float32)
    truth = rng.random((4000, 2)) < 1 / (1 + np.exp(-logits))
    truth[CALIBRATED_ROWS - 1 :, 1] = False
    slopes, offsets = np.array([0.5, 2.0]), np.array([1.0, -1.0])
    before = (1 / (1 + np.exp(-(logits - offsets) / slopes))).astype(np.float32)
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    found = measured_calibration(probabilities, truth, (slopes, offsets))
    ece = [expected_calibration_error(reliability(p[:, 0], truth[:, 0])) for p in (probabilities, before)]
    assert found.errors[0] == ece[0] < 0.03
    assert found.errors_before[0] == pytest.approx(ece[1], abs=1e-3)
    assert (found.mean, found.mean_before, found.labels) == (found.errors[0], found.errors_before[0], 1)
    certain = without_calibration(np.array([0, 1], dtype=np.float32), 0.5, 1.0)
    assert certain.tolist() == pytest.approx([0, 1])


class TextBlindClassifier:
    """A classifier whose logits do not depend on the texts."""

    labels = LABELS
    thresholds = np.full(len(LABELS), 0.5, dtype=np.float32)

    def tokenizer(self, texts: list[str]) -> TokenizedTexts:
        offsets = np.arange(len(texts) + 1)
        return TokenizedTexts(np.ones(len(texts), np.int32), offsets, np.zeros(len(texts), np.bool_))

    def logits(self, tokenized: TokenizedTexts) -> Any:
        return np.cos(np.arange(float(len(LABELS) * len(tokenized)), dtype=np.float32)).reshape(-1, len(LABELS))


class Table:
    """Rows in memory."""

    name, removed_counts = "table", dict[str, int]()

    def __init__(self, labels: list[tuple[str, ...]]) -> None:
        self.total_rows, self._labels = len(labels), labels

    def blocks(self) -> Any:
        texts = [f"text {number}" for number in range(self.total_rows)]
        yield Block(texts, list(self._labels), np.arange(1, self.total_rows + 1), self.total_rows)


def test_rows_with_labels_that_the_model_does_not_know_are_counted_once() -> None:
    scoring = MultiLabelScoring(cast(MultiLabelClassifier, TextBlindClassifier()), training_hashes=np.arange(1))
    data = Table([("joy",), ("envy", "joy"), ("envy", "pride"), (), ("pride",)])
    (evaluation,) = evaluate_multilabel([scoring], cast(Any, data))
    assert evaluation.metrics.rows == 5
    assert evaluation.unknown_labels == {"envy": 2, "pride": 2}
    assert evaluation.unknown_rows == evaluation.to_dict()["unknown_rows"] == 3
    assert evaluation.rows.truth.sum(axis=0).tolist() == [0, 0, 2, 0]
