"""Train, validation and test, without leaks."""

__all__ = ["splitting", "writing"]
