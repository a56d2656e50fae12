"""Describe data and find what needs a decision."""

__all__ = ["findings", "inspection", "label_noise", "results"]
