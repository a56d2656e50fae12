"""Describe data and find what needs a decision."""

__all__ = ["inspection", "label_noise", "results"]
