"""Texts to token ids to logits."""

__all__ = ["base", "batching", "bert", "freezing", "interface", "tokenization", "weights"]
