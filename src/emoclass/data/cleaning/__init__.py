"""Remove rows without text or label and repeated rows; find and repair damaged texts."""

__all__ = ["cleaning", "fixing", "stream", "traits"]
