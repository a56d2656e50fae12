"""The first layers of a generic model, run without gradients."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from emoclass.encoders.generic.model import GenericModel
from emoclass.fingerprint import tensor_bytes


class GenericPrefix:
    """The embeddings and the first layers of a model; see ``FrozenPrefix``.

    Args:
        model: The model; its weights must not change while this is used.
        depth: Number of layers.
        dtype: Dtype of the layers and of the output.
        start: Number of layers that have run already; 0 if the embeddings have not run either.
    """

    cls_only = False

    def __init__(self, model: GenericModel, depth: int, dtype: torch.dtype, *, start: int = 0) -> None:
        self.model, self.depth, self.dtype, self.start = model, depth, dtype, start

    @property
    def hidden_size(self) -> int:
        """Width of the output."""
        return self.model.config.hidden_size

    @cached_property
    def sha256(self) -> bytes:
        """Hash of all that the output depends on beside the input."""
        digest = hashlib.sha256(repr((self.model.config, self.depth, self.dtype)).encode())
        for name, parameter in self.model.model.base_model.named_parameters():
            digest.update(name.encode())
            digest.update(tensor_bytes(parameter.detach().cpu()))
        return digest.digest()

    @torch.no_grad()
    def __call__(self, inputs: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return ``dtype[tokens, hidden_size]``.

        Args:
            inputs: Token ids, ``int64[tokens]``, or the input of layer ``start``.
            lengths: Tokens of each text.
        """
        return self.model.hidden_at(inputs, lengths, self.depth, start=self.start, dtype=self.dtype)
