"""From texts to predictions."""

__all__ = ["output", "predictor", "ray", "records", "streaming", "threads", "totals"]
