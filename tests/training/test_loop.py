"""One optimizer step: what it keeps in memory, and on which device it computes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

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
from emoclass.encoders.freezing import freeze, frozen_depth
from emoclass.torch_state import seed_torch
from emoclass.training import objective
from emoclass.training.events import Scores
from emoclass.training.loop import LoopState, training_loop
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


class Usage(NamedTuple):
    """Bytes of activations at each micro-batch."""

    before_forward: list[int]
    before_backward: list[int]


def measure(config: TrainConfig, lengths: list[int], dtype: torch.dtype = torch.float32) -> Usage:
    """Train on random activations of texts of these lengths."""
    model = make_model(config.unfreeze)
    labels = np.arange(len(lengths)) % 3
    state = LoopState(model, len(labels), config, dtype)
    weights = [*model.parameters(), *(p for layer in state.working.layers for p in layer.parameters())]
    usage = Usage([], [])

    def live() -> int:
        attention_plan.cache_clear()
        gradients = [p.grad for p in weights if p.grad is not None]
        return memory.live(*weights, *gradients, *state.optimizer.tensors().values())

    class Watched(Source):
        def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
            usage.before_forward.append(live())
            return super().batch(indices)

    def backward(loss: Tensor) -> None:
        usage.before_backward.append(live())
        original(loss)

    original = Tensor.backward
    source = Watched(frozen_depth(model) or 0, lengths)
    with LiveMemory() as memory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "backward", backward)
        list(training_loop(model, source, labels, config, evaluate=lambda: Scores(0.0, 0.0, 0.0), state=state))
    return usage


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_of_a_micro_batch_outlives_its_backward(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "token_chunks", lambda lengths, budget: token_chunks(lengths, 100))
    usage = measure(TrainConfig(unfreeze="encoder", batch_size=len(LENGTHS), epochs=2), LENGTHS, dtype)
    assert len(usage.before_forward) == len(usage.before_backward) > 2 * 3
    assert max(usage.before_forward) < 0.02 * min(usage.before_backward)


@pytest.mark.parametrize("lengths", [[25] * 64, [512] * 32, [512] + [25] * 63, [512] * 64])
def test_usual_batches_of_the_last_layer_alone_stay_whole(lengths: list[int]) -> None:
    usage = measure(TrainConfig(unfreeze=1, batch_size=len(lengths), epochs=1), lengths)
    assert len(usage.before_backward) == 1


@pytest.mark.parametrize("r_drop", [0.0, 1.0])
def test_memory_of_the_last_layer_alone_does_not_grow_with_the_batch(r_drop: float) -> None:
    sizes = [64, 256]
    small, large = (
        max(measure(TrainConfig(unfreeze=1, batch_size=n, epochs=1, r_drop=r_drop), [512] * n).before_backward)
        for n in sizes
    )
    assert large < 1.1 * small


def test_the_second_pass_of_r_drop_does_not_copy_the_inputs() -> None:
    lengths = [512] * 8
    once, twice = (
        max(measure(TrainConfig(unfreeze=1, batch_size=8, epochs=1, r_drop=r_drop), lengths).before_backward)
        for r_drop in (0.0, 1.0)
    )
    inputs = sum(lengths) * CONFIG.hidden_size * 4
    assert twice - once < inputs


class FakeGenerator:
    """Stands for the random number generator of a GPU that this machine lacks."""

    def __init__(self, patch: pytest.MonkeyPatch, device: torch.device) -> None:
        self.state = torch.arange(16, dtype=torch.uint8)
        arguments = [device] if device.type == "cuda" else []

        def get(*given: object) -> Tensor:
            assert list(given) == arguments
            return self.state.clone()

        def restore(state: Tensor, *given: object) -> None:
            assert list(given) == arguments
            assert state.device.type == "cpu"
            self.state = state

        patch.setattr(f"torch.{device.type}.get_rng_state", get)
        patch.setattr(f"torch.{device.type}.set_rng_state", restore)
        patch.setattr("torch.cuda.device", lambda device: nullcontext())
        patch.setattr("torch.cuda.manual_seed", lambda seed: setattr(self, "state", torch.tensor(seed)))
        patch.setattr("torch.mps.manual_seed", lambda seed: setattr(self, "state", torch.tensor(seed)))


@pytest.mark.parametrize("device", [torch.device("cuda", 1), torch.device("mps")])
def test_a_resumed_training_continues_the_devices_random_numbers(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = FakeGenerator(monkeypatch, device)
    state = LoopState(make_model(1), 4, TrainConfig())
    state.device = device
    tensors, expected = state.tensors(), generator.state
    generator.state = torch.zeros(16, dtype=torch.uint8)
    state.restore(tensors, state.metadata())
    assert torch.equal(generator.state, expected)


@pytest.mark.parametrize("device", [torch.device("cuda", 1), torch.device("mps")])
def test_a_checkpoint_of_a_cpu_resumes_on_a_gpu_with_other_dropout(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = FakeGenerator(monkeypatch, device)
    state = LoopState(make_model(1), 4, TrainConfig())
    first = state.tensors()["random"]
    state.step = 3
    tensors = state.tensors()
    state.device = device
    seed_torch(TrainConfig.seed, device)  # as every training begins
    beginning = generator.state
    state.restore(tensors, state.metadata())
    assert not torch.equal(generator.state, beginning)
    assert torch.equal(torch.random.get_rng_state(), first)
