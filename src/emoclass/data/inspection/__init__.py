"""What is in the data, and what about it needs a decision."""

__all__ = ["inspection", "label_noise", "results"]
