"""What emoclass must know of an encoder that transformers runs; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from emoclass.errors import ModelError

# What is no encoder for texts, and what it is.
_OTHERS = {
    "is_decoder": "a decoder",
    "is_encoder_decoder": "an encoder with a decoder",
    "vision_config": "a model for images",
    "image_size": "a model for images",
    "num_mel_bins": "a model for sound",
}
_DECODERS = ("gpt", "llama", "mistral", "qwen", "gemma", "phi", "opt", "bloom", "falcon", "mamba", "olmo")
NEEDED = "emoclass needs an encoder for texts, such as roberta-base"
# Names of sizes in some families, in order of preference.
_LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")


@dataclass(frozen=True)
class GenericConfig:
    """The sizes of an encoder.

    Attributes:
        model_type: Its type in ``config.json``.
        vocab_size: Number of token ids.
        hidden_size: Width of a layer.
        num_hidden_layers: Number of layers.
        max_tokens: Tokens of the longest text.
        dropout: Dropout everywhere, in place of that in ``config.json``.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    max_tokens: int
    dropout: float | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenericConfig:
        """Read the content of a ``config.json``.

        Raises:
            ModelError: It is not an encoder for texts.
        """
        kind = values.get("model_type")
        if not isinstance(kind, str):
            raise ModelError("config.json: there is no model_type")
        other = next((what for name, what in _OTHERS.items() if values.get(name)), None)
        other = other or ("a decoder" if kind.startswith(_DECODERS) else None)
        if other is not None:
            raise ModelError(f"a model of type {kind!r} is {other}; {NEEDED}")
        positions = values.get("max_position_embeddings", values.get("n_positions", 512))
        # RoBERTa's relatives count positions from the padding token's id on.
        padding = values.get("pad_token_id")
        skipped = (padding if isinstance(padding, int) else 0) + 1 if kind in ("mpnet", "longformer") else 0
        config = cls(
            kind,
            _first(values, ("vocab_size",)),
            _first(values, _WIDTHS),
            _first(values, _LAYERS),
            (positions if isinstance(positions, int) and positions > 0 else 512) - skipped,
        )
        for name in ("vocab_size", "hidden_size", "num_hidden_layers"):
            value = getattr(config, name)
            if value is None:
                raise ModelError(f"config.json of a model of type {kind!r} has no {name}; {NEEDED}")
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(f"config.json: {name} of a model of type {kind!r} is {value!r}")
        return config

    def with_dropout(self, share: float) -> GenericConfig:
        """Return the same config with this share of dropout everywhere."""
        return replace(self, dropout=share)


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if name in values), None)
