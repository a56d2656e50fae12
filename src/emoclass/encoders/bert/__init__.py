"""BERT on packed batches."""

__all__ = ["config", "model", "prefix"]
