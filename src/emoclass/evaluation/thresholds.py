"""Probabilities of labels that any number of can apply, and the thresholds from which on a label is predicted.

Each label gets a slope and an offset for its logits (Platt 1999, "Probabilistic Outputs for Support Vector Machines"),
fitted on held-out texts, and then the threshold with the best F1 there. Both would fit noise where a label has few
texts. A normal prior keeps slope and offset near 1 and 0. In the F1 of a threshold, a text counts by a mixture of its
true label and its probability, with more of the probability the fewer texts have the label: with calibrated
probabilities alone, the result is the threshold with the best expected F1 (Lipton, Elkan and Narayanaswamy 2014,
"Optimal Thresholding of Classifiers to Maximize F1 Measure").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Standard deviations of the logarithm of the slope and of the offset: a few texts outweigh them.
_SLOPE, _OFFSET = 0.5, 1.0
_STEPS = 50
# Texts with a label that weigh as much as the probabilities (docs/experiments.md).
_TEXTS = 300.0


def fit_calibration(
    logits: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_], *, with_offset: bool = True
) -> tuple[Floats, Floats]:
    """Return the slope and the offset of each label that maximize the likelihood of held-out texts.

    Args:
        logits: ``float32[texts, labels]``.
        truth: Which labels each text has, ``bool[texts, labels]``.
        with_offset: Whether there are offsets; else they are 0.

    Returns:
        Slopes above 0 and offsets, ``float64[labels]`` each: the calibrated logit is ``slope * logit + offset``.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    slopes, offsets = np.ones(truth.shape[1]), np.zeros(truth.shape[1])
    for label, (x, y) in enumerate(zip(logits.T.astype(np.float64), truth.T, strict=True)):

        def loss(parameters: Floats, x: Floats = x, y: npt.NDArray[np.bool_] = y) -> tuple[float, Floats]:
            log_slope, offset = parameters
            z = np.exp(log_slope) * x + offset
            value = (np.logaddexp(0, z) - z * y).sum() + log_slope**2 / (2 * _SLOPE**2) + offset**2 / (2 * _OFFSET**2)
            error = expit(z) - y
            slope = (error * x).sum() * np.exp(log_slope) + log_slope / _SLOPE**2
            return float(value), np.array([slope, with_offset * (error.sum() + offset / _OFFSET**2)])

        found = minimize(loss, np.zeros(2), jac=True, method="BFGS", options={"maxiter": _STEPS})
        slopes[label], offsets[label] = np.exp(found.x[0]), found.x[1]
    return slopes, offsets


def without_calibration(probabilities: npt.NDArray[np.float32], slope: float, offset: float) -> npt.NDArray[np.float32]:
    """Return the probabilities of a label before calibration, ``float32[texts]``; see ``fit_calibration``."""
    from scipy.special import expit, logit

    limit = np.finfo(np.float32)
    logits = logit(np.clip(probabilities.astype(np.float64), limit.tiny, 1 - limit.epsneg))
    result: npt.NDArray[np.float32] = expit((logits - offset) / slope).astype(np.float32)
    return result


def fit_thresholds(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return the threshold of each label with the best F1 on held-out texts, ``float32[labels]``.

    Args:
        probabilities: Calibrated, ``float32[texts, labels]``.
        truth: Which labels each text has, ``bool[texts, labels]``.
    """
    counts = truth.sum(axis=0)
    trust = counts / (counts + _TEXTS)
    exact = probabilities.astype(np.float64)
    mixed = trust * truth + (1 - trust) * exact
    order = np.argsort(-exact, axis=0, kind="stable")
    ranked = np.take_along_axis(exact, order, axis=0)
    hits = np.cumsum(np.take_along_axis(mixed, order, axis=0), axis=0)
    predicted = np.arange(1, len(exact) + 1)[:, None]
    f1 = 2 * hits / (predicted + mixed.sum(axis=0))
    # Texts of equal probability are predicted together.
    f1[:-1][ranked[1:] == ranked[:-1]] = -1
    best = f1.argmax(axis=0)
    columns = np.arange(truth.shape[1])
    above = ranked[best, columns]
    below = np.where(best + 1 < len(ranked), ranked[np.minimum(best + 1, len(ranked) - 1), columns], 0.0)
    # Halfway to the next text: other texts lie on both sides of the last one.
    thresholds: npt.NDArray[np.float32] = ((above + below) / 2).astype(np.float32)
    return thresholds
