"""Predict texts, lines and tables with a trained classifier."""

__all__ = [
    "classifiers",
    "engines",
    "fields",
    "inputs",
    "output",
    "predictor",
    "ray",
    "records",
    "streaming",
    "threads",
    "thresholds",
    "totals",
]
