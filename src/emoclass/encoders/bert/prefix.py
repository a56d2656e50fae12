"""The frozen layers of a model, run without gradients."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from emoclass.encoders.bert.model import PackedBert, pad_rows
from emoclass.fingerprint import tensor_bytes


class FrozenPrefix:
    """The embeddings and the first layers of a model, without dropout or gradients, their weights prepared once.

    Args:
        model: The model; its weights must not change while this is used.
        depth: Number of layers; with all layers the output is [CLS] of the last one alone.
        dtype: Dtype of the layers and of the output.
        start: Number of layers that have run already; 0 if the embeddings have not run either.

    The model's layers are expected in evaluation mode, where frozen ones always are.
    """

    def __init__(self, model: PackedBert, depth: int, dtype: torch.dtype, *, start: int = 0) -> None:
        self.model, self.depth, self.dtype, self.start = model, depth, dtype, start
        self._whole = model.layers[start : min(depth, model.config.num_hidden_layers - 1)]
        with torch.no_grad():
            self._tensors = [layer.tensors(dtype) for layer in self._whole]

    @property
    def cls_only(self) -> bool:
        """Whether the output is each text's [CLS] alone."""
        return self.depth == self.model.config.num_hidden_layers

    @property
    def hidden_size(self) -> int:
        """Width of the output."""
        return self.model.config.hidden_size

    @cached_property
    def sha256(self) -> bytes:
        """Hash of all that the output depends on beside the input: weights, depth and dtype; there is no dropout."""
        digest = hashlib.sha256(repr((self.model.config.with_dropout(0), self.depth, self.dtype)).encode())
        for module in (self.model.embeddings, *self.model.layers[: self.depth]):
            for parameter in module.parameters():
                digest.update(tensor_bytes(parameter.detach().cpu()))
        return digest.digest()

    @torch.no_grad()
    def __call__(self, inputs: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return ``dtype[tokens, hidden_size]``, or ``float32[texts, hidden_size]`` at full depth.

        Args:
            inputs: Token ids, ``int64[tokens]``, or the input of layer ``start``.
            lengths: Tokens of each text.
        """
        hidden = inputs if self.start else self.model.embeddings(inputs, lengths).to(self.dtype)
        tokens = len(hidden)
        if self._whole:
            hidden = pad_rows(hidden)
        for layer, tensors in zip(self._whole, self._tensors, strict=True):
            hidden = layer(hidden, lengths, tensors)
        return self.model.layers[-1].forward_cls(hidden, lengths) if self.cls_only else hidden[:tokens]
