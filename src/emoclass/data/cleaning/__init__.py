"""Rows without text or label, repeated rows, damaged texts."""

__all__ = ["cleaning", "fixing", "stream", "traits"]
