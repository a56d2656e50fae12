"""Remove rows without text or label and repeated rows; find and repair damaged texts."""

__all__ = ["cleaning", "fixing", "label_checks", "small_classes", "spellings", "stream", "telling", "traits"]
