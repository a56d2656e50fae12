"""How well the probabilities of labels agree with how often texts have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emoclass.evaluation.calibration import ReliabilityBin, expected_calibration_error, reliability
from emoclass.evaluation.multilabel_metrics import Bools, Floats
from emoclass.evaluation.thresholds import without_calibration

# The mean calibration error is over labels with at least this many rows: fewer say little about probabilities.
CALIBRATED_ROWS = 50


@dataclass(frozen=True)
class LabelCalibration:
    """Probabilities of labels against how often texts have them.

    Attributes:
        errors: Expected calibration error of each label.
        errors_before: The same of the probabilities before calibration.
        mean: Mean of ``errors`` over the labels with at least ``CALIBRATED_ROWS`` rows; ``None`` if there are none.
        mean_before: Mean of ``errors_before`` over these labels.
        labels: Number of these labels.
        bins: Reliability of all probabilities, whatever their label.
    """

    errors: tuple[float, ...]
    errors_before: tuple[float, ...]
    mean: float | None
    mean_before: float | None
    labels: int
    bins: tuple[ReliabilityBin, ...]


def measured_calibration(
    probabilities: npt.NDArray[np.float32], truth: Bools, fitted: tuple[Floats, Floats]
) -> LabelCalibration:
    """Return the calibration of probabilities, and what it was before.

    Args:
        probabilities: ``float32[rows, labels]``.
        truth: Which labels each row has, ``bool[rows, labels]``.
        fitted: Slope and offset of each label by which logits were calibrated, ``float64[labels]`` each.
    """
    errors, mean, labels = label_errors(probabilities.T, truth)
    before = (without_calibration(*label) for label in zip(probabilities.T, *fitted, strict=True))
    errors_before, mean_before, _ = label_errors(before, truth)
    bins = reliability(probabilities.ravel(), truth.ravel())
    return LabelCalibration(errors, errors_before, mean, mean_before, labels, bins)


def label_errors(
    probabilities: Iterable[npt.NDArray[np.float32]], truth: Bools
) -> tuple[tuple[float, ...], float | None, int]:
    """Return the calibration error of each label, and their mean over how many labels with enough rows.

    Args:
        probabilities: Those of each label, ``float32[rows]``.
        truth: Which labels each row has, ``bool[rows, labels]``.
    """
    pairs = zip(probabilities, truth.T, strict=True)
    errors = tuple(expected_calibration_error(reliability(own, has)) for own, has in pairs)
    is_enough = truth.sum(axis=0) >= CALIBRATED_ROWS
    enough = [error for error, counts in zip(errors, is_enough.tolist(), strict=True) if counts]
    return errors, sum(enough) / len(enough) if enough else None, len(enough)
