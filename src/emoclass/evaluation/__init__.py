"""How good a classifier is."""

__all__ = ["baseline", "calibration", "comparison", "metrics", "report", "scoring", "significance", "stored"]
