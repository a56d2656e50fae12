"""Tables in, clean labelled texts out; knows no model."""

__all__ = ["cleaning", "columns", "inspection", "options", "preparation", "similarity", "split", "tables"]
