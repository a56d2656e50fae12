"""Texts to token ids to logits."""

__all__ = ["base", "batching", "bert", "freezing", "tokenization", "weights"]
