"""Find texts that are the same or nearly the same."""

__all__ = ["folding", "near"]
