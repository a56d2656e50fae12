"""The tensors of a checkpoint, by BERT's names; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emoclass.encoders.bert.config import EncoderConfig
from emoclass.errors import ModelError


def tensor_shapes(config: EncoderConfig, num_labels: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of a classifier, by name."""
    width, inner = config.hidden_size, config.intermediate_size
    embedded = config.embedding_size or width
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (config.vocab_size, embedded),
        "bert.embeddings.position_embeddings.weight": (config.max_position_embeddings, embedded),
    }
    if config.type_vocab_size:
        shapes["bert.embeddings.token_type_embeddings.weight"] = (config.type_vocab_size, embedded)
    linear = {"bert.pooler.dense": (width, width), "classifier": (num_labels, width)}
    if config.embedding_size is not None:
        linear["bert.embeddings.project"] = (width, embedded)
    norms = []
    for number in range(config.num_hidden_layers):
        layer = f"bert.encoder.layer.{number}"
        linear |= {f"{layer}.attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        linear |= {f"{layer}.attention.output.dense": (width, width)}
        linear |= {f"{layer}.intermediate.dense": (inner, width), f"{layer}.output.dense": (width, inner)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    shapes |= {f"{name}.{part}": (width,) for name in norms for part in ("weight", "bias")}
    return shapes | {f"bert.embeddings.LayerNorm.{part}": (embedded,) for part in ("weight", "bias")}


def check_shapes(tensors: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], source: Path) -> None:
    """Check that all tensors are there and have the shapes that the config says.

    Raises:
        ModelError: One is missing, or has another shape; the message names it and the source.
    """
    missing = sorted(shapes.keys() - tensors.keys())
    if missing:
        raise ModelError(f"{source}: {len(missing)} tensors are missing from the weights, the first is {missing[0]}")
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise ModelError(f"{source}: {name} is {list(tensors[name].shape)}, expected {list(shape)}")
