"""Confidence intervals of scores, and significance tests between classifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.evaluation.metrics import class_f1

RESAMPLES = 2000
_MAX_CELLS = 1 << 22
ALPHA = 0.05


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval.

    Attributes:
        lower: Lower bound.
        upper: Upper bound.
    """

    lower: float
    upper: float


def bootstrap_intervals(confusion_matrix: npt.NDArray[np.int64], *, seed: int = 0) -> dict[str, Interval]:
    """Return percentile bootstrap intervals of accuracy and macro F1.

    Resampling texts with replacement is resampling the cells of the confusion matrix, whose cost does not depend on
    the number of texts. For macro F1 every resample keeps the number of texts of each class: without a rare class it
    would average over other classes than the score itself.

    Args:
        confusion_matrix: Texts by true class (rows) and predicted class (columns), ``int64[classes, classes]``.
        seed: Seed of the resamples.
    """
    rng = np.random.default_rng(seed)
    rows, support = int(confusion_matrix.sum()), confusion_matrix.sum(axis=1)
    hits = rng.binomial(rows, np.trace(confusion_matrix) / rows, size=RESAMPLES)
    step = max(1, _MAX_CELLS // len(support))
    draws = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    macro = np.concatenate([_drawn_macro_f1(confusion_matrix, count, rng) for count in draws])
    return {"accuracy": interval_of(hits / rows), "macro_f1": interval_of(macro)}


def _drawn_macro_f1(matrix: npt.NDArray[np.int64], draws: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the macro F1 of resamples, ``float64[draws]``; of many classes, most cells of the matrix are empty."""
    support = matrix.sum(axis=1)
    present = np.flatnonzero(support)
    hits, predicted = np.zeros((2, draws, len(support)))
    for name in present.tolist():
        cells = np.flatnonzero(matrix[name])
        drawn = rng.multinomial(support[name], matrix[name, cells] / support[name], size=draws)
        predicted[:, cells] += drawn
        hits[:, name] = drawn[:, cells == name].sum(axis=1)
    f1 = 2 * hits[:, present] / (support[present] + predicted[:, present])
    result: npt.NDArray[np.float64] = f1.mean(axis=1)
    return result


def _macro_f1(matrices: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return macro F1 without absent classes, ``[draws, classes, classes] -> float64[draws]``."""
    result: npt.NDArray[np.float64] = np.nanmean(class_f1(matrices), axis=1)
    return result


def interval_of(values: npt.NDArray[np.float64]) -> Interval:
    """Return the percentile interval of the scores of resamples."""
    lower, upper = np.quantile(values, [0.025, 0.975])
    return Interval(float(lower), float(upper))


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two classifiers on the same texts.

    Attributes:
        rows: Number of texts.
        only_first: Texts that only the first predicts correctly.
        only_second: Texts that only the second predicts correctly.
        p_value: Probability of a difference between the two counts of at least this size if both are equally good.
    """

    rows: int
    only_first: int
    only_second: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 0.05."""
        return self.p_value < ALPHA


def paired_test(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> PairedTest:
    """Compare two classifiers by the correctness of their predictions, ``bool[texts]`` each."""
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return PairedTest(len(first), only_first, only_second, p_value)


@dataclass(frozen=True)
class Gain:
    """The difference between the scores of two classifiers on the same texts.

    Attributes:
        metric: ``accuracy`` or ``macro_f1``.
        first: Score of the first classifier.
        second: Score of the second classifier.
        interval: 95 % interval of ``second - first``.
    """

    metric: str
    first: float
    second: float
    interval: Interval

    @property
    def significant(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        return not self.interval.lower <= 0 <= self.interval.upper


def bootstrap_gain(
    true: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    classes: int,
    metric: str,
    *,
    seed: int = 0,
) -> Gain:
    """Return the difference of two classifiers' scores with its paired percentile bootstrap interval.

    Resampling texts is resampling the triples (true, first, second) that occur; for macro F1 within each true class,
    as in ``bootstrap_intervals``.

    Args:
        true: True label ids, ``int64[texts]``.
        first: Predictions of the first classifier, ``int64[texts]``.
        second: Predictions of the second classifier, ``int64[texts]``.
        classes: Number of classes.
        metric: ``accuracy`` or ``macro_f1``.
        seed: Seed of the resamples.
    """
    rng = np.random.default_rng(seed)
    cells, counts = np.unique(np.stack([true, first, second]), axis=1, return_counts=True)
    draws = np.repeat(counts[None], RESAMPLES + 1, axis=0)
    strata = [cells[0] == name for name in np.unique(true)] if metric == "macro_f1" else [np.full(len(counts), True)]
    for drawn in strata:
        texts = counts[drawn].sum()
        draws[1:, drawn] = rng.multinomial(texts, counts[drawn] / texts, size=RESAMPLES)
    old, new = (_scores(draws, cells[0], predicted, classes, metric) for predicted in cells[1:])
    return Gain(metric, float(old[0]), float(new[0]), interval_of((new - old)[1:]))


def _scores(
    draws: npt.NDArray[np.int64],
    true: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    classes: int,
    metric: str,
) -> npt.NDArray[np.float64]:
    """Return the score of each draw, ``float64[draws]``, from counts of cells, ``int64[draws, cells]``."""
    if metric == "accuracy":
        accuracy: npt.NDArray[np.float64] = draws @ (true == predicted) / draws.sum(axis=1)
        return accuracy
    one_hot = np.zeros((len(true), classes**2))
    one_hot[np.arange(len(true)), true * classes + predicted] = 1
    return _macro_f1((draws @ one_hot).reshape(-1, classes, classes))
