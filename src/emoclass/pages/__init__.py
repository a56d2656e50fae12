"""Evaluations and inspections as pages of HTML."""

__all__ = ["evaluation", "inspection", "rendering", "writing"]
