"""From clean data to a saved classifier."""

__all__ = ["events", "lines", "options", "train", "trials"]
