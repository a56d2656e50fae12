"""Split data into train, validation and test without leaks, and write split directories."""

__all__ = ["splitting", "writing"]
