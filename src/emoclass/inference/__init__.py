"""Predict texts, lines and tables with a trained classifier."""

__all__ = ["engines", "output", "predictor", "ray", "records", "streaming", "threads", "totals"]
