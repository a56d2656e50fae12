"""Evaluation: metrics, calibration, significance tests and a baseline to compare with."""

__all__ = [
    "baseline",
    "calibration",
    "comparison",
    "metrics",
    "report",
    "scoring",
    "significance",
    "stored",
    "thresholds",
]
