"""One encoder layer on packed batches: all tokens, or [CLS] alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoclass.encoders.bert.attention import AttentionGroup, Padding, attend
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.dropout import dropout
from emoclass.encoders.bert.linear import linear, linear_activation, linear_add


class LayerTensors(NamedTuple):
    """The weights of one encoder layer in the dtype they are used in, query, key and value side by side."""

    qkv_weight: Tensor
    qkv_bias: Tensor
    attention_weight: Tensor
    attention_bias: Tensor
    attention_norm_weight: Tensor
    attention_norm_bias: Tensor
    intermediate_weight: Tensor
    intermediate_bias: Tensor
    output_weight: Tensor
    output_bias: Tensor
    output_norm_weight: Tensor
    output_norm_bias: Tensor


class UninitializedLinear(nn.Linear):
    """A linear layer without initial values: they come from a checkpoint, and drawing them takes seconds."""

    def reset_parameters(self) -> None:
        pass


class _SelfAttention(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.query = UninitializedLinear(config.hidden_size, config.hidden_size)
        self.key = UninitializedLinear(config.hidden_size, config.hidden_size)
        self.value = UninitializedLinear(config.hidden_size, config.hidden_size)


class _Output(nn.Module):
    def __init__(self, inputs: int, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = UninitializedLinear(inputs, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class _Attention(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _Output(config.hidden_size, config)


class Dense(nn.Module):
    """A linear layer under the name that checkpoints give it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = UninitializedLinear(inputs, outputs)


