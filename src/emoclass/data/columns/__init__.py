"""Columns: which one is the text, which the label, and what a cell says."""

__all__ = ["cells", "choosing", "labels", "naming"]
