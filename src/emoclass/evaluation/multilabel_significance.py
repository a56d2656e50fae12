"""Confidence intervals and significance tests of scores of any number of labels a text, by drawing texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.evaluation.multilabel_metrics import Bools, Counts, Floats, occurring
from emoclass.evaluation.significance import ALPHA, RESAMPLES, Gain, Interval, interval_of

# More texts than this are drawn in groups of random texts of one stratum, of which each has at least so many: the
# spread of sums over groups is that of sums over texts.
_MAX_UNITS, _LEAST_UNITS = 10_000, 100
_MAX_CELLS = 1 << 22
# Columns that are summed at a time: sums take eight times the memory of truth values.
_SUMMED_COLUMNS = 8


@dataclass(frozen=True)
class ScoreTest:
    """A test of two classifiers' scores on the same texts; see ``randomization_tests``.

    Attributes:
        metric: ``micro_f1`` or ``macro_f1``.
        first: Score of the first classifier.
        second: Score of the second classifier.
        p_value: Probability of a difference of at least this size if both are equally good.
    """

    metric: str
    first: float
    second: float
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 0.05."""
        return self.p_value < ALPHA


def multilabel_intervals(
    truth: Bools, predicted: Bools, *, seed: int = 0
) -> tuple[dict[str, Interval], tuple[Interval | None, ...]]:
    """Return percentile bootstrap intervals of micro F1, macro F1 and subset accuracy, and of the F1 of each label.

    Texts are resampled. For macro F1 and the F1 of labels, every resample keeps the number of texts of each rarest
    label: without a rare label, it would average over other labels than the score itself.

    Args:
        truth: Which labels each text has, ``bool[texts, labels]``.
        predicted: Which labels are predicted, ``bool[texts, labels]``.
        seed: Seed of the resamples.

    Returns:
        The intervals by the name of the score, and that of each label; ``None`` for labels that do not occur.
    """
    exact = (truth == predicted).all(axis=1)
    columns = np.concatenate([truth & predicted, predicted, truth, exact[:, None]], axis=1)
    sums = _resampled(columns, np.zeros(len(truth), np.int64), seed)
    counts = _counts(sums, truth.shape[1])
    intervals = {"micro_f1": interval_of(counts.micro_f1()), "subset_accuracy": interval_of(sums[:, -1] / len(truth))}
    counts = _counts(_resampled(columns, _rarest(truth), seed), truth.shape[1])
    occurs, f1 = occurring(truth), counts.f1()
    intervals["macro_f1"] = interval_of(counts.macro_f1(occurs))
    return intervals, tuple(interval_of(f1[:, i]) if occurs[i] else None for i in range(len(occurs)))


def randomization_tests(truth: Bools, first: Bools, second: Bools, *, seed: int = 0) -> dict[str, ScoreTest]:
    """Test by approximate randomization whether two classifiers differ in micro F1 and in macro F1.

    If they are equally good, it does not matter which of them predicted what: the predictions of each text are
    exchanged with probability 1/2, again and again, and the p-value is the share of exchanges after which the scores
    differ at least as much as they do (Yeh 2000, "More accurate tests for the statistical significance of result
    differences"; Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses").

    Args:
        truth: Which labels each text has, ``bool[texts, labels]``.
        first: Which labels the first classifier predicts, ``bool[texts, labels]``.
        second: Which labels the second one predicts, ``bool[texts, labels]``.
        seed: Seed of the exchanges.
    """
    labels, occurs = truth.shape[1], occurring(truth)
    old, new = (np.concatenate([truth & each, each, truth], axis=1) for each in (first, second))
    differ = (first != second).any(axis=1)
    moved = _exchanged(new[differ].astype(np.int8) - old[differ].astype(np.int8), seed)
    # The first of the exchanges exchanges nothing.
    before, after = (_counts(each.sum(axis=0) + sign * moved, labels) for each, sign in ((old, 1), (new, -1)))
    scores = {
        "micro_f1": (before.micro_f1(), after.micro_f1()),
        "macro_f1": (before.macro_f1(occurs), after.macro_f1(occurs)),
    }
    return {metric: _score_test(metric, *values) for metric, values in scores.items()}


