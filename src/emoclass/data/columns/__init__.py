"""Choose the text and the label column, and turn their cells into texts and labels."""

__all__ = ["cells", "choosing", "chosen", "class_names", "label_kinds", "labels", "naming", "profiles"]
