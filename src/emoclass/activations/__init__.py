"""The output of the frozen layers, computed once."""

__all__ = ["cache", "directory", "logits", "sources"]
