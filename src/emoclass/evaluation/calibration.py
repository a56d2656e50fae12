"""Whether confidences mean what they say, and how to make them.

A classifier is calibrated if of the texts with confidence .9 nine in ten are right. Dividing all logits by one
temperature, fitted where the model did not learn, mends most of what training does to confidences and changes no
prediction (Guo et al. 2017, On Calibration of Modern Neural Networks).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt

BINS = 15
# Few validation texts, all of them right, would ask for a temperature of 0. A normal prior on its logarithm, as strong
# as a few texts, keeps it near 1 until there is evidence.
_PRIOR_DEVIATION = 1.0
_LOG_BOUNDS = (-3.0, 3.0)


@dataclass(frozen=True)
class ReliabilityBin:
    """Texts of like confidence.

    Attributes:
        lower: Least confidence of the bin.
        upper: Greatest confidence of the bin.
        texts: How many there are.
        confidence: Their mean confidence.
        accuracy: Share of them that is right.
    """

    lower: float
    upper: float
    texts: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CoveragePoint:
    """What happens where only texts of some confidence get an answer.

    Attributes:
        min_confidence: Least confidence that counts as an answer.
        coverage: Share of the texts that have it.
        accuracy: Share of those that is right.
    """

    min_confidence: float
    coverage: float
    accuracy: float


def fit_temperature(logits: npt.NDArray[np.float32], true: npt.NDArray[np.int64]) -> float:
    """The temperature that makes the true classes most probable.

    Args:
        logits: ``float32[texts, classes]`` of texts that were not learned from.
        true: Class numbers, ``int64[texts]``.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(true))
    exact = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        likelihood = log_softmax(exact / np.exp(log_temperature), axis=1)[rows, true].sum()
        return float(-likelihood + log_temperature**2 / (2 * _PRIOR_DEVIATION**2))

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_BOUNDS, method="bounded").x))


def with_temperature(probabilities: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float32]:
    """Probabilities as they are when logits are divided by a temperature, ``float32[texts, classes]``."""
    from scipy.special import softmax

    logits = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))
    result: npt.NDArray[np.float32] = softmax(logits / temperature, axis=1).astype(np.float32)
    return result


def reliability(confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Confidence and accuracy in bins of equal width; empty bins are left out.

    Args:
        confidences: Probability of each predicted class, ``float32[texts]``.
        correct: Which predictions are right, ``bool[texts]``.
    """
    numbers = np.minimum((confidences.astype(np.float64) * BINS).astype(np.int8), BINS - 1)
    return tuple(
        ReliabilityBin(
            lower=number / BINS,
            upper=(number + 1) / BINS,
            texts=int(chosen.sum()),
            confidence=float(confidences[chosen].mean(dtype=np.float64)),
            accuracy=float(correct[chosen].mean()),
        )
        for number in range(BINS)
        if (chosen := numbers == number).any()
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their texts."""
    texts = sum(each.texts for each in bins)
    return sum(each.texts * abs(each.confidence - each.accuracy) for each in bins) / texts


def coverage_curve(
    confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_], *, points: int = 101
) -> tuple[CoveragePoint, ...]:
    """Coverage and accuracy for every confidence that occurs, greatest first, thinned to ``points``."""
    ordered, right, last = _ranked(confidences, correct)
    if len(last) > points:
        last = last[np.linspace(0, len(last) - 1, points).astype(int)]
    return tuple(_coverage_point(ordered, right, i) for i in last.tolist())


def threshold_for(
    confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_], accuracy: float
) -> CoveragePoint | None:
    """The least confidence from which on at least this share is right; ``None`` if there is none.

    It is a short decimal, of four places where that is enough to part those texts from the others.
    """
    ordered, right, last = _ranked(confidences, correct)
    reached = last[right[last] / (last + 1) >= accuracy]
    if not len(reached):
        return None
    end = int(reached[-1])
    point = _coverage_point(ordered, right, end)
    below = float(ordered[end + 1]) if end + 1 < len(ordered) else -1.0
    return replace(point, min_confidence=_decimal_between(below, point.min_confidence))


def _decimal_between(lower: float, upper: float) -> float:
    """The number with the fewest decimal places, but at least four, above ``lower`` and at most ``upper``."""
    exact = Decimal(upper)
    shorter = (float(exact.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)) for places in range(4, 17))
    return next((value for value in shorter if value > lower), upper)


def _ranked(
    confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Falling confidences, how many are right down to each, and where the last of equal ones stands."""
    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order]
    # Texts of one confidence are answered together or not at all.
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return ordered, np.cumsum(correct[order]), last


def _coverage_point(ordered: npt.NDArray[np.float32], right: npt.NDArray[np.int64], i: int) -> CoveragePoint:
    return CoveragePoint(float(ordered[i]), (i + 1) / len(ordered), float(right[i]) / (i + 1))