def multilabel_gain(
    truth: Bools, first: tuple[Bools, Floats], second: tuple[Bools, Floats], metric: str, *, seed: int = 0
) -> Gain:
    """Return the difference of two classifiers' scores with its paired percentile bootstrap interval.

    Args:
        truth: Which labels each text has, ``bool[texts, labels]``.
        first: Which labels the first classifier predicts, ``bool[texts, labels]``, and the label ranking average
            precision of each text, ``float64[texts]``.
        second: The same of the second classifier.
        metric: ``macro_f1``, ``micro_f1`` or ``lrap``.
        seed: Seed of the resamples.
    """
    labels, occurs = truth.shape[1], occurring(truth)
    strata = _rarest(truth) if metric == "macro_f1" else np.zeros(len(truth), np.int64)
    columns = [np.concatenate([truth & each, each, truth], axis=1) for each, _ in (first, second)]
    columns += [ranking[:, None] for _, ranking in (first, second)]
    table = np.concatenate(columns, axis=1)
    sums = np.concatenate([table.sum(axis=0)[None], _resampled(table, strata, seed)])
    old, new = (_counts(sums[:, start : start + 3 * labels], labels) for start in (0, 3 * labels))
    scores: Sequence[Floats]
    if metric == "lrap":
        scores = [sums[:, -2] / len(truth), sums[:, -1] / len(truth)]
    elif metric == "macro_f1":
        scores = [old.macro_f1(occurs), new.macro_f1(occurs)]
    else:
        scores = [old.micro_f1(), new.micro_f1()]
    before, after = scores
    return Gain(metric, float(before[0]), float(after[0]), interval_of((after - before)[1:]))


def _score_test(metric: str, first: Floats, second: Floats) -> ScoreTest:
    differences = np.abs(first - second)
    # Sums of many numbers are equal up to rounding.
    p_value = float((differences >= differences[0] - 1e-12).mean())
    return ScoreTest(metric, float(first[0]), float(second[0]), p_value)


def _counts(sums: Floats, labels: int) -> Counts:
    """Return counts from sums over hits, predictions and true labels, ``float64[draws, 3 * labels + …]``."""
    return Counts(*(sums[:, start : start + labels] for start in (0, labels, 2 * labels)))


def _rarest(truth: Bools) -> npt.NDArray[np.int64]:
    """Return the rarest label of each text, ``int64[texts]``; the number of labels where it has none."""
    by_support = np.argsort(truth.sum(axis=0), kind="stable")
    rarest: npt.NDArray[np.int64] = by_support[truth[:, by_support].argmax(axis=1)]
    rarest[~truth.any(axis=1)] = truth.shape[1]
    return rarest


def _units(
    columns: npt.NDArray[Any], strata: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return what can be drawn: sums over texts or groups of them, stratum by stratum; and how many each has."""
    _, numbers, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    order = rng.permutation(len(strata))
    order = order[np.argsort(numbers[order], kind="stable")]
    if len(strata) <= _MAX_UNITS:
        return columns[order].astype(np.float64), sizes
    units = np.minimum(sizes, np.maximum(_MAX_UNITS * sizes // len(strata), _LEAST_UNITS))
    starts = np.cumsum(sizes) - sizes
    firsts = [start + np.arange(count) * size // count for start, count, size in zip(starts, units, sizes, strict=True)]
    borders, values = np.concatenate(firsts), np.empty((int(units.sum()), columns.shape[1]))
    for start in range(0, columns.shape[1], _SUMMED_COLUMNS):
        some = columns[:, start : start + _SUMMED_COLUMNS][order]
        values[:, start : start + _SUMMED_COLUMNS] = np.add.reduceat(some, borders, axis=0, dtype=np.float64)
    return values, units


def _resampled(columns: npt.NDArray[Any], strata: npt.NDArray[np.int64], seed: int) -> Floats:
    """Return sums over resamples of the rows of each stratum, ``[rows, columns] -> float64[resamples, columns]``."""
    rng = np.random.default_rng(seed)
    values, units = _units(columns, strata, rng)
    count = len(values)
    starts, sizes = np.repeat(np.cumsum(units) - units, units), np.repeat(units, units)
    sums = np.empty((RESAMPLES, columns.shape[1]))
    step = max(1, _MAX_CELLS // count)
    for start in range(0, RESAMPLES, step):
        draws = min(step, RESAMPLES - start)
        drawn = starts + (rng.random((draws, count)) * sizes).astype(np.int64)
        drawn += count * np.arange(draws)[:, None]
        times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        sums[start : start + draws] = times.astype(np.float64) @ values
    return sums


def _exchanged(differences: npt.NDArray[np.int8], seed: int) -> Floats:
    """Return sums of 0, and sums over random halves of the rows, ``float64[1 + draws, columns]``."""
    rng = np.random.default_rng(seed)
    sums = np.zeros((RESAMPLES + 1, differences.shape[1]))
    if not len(differences):
        return sums
    values, _ = _units(differences, np.zeros(len(differences), np.int64), rng)
    step = max(1, _MAX_CELLS // len(values))
    for start in range(1, RESAMPLES + 1, step):
        draws = min(step, RESAMPLES + 1 - start)
        sums[start : start + draws] = rng.integers(0, 2, (draws, len(values)), dtype=np.int8).astype(float) @ values
    return sums
