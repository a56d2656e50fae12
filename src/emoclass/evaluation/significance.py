"""How far scores may be off, and whether one classifier is better than another by more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.evaluation.metrics import class_f1

_RESAMPLES = 2000
_MOST_CELLS = 1 << 22
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    lower: float
    upper: float


def bootstrap_intervals(confusion_matrix: npt.NDArray[np.int64], *, seed: int = 0) -> dict[str, Interval]:
    """Percentile bootstrap intervals of accuracy and macro F1.

    Drawing texts with replacement is drawing cells of the confusion matrix: however many texts there are, it takes
    the same time. For macro F1 each class has as many texts in every draw as it has: a rare one that is missing from
    some would make them means over other classes than the score is.

    Args:
        confusion_matrix: ``int64[classes, classes]``, rows are true classes.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    rows, support = int(confusion_matrix.sum()), confusion_matrix.sum(axis=1)
    right = rng.binomial(rows, np.trace(confusion_matrix) / rows, size=_RESAMPLES)
    present = confusion_matrix[support > 0]
    shares = present / present.sum(axis=1, keepdims=True)
    step = max(1, _MOST_CELLS // confusion_matrix.size)
    macro = []
    for start in range(0, _RESAMPLES, step):
        count = min(step, _RESAMPLES - start)
        draws = np.zeros((count, *confusion_matrix.shape), dtype=np.int64)
        draws[:, support > 0] = rng.multinomial(support[support > 0], shares, size=(count, len(present)))
        macro.append(_macro_f1(draws))
    return {"accuracy": _interval(right / rows), "macro_f1": _interval(np.concatenate(macro))}


def _macro_f1(matrices: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Of confusion matrices, ``[draws, classes, classes] -> float64[draws]``; classes without texts do not count."""
    result: npt.NDArray[np.float64] = np.nanmean(class_f1(matrices), axis=1)
    return result


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    lower, upper = np.quantile(values, [0.025, 0.975])
    return Interval(float(lower), float(upper))


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two classifiers on the same texts.

    Attributes:
        rows: Texts that both were tried on.
        only_first: Texts that only the first has right.
        only_second: Texts that only the second has right.
        p_value: Probability of so uneven a count, or a more uneven one, if both are equally good.
    """

    rows: int
    only_first: int
    only_second: int
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether chance alone would do that in less than one of twenty cases."""
        return self.p_value < SIGNIFICANT


def paired_test(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> PairedTest:
    """Compares two classifiers by which texts they have right, ``bool[texts]`` each."""
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return PairedTest(len(first), only_first, only_second, p_value)


@dataclass(frozen=True)
class Gain:
    """By how much a second classifier beats a first one on the same texts.

    Attributes:
        metric: ``accuracy`` or ``macro_f1``.
        first: Its score.
        second: The other's score.
        interval: Of the difference, 95 %.
    """

    metric: str
    first: float
    second: float
    interval: Interval

    @property
    def significant(self) -> bool:
        """Whether the difference is beyond the chance of which texts were drawn."""
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
    """Paired percentile bootstrap of a difference of scores; class numbers are ``int64[texts]``.

    Drawing texts is drawing cells of (true, first, second); only those that occur are drawn, for macro F1 within each
    true class, as for its interval.
    """
    rng = np.random.default_rng(seed)
    cells, counts = np.unique(np.stack([true, first, second]), axis=1, return_counts=True)
    draws = np.repeat(counts[None], _RESAMPLES + 1, axis=0)
    strata = [cells[0] == name for name in np.unique(true)] if metric == "macro_f1" else [np.full(len(counts), True)]
    for drawn in strata:
        texts = counts[drawn].sum()
        draws[1:, drawn] = rng.multinomial(texts, counts[drawn] / texts, size=_RESAMPLES)
    scores = []
    for predicted in cells[1:]:
        if metric == "accuracy":
            scores.append(draws @ (cells[0] == predicted) / len(true))
            continue
        place = np.zeros((len(counts), classes**2))
        place[np.arange(len(counts)), cells[0] * classes + predicted] = 1
        scores.append(_macro_f1((draws @ place).reshape(-1, classes, classes)))
    return Gain(metric, float(scores[0][0]), float(scores[1][0]), _interval((scores[1] - scores[0])[1:]))
