"""Read tables, and clean, split and inspect labelled texts; independent of models."""

__all__ = ["cleaning", "columns", "inspection", "options", "parts", "preparation", "similarity", "split", "tables"]
