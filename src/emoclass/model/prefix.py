"""The frozen part of a model, run without gradients, and logits of many texts from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.model.encoder import PackedBert, with_more_rows
from emoclass.model.tokenization import TokenizedTexts
from emoclass.runtime import is_out_of_memory

# A chunk's texts, were all as long as the longest, have at most so many times its tokens: the last layer pads them.
_MOST_PADDING = 2
# Tokens per forward pass: large enough for full matrix products, small enough for the caches of a CPU.
_CHUNK_TOKENS = {"cpu": 4096, "cuda": 65_536}
# Until a step's gradient is known each of several layers keeps some 25 kB of a token at bert-base's width, and as much
# again for attention over 512 tokens.
_STEP_TOKENS = {"cpu": 8_192, "cuda": 32_768}


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


def token_chunks(lengths: Sequence[int], budget: int) -> list[slice]:
    """Cuts consecutive texts into chunks of at most ``budget`` tokens, each with at least one text.

    Texts of very different lengths are kept apart: padded to the longest a chunk has at most twice the budget.
    """
    borders, tokens, longest = [0], 0, 0
    for index, length in enumerate(lengths):
        padded = (index - borders[-1] + 1) * max(longest, length)
        if (tokens + length > budget or padded > _MOST_PADDING * budget) and index > borders[-1]:
            borders.append(index)
            tokens = longest = 0
        tokens, longest = tokens + length, max(longest, length)
    if lengths:
        borders.append(len(lengths))
    return [slice(start, end) for start, end in pairwise(borders)]


class ActivationSource(Protocol):
    """Where the input of layer ``depth`` comes from, for any selection of a set of texts."""

    depth: int

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, ``int64[texts]``; what is alike in length is computed together."""

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """``[rows, hidden_size]`` of these texts end to end, and the rows of each: its tokens, or [CLS] alone."""


class TokenIds:
    """Token ids of texts as the input of the embeddings.

    Args:
        tokenized: The texts.
        device: Where ids are wanted.
    """

    depth = 0

    def __init__(self, tokenized: TokenizedTexts, device: torch.device) -> None:
        self._tokenized, self._device = tokenized, device

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, ``int64[texts]``."""
        return self._tokenized.lengths

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """``int64[tokens]`` of these texts end to end, and the tokens of each."""
        texts = self._tokenized.take(indices)
        return torch.from_numpy(texts.input_ids).to(self._device, torch.int64), texts.lengths.tolist()


class ChosenActivations:
    """Some texts of a source as a source, in any order.

    Args:
        source: All texts.
        chosen: Which, ``int64[texts]``.

    Attributes:
        lengths: Tokens of each text, ``int64[texts]``.
    """

    def __init__(self, source: ActivationSource, chosen: npt.NDArray[np.int64]) -> None:
        self.depth, self._source, self._chosen = source.depth, source, chosen
        self.lengths = source.lengths[chosen]

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        """Rows of these texts end to end, and the rows of each."""
        return self._source.batch(self._chosen[indices])


class ComputedActivations:
    """Activations computed each time they are asked for.

    Args:
        compute: From ids or activations, and lengths, to ``[tokens, hidden_size]``: a prefix, or trainable embeddings.
        depth: The layer whose input they are.
        inputs: What to compute them from.
    """

    def __init__(
        self, compute: Callable[[Tensor, Sequence[int]], Tensor], depth: int, inputs: ActivationSource
    ) -> None:
        self.depth = depth
        self._compute, self._inputs = compute, inputs

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return self._inputs.lengths

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        inputs, lengths = self._inputs.batch(indices)
        hidden = self._computed(inputs, lengths)
        if hidden is not None:
            return hidden, lengths if len(hidden) == len(inputs) else [1] * len(lengths)
        # Here, and not where the error was caught: it would keep what was allocated for the whole.
        half = len(indices) // 2
        (first, rows), (second, more) = self.batch(indices[:half]), self.batch(indices[half:])
        return torch.cat([first, second]), rows + more

    def _computed(self, inputs: Tensor, lengths: list[int]) -> Tensor | None:
        """``None`` if there is no memory for so many texts at once."""
        try:
            return self._compute(inputs, lengths)
        except (RuntimeError, MemoryError) as error:
            if len(lengths) == 1 or not is_out_of_memory(error):
                raise
            return None


def chunk_tokens(device: torch.device, *, learning: bool = False) -> int:
    """How many tokens this kind of device takes at once, or through several layers that learn."""
    budgets = _STEP_TOKENS if learning else _CHUNK_TOKENS
    return budgets.get(device.type, budgets["cpu"])


def longest_first(lengths: npt.NDArray[np.int64], budget: int) -> list[npt.NDArray[np.int64]]:
    """Indices of all texts, longest first, cut into chunks of at most ``budget`` tokens."""
    order = np.argsort(-lengths, kind="stable")
    return [order[chunk] for chunk in token_chunks(lengths[order].tolist(), budget)]


@torch.no_grad()
def compute_logits(model: PackedBert, source: ActivationSource) -> Tensor:
    """Logits of all texts of a source, ``float32[texts, classes]`` on the CPU, in the source's order.

    The model is expected in evaluation mode.
    """
    logits = torch.empty(len(source.lengths), model.classifier.out_features)
    budget = chunk_tokens(model.classifier.weight.device)
    for indices in longest_first(source.lengths, budget):
        hidden, lengths = source.batch(indices)
        logits[torch.from_numpy(indices)] = model.suffix(hidden, lengths, source.depth).cpu()
    return logits
