"""HTML reports of evaluations and inspections."""

__all__ = ["evaluation", "inspection", "rendering", "writing"]
