"""BERT on packed batches: all that the other packages know about its architecture and its checkpoints."""

__all__ = ["building", "checkpoint", "config", "families", "layer", "model", "numpy_model", "prefix"]
