"""Calibration of confidences: temperature scaling, reliability, and accuracy against coverage.

A classifier is calibrated if nine in ten of its predictions with confidence 0.9 are right. Dividing all logits by one
temperature, fitted on held-out data, corrects most of the overconfidence that training causes and changes no
prediction (Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 15
# On a few validation texts that are all predicted correctly, the maximum likelihood estimate is a temperature of 0. A
# normal prior on its logarithm, worth a few texts, keeps it near 1 until there is evidence.
_PRIOR_DEVIATION = 1.0
_LOG_BOUNDS = (-3.0, 3.0)


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of similar confidence.

    Attributes:
        lower: Lower bound of the bin.
        upper: Upper bound of the bin.
        texts: Number of texts.
        confidence: Mean confidence.
        accuracy: Share of correct predictions.
    """

    lower: float
    upper: float
    texts: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CoveragePoint:
    """Coverage and accuracy where predictions below a confidence are rejected.

    Attributes:
        min_confidence: Lowest confidence that is accepted.
        coverage: Share of the texts whose prediction is accepted.
        accuracy: Share of correct predictions among those.
    """

    min_confidence: float
    coverage: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy, with and without temperature scaling.

    Attributes:
        bins: Reliability of the confidences as they are.
        bins_before: Reliability of the confidences without temperature scaling.
        temperature: The temperature that the logits were divided by when training ended.
    """

    bins: tuple[ReliabilityBin, ...]
    bins_before: tuple[ReliabilityBin, ...]
    temperature: float

    @property
    def ece(self) -> float:
        """Expected calibration error of the confidences as they are."""
        return expected_calibration_error(self.bins)

    @property
    def ece_before(self) -> float:
        """Expected calibration error without temperature scaling."""
        return expected_calibration_error(self.bins_before)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "ece": self.ece, "ece_before": self.ece_before}


def fit_temperature(logits: npt.NDArray[np.float32], true: npt.NDArray[np.int64]) -> float:
    """Return the temperature that maximizes the likelihood of the true classes.

    Args:
        logits: Logits of held-out texts, ``float32[texts, classes]``.
        true: True label ids, ``int64[texts]``.
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
    """Return the probabilities after division of the logits by a temperature, ``float32[texts, classes]``."""
    from scipy.special import softmax

    logits = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))
    result: npt.NDArray[np.float32] = softmax(logits / temperature, axis=1).astype(np.float32)
    return result


def reliability(confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Return confidence and accuracy in bins of equal width, without empty bins.

    Args:
        confidences: Probabilities of the predicted classes, ``float32[texts]``.
        correct: Whether each prediction is correct, ``bool[texts]``.
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
    """Return the mean distance between confidence and accuracy over the bins, weighted by their texts."""
    texts = sum(each.texts for each in bins)
    return sum(each.texts * abs(each.confidence - each.accuracy) for each in bins) / texts


def coverage_curve(
    confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_], *, points: int = 101
) -> tuple[CoveragePoint, ...]:
    """Return coverage and accuracy at every confidence that occurs, highest first, thinned out to ``points``."""
    ordered, hits, last = _ranked(confidences, correct)
    if len(last) > points:
        last = last[np.linspace(0, len(last) - 1, points).astype(int)]
    return tuple(_coverage_point(ordered, hits, i) for i in last.tolist())


def threshold_for(
    confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_], accuracy: float
) -> CoveragePoint | None:
    """Return the lowest confidence threshold that reaches an accuracy, or ``None`` if none does.

    The threshold is rounded to four decimal places, or to more where four would accept other texts.
    """
    ordered, hits, last = _ranked(confidences, correct)
    reached = last[hits[last] / (last + 1) >= accuracy]
    if not len(reached):
        return None
    end = int(reached[-1])
    point = _coverage_point(ordered, hits, end)
    below = float(ordered[end + 1]) if end + 1 < len(ordered) else -1.0
    return replace(point, min_confidence=_decimal_between(below, point.min_confidence))


def _decimal_between(lower: float, upper: float) -> float:
    """Return the number above ``lower`` and at most ``upper`` with the fewest decimal places, but at least four."""
    exact = Decimal(upper)
    shorter = (float(exact.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)) for places in range(4, 17))
    return next((value for value in shorter if value > lower), upper)


def _ranked(
    confidences: npt.NDArray[np.float32], correct: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return descending confidences, the number of correct predictions up to each, and the last index of each tie."""
    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order]
    # Texts of equal confidence are accepted or rejected together.
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return ordered, np.cumsum(correct[order]), last


def _coverage_point(ordered: npt.NDArray[np.float32], hits: npt.NDArray[np.int64], i: int) -> CoveragePoint:
    return CoveragePoint(float(ordered[i]), (i + 1) / len(ordered), float(hits[i]) / (i + 1))
