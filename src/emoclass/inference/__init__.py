"""Predict texts, lines and tables with a trained classifier."""

__all__ = ["output", "predictor", "ray", "records", "streaming", "threads", "totals"]
