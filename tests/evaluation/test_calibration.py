"""Calibration, intervals, thresholds and significance tests are statistically correct."""

import numpy as np
import pytest
from scipy.special import softmax

from emoclass.evaluation.calibration import (
    coverage_curve,
    expected_calibration_error,
    fit_temperature,
    reliability,
    threshold_for,
    with_temperature,
)
from emoclass.evaluation.metrics import class_f1
from emoclass.evaluation.significance import bootstrap_gain, bootstrap_intervals, paired_test


def overconfident(rows: int, temperature: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits scaled by the temperature, and labels drawn from the distribution without it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, 5)) * 2
    shares = softmax(logits, axis=1).cumsum(axis=1)
    true = (rng.random((rows, 1)) > shares).sum(axis=1).clip(max=4)
    return (logits * temperature).astype(np.float32), true


def judged(probabilities: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence of each prediction and whether it is correct."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == true


def test_the_fitted_temperature_calibrates_confidences() -> None:
    logits, true = overconfident(5000)
    temperature = fit_temperature(logits, true)
    assert temperature == pytest.approx(3, rel=0.1)
    raw = softmax(logits, axis=1)
    calibrated = softmax(logits / temperature, axis=1)
    before, after = (expected_calibration_error(reliability(*judged(p, true))) for p in (raw, calibrated))
    assert before > 0.1
    assert after < 0.02
    np.testing.assert_allclose(with_temperature(raw, temperature), calibrated, atol=1e-4)
    assert (calibrated.argmax(axis=1) == raw.argmax(axis=1)).all()


def test_a_few_correct_predictions_do_not_make_the_temperature_extreme() -> None:
    logits = np.tile(np.array([[2.0, 0, 0]], dtype=np.float32), (10, 1))
    temperature = fit_temperature(logits, np.zeros(10, dtype=np.int64))
    assert 0.2 < temperature < 1


def test_reliability_counts_every_text() -> None:
    probabilities = np.array([[1.0, 0.0], [0.95, 0.05], [0.51, 0.49], [0.5, 0.5]], dtype=np.float32)
    bins = reliability(*judged(probabilities, np.array([0, 1, 0, 1])))
    assert sum(each.texts for each in bins) == 4
    assert bins[-1].texts == 2
    assert bins[-1].accuracy == 0.5
    assert expected_calibration_error(bins) == pytest.approx((abs(0.505 - 0.5) * 2 + abs(0.975 - 0.5) * 2) / 4)


def test_coverage_and_thresholds() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.6, 0.4]], dtype=np.float32)
    true = np.array([0, 0, 1, 1])
    confidences, correct = judged(probabilities, true)
    curve = coverage_curve(confidences, correct)
    assert [(round(p.min_confidence, 2), p.coverage) for p in curve] == [(0.9, 0.25), (0.8, 0.75), (0.6, 1.0)]
    assert [p.accuracy for p in curve] == pytest.approx([1, 2 / 3, 0.5])
    best = threshold_for(confidences, correct, 0.6)
    assert best is not None
    assert (best.coverage, round(best.min_confidence, 2)) == (0.75, 0.8)
    assert threshold_for(confidences, ~correct, 0.99) is None


def test_a_threshold_has_as_few_decimals_as_possible() -> None:
    confidences = np.array([0.99999, 0.99996, 0.99995, 0.7], dtype=np.float32)
    correct = np.array([True, True, False, False])
    for accuracy, rows in ((1.0, 2), (0.6, 3), (0.5, 4)):
        point = threshold_for(confidences, correct, accuracy)
        assert point is not None
        assert point.coverage == rows / 4
        assert (confidences >= float(str(point.min_confidence))).sum() == rows
        assert len(str(point.min_confidence)) <= 8


def test_the_interval_of_macro_f1_contains_it_with_rare_classes() -> None:
    matrix = np.zeros((19, 19), dtype=np.int64)
    for name in range(9):
        matrix[name, name], matrix[name, (name + 1) % 9] = 45, 5
    matrix[np.arange(9, 19), 0] = 1  # ten classes with one text each, all predicted as the first class
    macro = np.mean(class_f1(matrix))
    interval = bootstrap_intervals(matrix)["macro_f1"]
    assert interval.lower < macro < interval.upper < macro + 0.03
    true, second = np.repeat(np.arange(19), matrix.sum(axis=1)), np.repeat(np.arange(361) % 19, matrix.ravel())
    gain = bootstrap_gain(true, np.zeros_like(true), second, 19, "macro_f1")
    assert gain.second == pytest.approx(macro)
    assert gain.interval.lower < gain.second - gain.first < gain.interval.upper


def test_intervals_have_about_their_nominal_coverage() -> None:
    rng = np.random.default_rng(0)
    share = np.array([[30, 5, 5], [4, 20, 6], [2, 6, 22]]) / 100
    accuracy = np.trace(share)
    f1 = np.mean(2 * np.diag(share) / (share.sum(axis=0) + share.sum(axis=1)))
    covered = np.zeros(2)
    for trial in range(200):
        matrix = rng.multinomial(300, share.ravel()).reshape(3, 3)
        intervals = bootstrap_intervals(matrix, seed=trial)
        covered += [
            intervals["accuracy"].lower <= accuracy <= intervals["accuracy"].upper,
            intervals["macro_f1"].lower <= f1 <= intervals["macro_f1"].upper,
        ]
    assert (covered / 200 > 0.89).all()
    assert (covered / 200 < 0.99).all()


def test_only_large_differences_are_significant() -> None:
    first = np.array([True] * 60 + [False] * 40)
    much_worse = np.array([True] * 30 + [False] * 70)
    a_little_worse = np.array([True] * 58 + [False] * 42)
    assert paired_test(first, much_worse).significant
    assert paired_test(first, much_worse).only_first == 30
    assert not paired_test(first, a_little_worse).significant
    assert paired_test(first, first).p_value == 1
