"""BERT on packed batches."""

__all__ = ["config", "layer", "model", "prefix"]
