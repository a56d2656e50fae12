"""Evaluation: metrics, calibration, significance tests and a baseline to compare with."""

__all__ = [
    "baseline",
    "block_scoring",
    "calibration",
    "comparison",
    "metrics",
    "multilabel_baseline",
    "multilabel_calibration",
    "multilabel_comparison",
    "multilabel_metrics",
    "multilabel_report",
    "multilabel_scoring",
    "multilabel_significance",
    "report",
    "scoring",
    "significance",
    "stored",
    "thresholds",
]
