"""The sizes of a BERT, or of an encoder that is shaped like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from emoclass.encoders.bert.families import FAMILIES, Family
from emoclass.errors import ModelError

HIDDEN_ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")
# A size beyond these is a damaged file, not a BERT; the largest published ones stay far below.
_SIZE_LIMITS = {
    "vocab_size": 5_000_000,
    "hidden_size": 16_384,
    "intermediate_size": 131_072,
    "num_hidden_layers": 256,
    "num_attention_heads": 1_024,
    "max_position_embeddings": 1_000_000,
    "type_vocab_size": 1_024,
}


@dataclass(frozen=True)
class EncoderConfig:
    """The sizes of an encoder, named as in BERT's ``config.json``.

    Attributes:
        model_type: Its family.
        embedding_size: Width of the embeddings, where it is not ``hidden_size``.
        first_position: Position of the first token.
    """

    vocab_size: int = 30_522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3_072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    model_type: str = "bert"
    embedding_size: int | None = None
    first_position: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Read the content of a ``config.json``; absent fields have transformers' defaults.

        Raises:
            ModelError: It is not a BERT that emoclass can run.
        """
        model_type = values.get("model_type")
        family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
        if family is None:
            raise ModelError(
                f"a model of type {model_type!r} is not supported; emoclass runs {', '.join(FAMILIES)}: "
                "bert-base-uncased, roberta-base, distilbert-base-uncased, minilm and others of these types"
            )
        own = {name: family.fields.get(name, name) for name in cls.__dataclass_fields__}
        sizes = {**family.defaults, **{name: values[key] for name, key in own.items() if key in values}}
        padding = values.get("pad_token_id", 1)
        is_counted = family.skips_padding and isinstance(padding, int) and padding >= 0
        sizes["first_position"] = padding + 1 if is_counted else 0
        if "embedding_size" not in family.defaults or sizes["embedding_size"] == sizes.get("hidden_size"):
            sizes["embedding_size"] = None
        config = cls(**sizes)
        for problem in config._problems(values):
            raise ModelError(f"config.json: {problem}")
        return config

    def _problems(self, values: Mapping[str, Any]) -> list[str]:
        problems = []
        for name, limit in _SIZE_LIMITS.items():
            value = getattr(self, name)
            least = int(name not in self.family.defaults)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= limit:
                problems.append(f"{name} is {value!r}; a whole number from {least} to {limit} is needed")
        if not problems and self.hidden_size % self.num_attention_heads:
            problems.append(f"hidden_size {self.hidden_size} is not a multiple of the attention heads")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 <= value < 1):
                problems.append(f"{name} is {value!r}; a number from 0 to 1 is needed")
        if not isinstance(self.hidden_act, str) or self.hidden_act not in HIDDEN_ACTIVATIONS:
            problems.append(f"hidden_act {self.hidden_act!r} is not supported; use {', '.join(HIDDEN_ACTIVATIONS)}")
        if not isinstance(self.layer_norm_eps, float) or not 0 < self.layer_norm_eps < 1:
            problems.append(f"layer_norm_eps is {self.layer_norm_eps!r}; a number from 0 to 1 is needed")
        position_type = values.get("position_embedding_type", "absolute")
        if position_type != "absolute":
            problems.append(f"position_embedding_type {position_type!r} is not supported; only 'absolute' is")
        if values.get("is_decoder") or values.get("add_cross_attention"):
            problems.append("it is a decoder; only encoders can classify")
        return problems

    def with_dropout(self, share: float) -> EncoderConfig:
        """Return the same config with this share of dropout everywhere."""
        return replace(self, hidden_dropout_prob=share, attention_probs_dropout_prob=share, classifier_dropout=share)

    @property
    def family(self) -> Family:
        """Its family."""
        return FAMILIES[self.model_type]

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest text."""
        return self.max_position_embeddings - self.first_position

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads
