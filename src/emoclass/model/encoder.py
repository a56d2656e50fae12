"""BERT on packed batches: texts end to end, no padding; parameter names are those of transformers' checkpoints.

A batch is ``hidden: float[tokens, hidden_size]`` with ``lengths: list[int]``. Linear layers, GELU and LayerNorm
see tokens only; attention alone looks at lengths. It is fastest when texts are sorted by length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoclass.errors import ModelError

# In a padded attention group the shortest text fills at least this share of the longest; a run of at least so many
# texts of one length is a group of its own, without padding.
_MIN_FILL, _MIN_RUN = 0.75, 8
# With gradients more operations cost more than more padding (measured on the CPU).
_MIN_FILL_WITH_GRADIENTS = 0.4
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "swish": functional.silu,
}
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
    """The sizes of a BERT, named as in transformers' ``config.json``."""

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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Reads the content of a ``config.json``; fields that are absent have transformers' defaults.

        Raises:
            ModelError: It is not a BERT that emoclass can run.
        """
        model_type = values.get("model_type")
        if model_type != "bert":
            raise ModelError(
                f"a model of type {model_type!r} is not supported; emoclass runs models of type 'bert', "
                "such as bert-base-uncased, bert-large-cased or minilm"
            )
        config = cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})
        for problem in config._problems(values):
            raise ModelError(f"config.json: {problem}")
        return config

    def _problems(self, values: Mapping[str, Any]) -> list[str]:
        problems = []
        for name, limit in _SIZE_LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                problems.append(f"{name} is {value!r}; a whole number from 1 to {limit} is needed")
        if not problems and self.hidden_size % self.num_attention_heads:
            problems.append(f"hidden_size {self.hidden_size} is not a multiple of the attention heads")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 <= value < 1):
                problems.append(f"{name} is {value!r}; a number from 0 to 1 is needed")
        if not isinstance(self.hidden_act, str) or self.hidden_act not in _ACTIVATIONS:
            problems.append(f"hidden_act {self.hidden_act!r} is not supported; use {', '.join(_ACTIVATIONS)}")
        if not isinstance(self.layer_norm_eps, float) or not 0 < self.layer_norm_eps < 1:
            problems.append(f"layer_norm_eps is {self.layer_norm_eps!r}; a number from 0 to 1 is needed")
        position_type = values.get("position_embedding_type", "absolute")
        if position_type != "absolute":
            problems.append(f"position_embedding_type {position_type!r} is not supported; only 'absolute' is")
        if values.get("is_decoder") or values.get("add_cross_attention"):
            problems.append("it is a decoder; only encoders can classify")
        return problems

    def with_dropout(self, share: float) -> EncoderConfig:
        """The same with this share of dropout everywhere."""
        return replace(self, hidden_dropout_prob=share, attention_probs_dropout_prob=share, classifier_dropout=share)

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


class AttentionGroup(NamedTuple):
    """Consecutive texts of a packed batch that go through attention together.

    Attributes:
        start: Position of its first token in the batch.
        lengths: Tokens of each text. If all are equal the group is a view; otherwise it is padded.
    """

    start: int
    lengths: list[int]


def attention_groups(lengths: Sequence[int], min_fill: float = _MIN_FILL) -> list[AttentionGroup]:
    """Cuts a packed batch into groups of texts of equal length, or nearly equal where such runs are short."""
    groups: list[list[int]] = []
    open_group = False
    for length, run in groupby(lengths):
        texts = list(run)
        if len(texts) >= _MIN_RUN:
            groups.append(texts)
            open_group = False
        elif open_group and min(length, *groups[-1]) >= min_fill * max(length, *groups[-1]):
            groups[-1] += texts
        else:
            groups.append(texts)
            open_group = True
    starts = accumulate((sum(group) for group in groups), initial=0)
    return [AttentionGroup(start, group) for start, group in zip(starts, groups, strict=False)]


class _Padding:
    """How a group's tokens move to ``[texts, longest, …]`` and back; a view when all lengths are equal."""

    def __init__(self, group: AttentionGroup, device: torch.device) -> None:
        self.texts, self.longest = len(group.lengths), max(group.lengths)
        self.tokens = slice(group.start, group.start + sum(group.lengths))
        self.mask: Tensor | None = None
        if min(group.lengths) < self.longest:
            # Made on the CPU: a GPU would have to be waited for.
            lengths, places = torch.tensor(group.lengths), torch.arange(self.longest)
            mask = places < lengths[:, None]
            starts = lengths.cumsum(0) - lengths
            self._padded = (starts[:, None] + places).where(mask, 0).flatten().to(device)
            self._packed = mask.flatten().nonzero().flatten().to(device)
            self.mask = mask.to(device)

    def pad(self, packed: Tensor) -> Tensor:
        """``[tokens of the batch, width] -> [texts, longest, width]``."""
        packed = packed[self.tokens]
        if self.mask is None:
            return packed.view(self.texts, self.longest, -1)
        return packed.index_select(0, self._padded).view(self.texts, self.longest, -1)

    def unpad(self, padded: Tensor) -> Tensor:
        """``[texts, longest, width] -> [tokens of the group, width]``."""
        padded = padded.flatten(0, 1)
        return padded if self.mask is None else padded.index_select(0, self._packed)


