"""BERT on packed batches: texts end to end, no padding; parameter names are those of transformers' checkpoints.

A batch is ``hidden: float[tokens, hidden_size]`` with ``lengths: list[int]``. Linear layers, GELU and LayerNorm
see tokens only; only attention uses the lengths. It is fastest when texts are sorted by length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.dropout import dropout
from emoclass.encoders.bert.layer import BertLayer, Dense, UninitializedLinear
from emoclass.runtime import to_device

# On the CPU a batch has a multiple of this many rows, or of fewer where the padding would be more than an eighth.
_ROWS = 256
# MKL selects a function's kernel at its first call. If several threads call it at once, one may use an inexact kernel
# (errors of 5e-5 in tanh), so one thread calls each function that uses MKL here.
for _function in (torch.tanh, torch.exp):
    _function(torch.zeros(1))


def pad_rows(hidden: Tensor) -> Tensor:
    """Append rows of zeros to ``[tokens, hidden_size]`` on the CPU, where oneDNN compiles kernels for each row count.

    With AMX those for the products of one layer take as long as the products themselves, up to 70 ms.
    """
    if not hidden.is_cpu:
        return hidden
    multiple = min(_ROWS, 1 << max(0, (len(hidden) // 8).bit_length() - 1))
    return functional.pad(hidden, (0, 0, 0, -len(hidden) % multiple))


_POOLER_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": functional.relu,
    "gelu": functional.gelu,
}


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        pass


class Embeddings(nn.Module):
    """Embeddings of tokens and positions, normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dropout, self.first_position = config.hidden_dropout_prob, config.first_position
        width = config.embedding_size or config.hidden_size
        self.word_embeddings = _Embedding(config.vocab_size, width)
        self.position_embeddings = _Embedding(config.max_position_embeddings, width)
        if config.type_vocab_size:
            self.token_type_embeddings = _Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        if config.embedding_size is not None:
            self.project = UninitializedLinear(width, config.hidden_size)

    def forward(self, input_ids: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return ``[tokens, hidden_size]`` from ``int64[tokens]``."""
        ends = to_device(torch.tensor(lengths), input_ids.device)
        starts = (ends.cumsum(0) - ends).repeat_interleave(ends, output_size=len(input_ids))
        positions = torch.arange(self.first_position, len(input_ids) + self.first_position, device=input_ids.device)
        # A sparse gradient has only the rows that were read, not the whole vocabulary.
        words = functional.embedding(input_ids, self.word_embeddings.weight, sparse=input_ids.device.type != "mps")
        if hasattr(self, "token_type_embeddings"):
            words = words + self.token_type_embeddings.weight[0]
        hidden: Tensor = self.LayerNorm(words + self.position_embeddings(positions - starts))
        hidden = dropout(hidden, self.dropout, self.training)
        return self.project(hidden) if hasattr(self, "project") else hidden


class _Encoder(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))


class _Bert(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = _Encoder(config)
        self.pooler = Dense(config.hidden_size, config.hidden_size)


class PackedBert(nn.Module):
    """BERT with a classifier on [CLS], for packed batches; computes what ``BertForSequenceClassification`` does.

    A new one has no weights yet: load a state into it.

    Args:
        config: Its sizes.
        num_labels: Number of classes.
    """

    def __init__(self, config: EncoderConfig, num_labels: int) -> None:
        super().__init__()
        self.config = config
        self.bert = _Bert(config)
        self.classifier = UninitializedLinear(config.hidden_size, num_labels)

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings of tokens and positions."""
        return self.bert.embeddings

    @property
    def pooler(self) -> Dense:
        """The linear layer between [CLS] and the classifier."""
        return self.bert.pooler

    @property
    def layers(self) -> list[BertLayer]:
        """The encoder layers, first to last."""
        return list(self.bert.encoder.layer)  # type: ignore[arg-type]

    @property
    def deepest_cut(self) -> int:
        """The deepest layer whose input can be kept; behind the last layer it is [CLS] alone."""
        return self.config.num_hidden_layers

    def unfreeze_head(self, *, pooler: bool) -> None:
        """Make the classifier trainable, and the pooler if that is asked for or base models have none."""
        self.pooler.requires_grad_(pooler or not self.config.family.has_own_pooler)
        self.classifier.requires_grad_(True)

    def own_name(self, name: str) -> str:
        """Return the name of a parameter in its family's checkpoints."""
        return self.config.family.own_name(name)

    def train(self, mode: bool = True) -> PackedBert:
        """Set the mode as in torch, but keep frozen embeddings and layers in evaluation mode: without dropout."""
        super().train(mode)
        for module in (self.embeddings, *self.layers):
            if not any(p.requires_grad for p in module.parameters()):
                module.eval()
        return self

    def forward(self, input_ids: Tensor, lengths: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the logits of a packed batch.

        Args:
            input_ids: ``int64[tokens]``, texts end to end.
            lengths: Tokens of each text.
            dtype: What all layers but the last compute in.

        Returns:
            ``float32[texts, classes]``.
        """
        return self.logits_from_layer(self.embeddings(input_ids, lengths).to(dtype), lengths, 0)

    def logits_from_layer(self, hidden: Tensor, lengths: Sequence[int], start: int) -> Tensor:
        """Return the logits, ``float32[texts, classes]``, from the input of layer ``start``.

        Args:
            hidden: ``[tokens, hidden_size]``; after all layers ``[texts, hidden_size]``, [CLS] alone.
            lengths: Rows of each text in ``hidden``.
            start: Number of layers that have run.
        """
        return self.classify(self.cls_hidden(hidden, lengths, self.layers[start:]))

    @staticmethod
    def cls_hidden(hidden: Tensor, lengths: Sequence[int], layers: Sequence[BertLayer], *, passes: int = 1) -> Tensor:
        """Return the hidden state of [CLS] after the last layer.

        Args:
            hidden: Input of the first of the layers, ``[tokens, hidden_size]``; without layers [CLS] alone.
            lengths: Rows of each text in ``hidden``.
            layers: The layers to run: the last ones of a model, or copies of them.
            passes: How many times to run the last layer, each time with other dropout.

        Returns:
            ``float32[passes * texts, hidden_size]``, all texts of a pass side by side.
        """
        if len(layers) > 1:
            hidden = pad_rows(hidden)
        for layer in layers[:-1]:
            hidden = layer(hidden, lengths)
        cls = layers[-1].forward_cls(hidden, lengths, passes) if layers else hidden.repeat(passes, 1)
        return cls.float()

    def classify(self, cls_hidden: Tensor) -> Tensor:
        """Return the logits, ``float32[texts, classes]``, from [CLS] after the last layer."""
        family = self.config.family
        share = self.config.classifier_dropout
        share = self.config.hidden_dropout_prob if share is None else share
        if family.drops_cls:
            cls_hidden = dropout(cls_hidden, share, self.training)
        pooled = _POOLER_ACTIVATIONS[family.pooler_activation](self.pooler.dense(cls_hidden))
        logits: Tensor = self.classifier(dropout(pooled, share, self.training))
        return logits
