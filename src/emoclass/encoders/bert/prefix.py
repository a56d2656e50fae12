"""The frozen part of a model, run without gradients, and logits of many texts from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from emoclass.encoders.bert.model import PackedBert, with_more_rows


class FrozenPrefix:
    """The embeddings and the first layers of a model, without dropout or gradients, their weights prepared once.

    Args:
        model: The model; its weights must not change as long as this is used.
        depth: Number of layers; the number of all layers means [CLS] of the last layer alone.
        dtype: What the layers compute in, and what they return.
        start: Number of layers that have run already; 0 means that the embeddings have not either.

    The model's layers are expected in evaluation mode, where frozen ones always are.
    """

    def __init__(self, model: PackedBert, depth: int, dtype: torch.dtype, *, start: int = 0) -> None:
        self.model, self.depth, self.dtype, self.start = model, depth, dtype, start
        self._whole = model.layers[start : min(depth, model.config.num_hidden_layers - 1)]
        with torch.no_grad():
            self._tensors = [layer.tensors(dtype) for layer in self._whole]

    @property
    def only_first(self) -> bool:
        """Whether only each text's first token comes out."""
        return self.depth == self.model.config.num_hidden_layers

    @property
    def hidden_size(self) -> int:
        """Width of what comes out."""
        return self.model.config.hidden_size

    @torch.no_grad()
    def __call__(self, inputs: Tensor, lengths: Sequence[int]) -> Tensor:
        """``dtype[tokens, hidden_size]``, or ``float32[texts, hidden_size]`` at full depth.

        Args:
            inputs: Token ids, ``int64[tokens]``, or the input of layer ``start``.
            lengths: Tokens of each text.
        """
        hidden = inputs if self.start else self.model.bert.embeddings(inputs, lengths).to(self.dtype)
        tokens = len(hidden)
        if self._whole:
            hidden = with_more_rows(hidden)
        for layer, tensors in zip(self._whole, self._tensors, strict=True):
            hidden = layer(hidden, lengths, tensors)
        return self.model.layers[-1].forward_first(hidden, lengths) if self.only_first else hidden[:tokens]
