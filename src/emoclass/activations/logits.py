"""Logits of many texts."""

from __future__ import annotations

import torch
from torch import Tensor

from emoclass.activations.sources import ActivationSource
from emoclass.encoders.batching import chunk_tokens, longest_first
from emoclass.encoders.interface import Model


@torch.no_grad()
def compute_logits(model: Model, source: ActivationSource) -> Tensor:
    """Logits of all texts of a source, ``float32[texts, classes]`` on the CPU, in the source's order.

    The model is expected in evaluation mode.
    """
    logits = torch.empty(len(source.lengths), model.classifier.out_features, dtype=torch.float32)
    budget = chunk_tokens(model.classifier.weight.device)
    for indices in longest_first(source.lengths, budget):
        hidden, lengths = source.batch(indices)
        logits[torch.from_numpy(indices)] = model.logits_from_layer(hidden, lengths, source.depth).cpu()
    return logits