class BertLayer(nn.Module):
    """One encoder layer: its parameters, and its two forward passes."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = _Attention(config)
        self.intermediate = Dense(config.hidden_size, config.intermediate_size)
        self.output = _Output(config.intermediate_size, config)

    def tensors(self, dtype: torch.dtype) -> LayerTensors:
        """Return the weights in ``dtype``; gradients flow back to the parameters."""
        own, output = self.attention.self, self.attention.output
        projections = (own.query, own.key, own.value)
        tensors = (
            torch.cat([p.weight for p in projections]),
            torch.cat([p.bias for p in projections]),
            output.dense.weight,
            output.dense.bias,
            output.LayerNorm.weight,
            output.LayerNorm.bias,
            self.intermediate.dense.weight,
            self.intermediate.dense.bias,
            self.output.dense.weight,
            self.output.dense.bias,
            self.output.LayerNorm.weight,
            self.output.LayerNorm.bias,
        )
        return LayerTensors(*(tensor.to(dtype) for tensor in tensors))

    def forward(self, hidden: Tensor, lengths: Sequence[int], tensors: LayerTensors | None = None) -> Tensor:
        """Run all tokens through the layer, in the dtype of ``hidden``.

        Args:
            hidden: ``[rows, hidden_size]``: the tokens of the texts; on the CPU more rows may follow.
            lengths: Tokens of each text.
            tensors: The weights, where they were prepared before.

        Returns:
            ``[rows, hidden_size]``.
        """
        t = self.tensors(hidden.dtype) if tensors is None else tensors
        share = self.config.attention_probs_dropout_prob if self.training else 0.0
        qkv = linear(hidden, t.qkv_weight, t.qkv_bias)
        context = attend(qkv, lengths, self.config.num_attention_heads, share)
        attended = self._drop_and_add(context, t.attention_weight, t.attention_bias, hidden)
        hidden = self._norm(attended, t.attention_norm_weight, t.attention_norm_bias)
        return self._feed_forward(hidden, t)

    def forward_cls(self, hidden: Tensor, lengths: Sequence[int], passes: int = 1) -> Tensor:
        """Run only each text's [CLS] through the layer, in the dtype of its weights.

        Keys and values are not computed: ``q·(W_K x_j) = (W_Kᵀ q)·x_j`` and ``Σ p_j W_V x_j = W_V Σ p_j x_j``.
        The key bias adds the same to all scores of a head and cancels in the softmax.

        Args:
            hidden: ``[rows, hidden_size]``: the tokens of the texts; more rows may follow.
            lengths: Tokens of each text.
            passes: How many times to run the layer on the same input, each time with other dropout.

        Returns:
            ``[passes * texts, hidden_size]``, all texts of a pass side by side.
        """
        # One padded group: at one query a text, padding costs less than more and smaller products.
        padding = Padding(AttentionGroup(0, list(lengths)), hidden.device)
        return self.forward_padded_cls(padding.pad(hidden), padding.mask, passes)

    def forward_padded_cls(self, inputs: Tensor, mask: Tensor | None, passes: int = 1) -> Tensor:
        """Do what ``forward_cls`` does with texts that are padded to one length.

        Args:
            inputs: ``[texts, longest, hidden_size]``.
            mask: Where there is a token, ``bool[texts, longest]``; ``None`` if everywhere.
            passes: How many times to run the layer.

        Returns:
            ``[passes * texts, hidden_size]``.
        """
        context, first = self._attend_from_cls(inputs, mask, passes)
        output = self.attention.output
        attended = self._drop(output.dense(context))
        return self._feed_forward(output.LayerNorm(attended + first), self._own_tensors())

    def _own_tensors(self) -> LayerTensors:
        # Only the feed-forward part is read, so the projections need not be joined.
        empty = self.attention.self.query.weight
        dense, norm = self.output.dense, self.output.LayerNorm
        inner = self.intermediate.dense
        return LayerTensors(*(empty,) * 6, inner.weight, inner.bias, dense.weight, dense.bias, norm.weight, norm.bias)

    def _attend_from_cls(self, inputs: Tensor, mask: Tensor | None, passes: int) -> tuple[Tensor, Tensor]:
        own, heads, size = self.attention.self, self.config.num_attention_heads, self.config.head_size
        inputs = inputs.to(own.key.weight.dtype)
        # Queries are repeated, and of the inputs, which are most of the memory, all passes read the same ones.
        first = inputs[:, 0].repeat(passes, 1)
        query = own.query(first).view(-1, heads, size).transpose(0, 1)
        absorbed = (query @ own.key.weight.view(heads, size, -1)).transpose(0, 1)
        scores = _by_pass(absorbed, inputs.transpose(1, 2), passes) / math.sqrt(size)
        if mask is not None:
            scores = scores.view(passes, -1, *scores.shape[1:]).masked_fill(~mask[:, None], -torch.inf).flatten(0, 1)
        probabilities = self._drop_attention(scores.softmax(-1))
        mixed = _by_pass(probabilities, inputs, passes).transpose(0, 1)
        values = mixed @ own.value.weight.view(heads, size, -1).transpose(1, 2)
        bias = own.value.bias.view(heads, 1, size) * probabilities.sum(-1).T[..., None]
        # The key bias has no influence; with a zero gradient the optimizer treats it as any other parameter.
        unused = 0 * own.key.bias if own.key.bias.requires_grad else 0
        return (values + bias).transpose(0, 1).flatten(1) + unused, first

    def _feed_forward(self, hidden: Tensor, t: LayerTensors) -> Tensor:
        inner = linear_activation(hidden, t.intermediate_weight, t.intermediate_bias, self.config.hidden_act)
        outer = self._drop_and_add(inner, t.output_weight, t.output_bias, hidden)
        return self._norm(outer, t.output_norm_weight, t.output_norm_bias)

    def _drop_and_add(self, inputs: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
        if self.training:
            return self._drop(functional.linear(inputs, weight, bias)) + residual
        return linear_add(inputs, weight, bias, residual)

    def _norm(self, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.layer_norm(hidden, (self.config.hidden_size,), weight, bias, self.config.layer_norm_eps)

    def _drop(self, hidden: Tensor) -> Tensor:
        return dropout(hidden, self.config.hidden_dropout_prob, self.training)

    def _drop_attention(self, probabilities: Tensor) -> Tensor:
        return dropout(probabilities, self.config.attention_probs_dropout_prob, self.training)


def _by_pass(rows: Tensor, shared: Tensor, passes: int) -> Tensor:
    """Multiply each pass's part of ``[passes * texts, ...]`` by the same matrices, without repeating these."""
    return rows @ shared if passes == 1 else torch.cat([part @ shared for part in rows.chunk(passes)])
