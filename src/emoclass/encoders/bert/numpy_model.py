"""BERT in numpy, for a few texts: it is done before torch would be imported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.encoders.bert.config import EncoderConfig

Array = npt.NDArray[np.float32]
# An activation function takes so many values at once, which stay in the first cache.
_VALUES = 1 << 13


class NumpyBert:
    """BERT with a classifier on [CLS], in float32 on the CPU; computes what ``PackedBert`` does.

    Args:
        config: Its sizes.
        tensors: ``float32`` arrays by their names in transformers' ``BertForSequenceClassification``. They are used,
            not copied: arrays that are mapped from a file are read where they are needed.
    """

    def __init__(self, config: EncoderConfig, tensors: Mapping[str, Array]) -> None:
        self._config, self._tensors = config, tensors
        self._activation = _ACTIVATIONS[config.hidden_act]

    @property
    def num_labels(self) -> int:
        """Number of classes."""
        return len(self._tensors["classifier.bias"])

    @property
    def multiplications(self) -> int:
        """Multiplications for each token, those of attention not counted."""
        width, inner = self._config.hidden_size, self._config.intermediate_size
        return self._config.num_hidden_layers * (4 * width * width + 2 * width * inner)

    def __call__(self, input_ids: npt.NDArray[np.int32], lengths: Sequence[int]) -> Array:
        """Return the logits of a packed batch, ``float32[texts, classes]``.

        Args:
            input_ids: ``int32[tokens]``, texts end to end.
            lengths: Tokens of each text. Texts of equal length beside each other are computed together.
        """
        starts = np.cumsum([0, *lengths[:-1]])
        hidden = self._embeddings(input_ids, np.arange(len(input_ids)) - np.repeat(starts, lengths))
        for number in range(self._config.num_hidden_layers - 1):
            hidden = self._layer(number, hidden, hidden, lengths)
        # The classifier reads [CLS] only: of the last layer, nothing else is needed.
        cls = self._layer(self._config.num_hidden_layers - 1, hidden, hidden[starts], lengths)
        pooled = _POOLER_ACTIVATIONS[self._config.family.pooler_activation](self._linear("bert.pooler.dense", cls))
        return self._linear("classifier", pooled)

    def _embeddings(self, input_ids: npt.NDArray[np.int32], places: npt.NDArray[np.int64]) -> Array:
        embedded: Array = self._tensors["bert.embeddings.word_embeddings.weight"][input_ids]
        embedded += self._tensors["bert.embeddings.position_embeddings.weight"][places + self._config.first_position]
        if self._config.type_vocab_size:
            embedded += self._tensors["bert.embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm("bert.embeddings.LayerNorm", embedded)
        return hidden if self._config.embedding_size is None else self._linear("bert.embeddings.project", hidden)

    def _layer(self, number: int, hidden: Array, asking: Array, lengths: Sequence[int]) -> Array:
        """Run a layer.

        Args:
            number: Of the layer, from 0.
            hidden: Its input, ``[tokens, hidden_size]``.
            asking: The rows of it that have an output: all, or one for each text.
            lengths: Tokens of each text.

        Returns:
            An array like ``asking``.
        """
        name = f"bert.encoder.layer.{number}"
        query = self._linear(f"{name}.attention.self.query", asking)
        key, value = (self._linear(f"{name}.attention.self.{part}", hidden) for part in ("key", "value"))
        context = self._attend(query, key, value, lengths)
        attended = self._linear(f"{name}.attention.output.dense", context) + asking
        attended = self._norm(f"{name}.attention.output.LayerNorm", attended)
        inner = self._linear(f"{name}.intermediate.dense", attended)
        _in_blocks(self._activation, inner)
        return self._norm(f"{name}.output.LayerNorm", self._linear(f"{name}.output.dense", inner) + attended)

    def _attend(self, query: Array, key: Array, value: Array, lengths: Sequence[int]) -> Array:
        """Return what the queries gather, ``[queries, hidden_size]``; texts of one length are computed together."""
        context = np.empty_like(query)
        queries = tokens = 0
        is_cls = len(query) < len(key)
        for length, group in groupby(lengths):
            texts = len(list(group))
            own = slice(queries, queries + texts * (1 if is_cls else length))
            all_ = slice(tokens, tokens + texts * length)
            # [texts, heads, length, head_size]
            q, k, v = (
                part.reshape(texts, -1, self._config.num_attention_heads, self._config.head_size).transpose(0, 2, 1, 3)
                for part in (query[own], key[all_], value[all_])
            )
            scores = q @ k.transpose(0, 1, 3, 2)
            scores *= 1 / math.sqrt(self._config.head_size)
            mixed = softmax(scores) @ v
            context[own] = mixed.transpose(0, 2, 1, 3).reshape(context[own].shape)
            queries, tokens = own.stop, all_.stop
        return context

    def _linear(self, name: str, inputs: Array) -> Array:
        outputs: Array = inputs @ self._tensors[f"{name}.weight"].T
        outputs += self._tensors[f"{name}.bias"]
        return outputs

    def _norm(self, name: str, hidden: Array) -> Array:
        hidden -= hidden.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", hidden, hidden) / hidden.shape[1]
        hidden *= (1 / np.sqrt(variance + self._config.layer_norm_eps))[:, None]
        hidden *= self._tensors[f"{name}.weight"]
        hidden += self._tensors[f"{name}.bias"]
        return hidden


def softmax(logits: Array) -> Array:
    """Return the softmax over the last axis."""
    exponentials: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
    exponentials /= exponentials.sum(axis=-1, keepdims=True)
    return exponentials


def sigmoid(logits: npt.NDArray[np.floating[Any]]) -> Array:
    """Return the sigmoid of each value, ``float32``."""
    small = np.exp(-np.abs(logits))
    result: Array = (np.where(logits >= 0, 1, small) / (1 + small)).astype(np.float32)
    return result


def _in_blocks(function: Callable[[Any], Any], values: Array) -> None:
    """Replace values by a function's, a block at a time."""
    flat = values.reshape(-1)
    for start in range(0, len(flat), _VALUES):
        block = flat[start : start + _VALUES]
        block[:] = function(block)


def _gelu(x: Any) -> Any:
    """Return x (1 + erf(x / √2)) / 2, with erf to 5e-7 by formula 7.1.26 of Abramowitz and Stegun."""
    size = np.abs(x)
    t = 1 / (1 + _P * size)
    tail = t * (_A1 + t * (_A2 + t * (_A3 + t * (_A4 + t * _A5)))) * np.exp(-0.5 * size * size)
    return 0.5 * (x + size - size * tail)


# p / √2, and the coefficients of the formula. Python's numbers leave the arrays float32.
_P = 0.3275911 / math.sqrt(2)
_A1, _A2, _A3, _A4, _A5 = 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def _silu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(0.5 * x))


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": lambda x: np.maximum(x, 0),
    "silu": _silu,
    "swish": _silu,
}
_POOLER_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": np.tanh, **_ACTIVATIONS}
