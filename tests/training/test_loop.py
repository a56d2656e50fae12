"""One optimizer step: what it keeps in memory, and on which device it computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from emoclass.config import TrainConfig, Unfreeze
from emoclass.encoders.batching import token_chunks
from emoclass.encoders.bert.attention_training import attention_plan
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.freezing import freeze
from emoclass.training import loop
from emoclass.training.loop import LoopState, Scores, training_loop
from tests.conftest import TINY, random_tensors

CONFIG = replace(EncoderConfig(**TINY), max_position_embeddings=128, hidden_size=16, num_hidden_layers=4)
LENGTHS = [90, 80, 70, 60, 50, 40, 30, 30, 20, 10]


class Source:
    """Random activations, and a call before each batch of them."""

    def __init__(self, depth: int, lengths: list[int] = LENGTHS) -> None:
        self.depth, self.lengths = depth, np.array(lengths)

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        lengths = self.lengths[indices].tolist()
        return torch.randn(sum(lengths), CONFIG.hidden_size), lengths


def make_model(unfreeze: Unfreeze) -> PackedBert:
    model = PackedBert(CONFIG, 3)
    model.load_state_dict(random_tensors(model))
    freeze(model, unfreeze)
    return model


class LiveMemory(TorchDispatchMode):
    """Counts the bytes that operations have allocated and that are not freed yet."""

    def __init__(self) -> None:
        super().__init__()
        self._storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and not tensor.is_sparse:
                storage = tensor.untyped_storage()
                self._storages[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        return result

    def live(self, *known: Tensor) -> int:
        """Without the memory of ``known`` tensors."""
        own = {tensor.untyped_storage()._cdata for tensor in known}
        return sum(size for key, (ref, size) in self._storages.items() if key not in own and not ref.expired())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_of_a_micro_batch_outlives_its_backward(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "token_chunks", lambda lengths, budget: token_chunks(lengths, 100))
    model = make_model("encoder")
    labels = np.arange(len(LENGTHS)) % 3
    config = TrainConfig(unfreeze="encoder", batch_size=len(LENGTHS), epochs=2)
    state = LoopState(model, len(labels), config, dtype)
    weights = [*model.parameters(), *(p for layer in state.working.layers for p in layer.parameters())]
    before_forward, before_backward = [], []

    def live() -> int:
        attention_plan.cache_clear()
        gradients = [p.grad for p in weights if p.grad is not None]
        return memory.live(*weights, *gradients, *state.optimizer.tensors().values())

    class Watched(Source):
        def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
            before_forward.append(live())
            return super().batch(indices)

    def backward(loss: Tensor) -> None:
        before_backward.append(live())
        original(loss)

    original = Tensor.backward
    monkeypatch.setattr(Tensor, "backward", backward)
    with LiveMemory() as memory:
        list(training_loop(model, Watched(0), labels, config, evaluate=lambda: Scores(0.0, 0.0, 0.0), state=state))
    assert len(before_forward) == len(before_backward) > 2 * 3
    assert max(before_forward) < 0.02 * min(before_backward)
