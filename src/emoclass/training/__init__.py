"""From clean data to a saved classifier."""

__all__ = ["events", "options", "train", "trials"]
