"""From clean data to a saved classifier."""

__all__ = ["events", "loop", "run", "tuning"]
