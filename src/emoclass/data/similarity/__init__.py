"""When two texts are the same, or nearly so."""

__all__ = ["folding", "near"]