# All layers of a batch need the same.
@lru_cache(maxsize=4)
def _paddings(lengths: tuple[int, ...], min_fill: float, device: torch.device) -> list[_Padding]:
    with torch.inference_mode(False):
        return [_Padding(group, device) for group in attention_groups(lengths, min_fill)]


@lru_cache(maxsize=4)
def _bounds(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Where each text begins and the last one ends, ``int32[texts + 1]``."""
    with torch.inference_mode(False):
        return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


def _varlen_kernel(qkv: Tensor, head_size: int) -> Callable[..., Any] | None:
    """Torch's attention over texts end to end, where it has one: in 16 bits, on CUDA from Ampere on, no dropout."""
    if not qkv.is_cuda or qkv.dtype == torch.float32 or head_size % 8 or head_size > 256:
        return None
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # before torch 2.10
        return None
    return varlen_attn if torch.cuda.get_device_capability(qkv.device) >= (8, 0) else None


def _dropout(hidden: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout; on the CPU 16 random bits decide on an element, where torch draws 64 of them one after the other.

    What is dropped is right to 1 in 131,072.
    """
    if not training or not probability or not hidden.is_cpu:
        return functional.dropout(hidden, probability, training)
    drawn = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = drawn.view(torch.int16)[: hidden.numel()].view(hidden.shape)
    dropped = min(round(2**16 * probability), 2**16 - 1)
    kept = (bits >= dropped - 2**15).to(hidden.dtype)
    return hidden * kept.mul_(2**16 / (2**16 - dropped))


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


class _Linear(nn.Linear):
    """Without initial values: they always come from a checkpoint, and drawing them takes seconds."""

    def reset_parameters(self) -> None:
        pass


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        pass


class _SelfAttention(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.query = _Linear(config.hidden_size, config.hidden_size)
        self.key = _Linear(config.hidden_size, config.hidden_size)
        self.value = _Linear(config.hidden_size, config.hidden_size)


class _Output(nn.Module):
    def __init__(self, inputs: int, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = _Linear(inputs, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)


class _Attention(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _Output(config.hidden_size, config)


class _Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = _Linear(inputs, outputs)


class BertLayer(nn.Module):
    """One encoder layer: its parameters, and its two ways through."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.attention = _Attention(config)
        self.intermediate = _Dense(config.hidden_size, config.intermediate_size)
        self.output = _Output(config.intermediate_size, config)

    def tensors(self, dtype: torch.dtype) -> LayerTensors:
        """The weights in ``dtype``; gradients flow back to the parameters."""
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
        """All tokens through the layer, in the dtype of ``hidden``.

        Args:
            hidden: ``[tokens, hidden_size]``.
            lengths: Tokens of each text.
            tensors: The weights, where they were prepared before.

        Returns:
            ``[tokens, hidden_size]``.
        """
        t = self.tensors(hidden.dtype) if tensors is None else tensors
        context = self._attend(functional.linear(hidden, t.qkv_weight, t.qkv_bias), lengths)
        attended = functional.linear(context, t.attention_weight, t.attention_bias)
        hidden = self._norm(self._drop(attended) + hidden, t.attention_norm_weight, t.attention_norm_bias)
        return self._feed_forward(hidden, t)

    def forward_first(self, hidden: Tensor, lengths: Sequence[int]) -> Tensor:
        """Only each text's first token through the layer, in the dtype of its weights.

        Keys and values are not computed: ``q·(W_K x_j) = (W_Kᵀ q)·x_j`` and ``Σ p_j W_V x_j = W_V Σ p_j x_j``.
        The key bias adds the same to all scores of a head and cancels in the softmax.

        Args:
            hidden: ``[tokens, hidden_size]``.
            lengths: Tokens of each text.

        Returns:
            ``[texts, hidden_size]``.
        """
        # One padded group: at one query a text, padding costs less than more and smaller products.
        context, first = self._attend_first(hidden, _Padding(AttentionGroup(0, list(lengths)), hidden.device))
        output = self.attention.output
        attended = self._drop(output.dense(context))
        return self._feed_forward(output.LayerNorm(attended + first), self._own_tensors())

    def _own_tensors(self) -> LayerTensors:
        # Only the feed-forward part is read, so the projections need not be joined.
        empty = self.attention.self.query.weight
        dense, norm = self.output.dense, self.output.LayerNorm
        inner = self.intermediate.dense
        return LayerTensors(*(empty,) * 6, inner.weight, inner.bias, dense.weight, dense.bias, norm.weight, norm.bias)

    def _attend_first(self, hidden: Tensor, padding: _Padding) -> tuple[Tensor, Tensor]:
        own, heads, size = self.attention.self, self.config.num_attention_heads, self.config.head_size
        inputs = padding.pad(hidden).to(own.key.weight.dtype)
        first = inputs[:, 0]
        query = own.query(first).view(-1, heads, size).transpose(0, 1)
        absorbed = (query @ own.key.weight.view(heads, size, -1)).transpose(0, 1)
        scores = absorbed @ inputs.transpose(1, 2) / math.sqrt(size)
        if padding.mask is not None:
            scores = scores.masked_fill(~padding.mask[:, None], -torch.inf)
        probabilities = self._drop_attention(scores.softmax(-1))
        mixed = (probabilities @ inputs).transpose(0, 1)
        values = mixed @ own.value.weight.view(heads, size, -1).transpose(1, 2)
        bias = own.value.bias.view(heads, 1, size) * probabilities.sum(-1).T[..., None]
        # The key bias has no influence; with a zero gradient the optimizer treats it as any other parameter.
        unused = 0 * own.key.bias if own.key.bias.requires_grad else 0
        return (values + bias).transpose(0, 1).flatten(1) + unused, first

    def _attend(self, qkv: Tensor, lengths: Sequence[int]) -> Tensor:
        heads, size = self.config.num_attention_heads, self.config.head_size
        dropout = self.config.attention_probs_dropout_prob if self.training else 0.0
        kernel = None if dropout else _varlen_kernel(qkv, size)
        if kernel is not None:
            bounds = _bounds(tuple(lengths), qkv.device)
            packed = qkv.view(-1, 3, heads, size).unbind(1)
            context: Tensor = kernel(*packed, bounds, bounds, max(lengths), max(lengths))
            return context.flatten(1)
        # Torch's own attention on the CPU is slow with dropout and, backwards, in bf16.
        written_out = qkv.is_cpu and torch.is_grad_enabled() and (dropout > 0 or qkv.dtype != torch.float32)
        attend = self._attend_written_out if written_out else functional.scaled_dot_product_attention
        contexts = []
        min_fill = _MIN_FILL_WITH_GRADIENTS if torch.is_grad_enabled() else _MIN_FILL
        for padding in _paddings(tuple(lengths), min_fill, qkv.device):
            query, key, value = (
                padding.pad(qkv).view(padding.texts, padding.longest, 3, heads, size).permute(2, 0, 3, 1, 4).unbind()
            )
            mask = None if padding.mask is None else padding.mask[:, None, None]
            context = attend(query, key, value, mask, dropout)
            contexts.append(padding.unpad(context.transpose(1, 2).flatten(2)))
        return torch.cat(contexts)

    @staticmethod
    def _attend_written_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
        scores = query / math.sqrt(query.shape[-1]) @ key.transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return _dropout(scores.softmax(-1), dropout, True) @ value

    def _feed_forward(self, hidden: Tensor, t: LayerTensors) -> Tensor:
        activation = _ACTIVATIONS[self.config.hidden_act]
        inner = activation(functional.linear(hidden, t.intermediate_weight, t.intermediate_bias))
        outer = functional.linear(inner, t.output_weight, t.output_bias)
        return self._norm(self._drop(outer) + hidden, t.output_norm_weight, t.output_norm_bias)

    def _norm(self, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.layer_norm(hidden, (self.config.hidden_size,), weight, bias, self.config.layer_norm_eps)

    def _drop(self, hidden: Tensor) -> Tensor:
        return _dropout(hidden, self.config.hidden_dropout_prob, self.training)

    def _drop_attention(self, probabilities: Tensor) -> Tensor:
        return _dropout(probabilities, self.config.attention_probs_dropout_prob, self.training)


class _Embeddings(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dropout = config.hidden_dropout_prob
        self.word_embeddings = _Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = _Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = _Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, input_ids: Tensor, lengths: Sequence[int]) -> Tensor:
        ends = torch.tensor(lengths, device=input_ids.device)
        starts = (ends.cumsum(0) - ends).repeat_interleave(ends, output_size=len(input_ids))
        positions = torch.arange(len(input_ids), device=input_ids.device) - starts
        embedded = self.word_embeddings(input_ids) + self.token_type_embeddings.weight[0]
        hidden: Tensor = self.LayerNorm(embedded + self.position_embeddings(positions))
        return _dropout(hidden, self.dropout, self.training)


class _Encoder(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))


class _Bert(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config)
        self.pooler = _Dense(config.hidden_size, config.hidden_size)


class PackedBert(nn.Module):
    """BERT with a classifier on [CLS], for packed batches; computes what ``BertForSequenceClassification`` does.

    A new one has no values yet: load a state into it.

    Args:
        config: Its sizes.
        num_labels: Number of classes.
    """

    def __init__(self, config: EncoderConfig, num_labels: int) -> None:
        super().__init__()
        self.config = config
        self.bert = _Bert(config)
        self.classifier = _Linear(config.hidden_size, num_labels)

    @property
    def layers(self) -> list[BertLayer]:
        """The encoder layers, first to last."""
        return list(self.bert.encoder.layer)  # type: ignore[arg-type]

    def train(self, mode: bool = True) -> PackedBert:
        """As in torch, but embeddings and layers that are frozen stay in evaluation mode: without dropout."""
        super().train(mode)
        for module in (self.bert.embeddings, *self.layers):
            if not any(p.requires_grad for p in module.parameters()):
                module.eval()
        return self

    def forward(self, input_ids: Tensor, lengths: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Logits of a packed batch.

        Args:
            input_ids: ``int64[tokens]``, texts end to end.
            lengths: Tokens of each text.
            dtype: What all layers but the last compute in.

        Returns:
            ``float32[texts, classes]``.
        """
        return self.suffix(self.bert.embeddings(input_ids, lengths).to(dtype), lengths, 0)

    def suffix(
        self,
        hidden: Tensor,
        lengths: Sequence[int],
        start: int,
        layers: Sequence[BertLayer] | None = None,
        *,
        passes: int = 1,
    ) -> Tensor:
        """Logits from the input of layer ``start``.

        Args:
            hidden: ``[tokens, hidden_size]``; with ``start`` = number of layers, the [CLS] outputs alone.
            lengths: Tokens of each text in ``hidden``.
            start: The first layer that is still to be run.
            layers: What to run instead of the layers from ``start`` on.
            passes: How many times the last layer and what follows it are run, each time with other dropout.

        Returns:
            ``float32[passes * texts, classes]``, one pass after the other.
        """
        layers = self.layers[start:] if layers is None else layers
        for layer in layers[:-1]:
            hidden = layer(hidden, lengths)
        if passes > 1:
            hidden, lengths = hidden.repeat(passes, 1), list(lengths) * passes
        first = layers[-1].forward_first(hidden, lengths) if layers else hidden
        pooled = torch.tanh(self.bert.pooler.dense(first.float()))
        dropout = self.config.classifier_dropout
        dropout = self.config.hidden_dropout_prob if dropout is None else dropout
        logits: Tensor = self.classifier(_dropout(pooled, dropout, self.training))
        return logits
