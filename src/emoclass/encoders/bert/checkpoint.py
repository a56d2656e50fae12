"""How BERT's checkpoints name things; without torch."""

from __future__ import annotations

import re

ARCHITECTURE = "BertForSequenceClassification"
TOKENIZER_CLASS = "BertTokenizer"


def canonical_name(name: str) -> str | None:
    """Return the name of a tensor in ``ARCHITECTURE``; ``None`` if it belongs to the head of another task.

    Translates the names of encoders without a head (``encoder.layer...``) and of TensorFlow (``LayerNorm.gamma``).
    """
    if name.startswith("cls.") or name.endswith("position_ids"):
        return None
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
    return name if name.startswith(("bert.", "classifier.")) else f"bert.{name}"
