"""Choose the text and the label column, and turn their cells into texts and labels."""

__all__ = ["cells", "choosing", "label_kinds", "labels", "naming"]
