"""Every tensor of a training and a prediction is on the model's device, checked without a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from emoclass.activations import sources
from emoclass.activations.cache import ActivationCache, CacheBudget
from emoclass.activations.files import RowFile, RowWriter
from emoclass.activations.logits import compute_logits
from emoclass.activations.sources import (
    ActivationSource,
    ComputedActivations,
    FiledActivations,
    RowLayout,
    TokenIds,
)
from emoclass.config import TrainConfig, Unfreeze
from emoclass.encoders.bert import attention
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.freezing import freeze, frozen_depth
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.training import objective
from emoclass.training.events import Scores, StepDone
from emoclass.training.loop import LoopState, training_loop
from emoclass.training.ranks import Ranks
from tests.conftest import TINY

# Tensors on it have a device, a shape and a dtype, but no values.
META = torch.device("meta")
LENGTHS = [17, 17, 17, 17, 17, 17, 17, 17, 12, 11, 3, 3, 1]
CONFIG = EncoderConfig(**TINY)
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class OneDevice(TorchDispatchMode):
    """Refuse operations on tensors of several devices.

    A GPU refuses most of them; those that it allows, such as an index on the CPU, wait for its queue. Single numbers on
    the CPU go with any device.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        devices = {x.device for x in tensors if x.dim() or x.device.type != "cpu"}
        assert len(devices) < 2 or func in COPIES, f"{func} on {devices}"
        return func(*args, **(kwargs or {}))


class NoReads(Ranks):
    """Give zeros where the loop reads the mean loss: tensors on ``META`` have no values to read."""

    def total(self, values: Tensor) -> Tensor:
        return torch.zeros(values.shape)


@pytest.fixture(autouse=True)
def _one_device() -> Iterator[None]:
    attention._paddings.cache_clear()
    with OneDevice():
        yield


def make_model(unfreeze: Unfreeze) -> PackedBert:
    with META:
        model = PackedBert(CONFIG, 3)
    freeze(model, unfreeze, train_pooler=True)
    return model


def make_texts() -> TokenizedTexts:
    offsets = np.cumsum([0, *LENGTHS])
    return TokenizedTexts(np.arange(offsets[-1], dtype=np.int32) % 100, offsets, np.zeros(len(LENGTHS), dtype=np.bool_))


def computed(model: PackedBert, dtype: torch.dtype) -> ActivationSource:
    depth = frozen_depth(model)

    def embed(input_ids: Tensor, lengths: Sequence[int]) -> Tensor:
        hidden: Tensor = model.embeddings(input_ids, lengths)
        return hidden.to(dtype)

    prefix = embed if depth is None else FrozenPrefix(model, depth, dtype)
    return ComputedActivations(prefix, depth or 0, TokenIds(make_texts(), META))


def cached(model: PackedBert, dtype: torch.dtype) -> ActivationSource:
    prefix = FrozenPrefix(model, frozen_depth(model) or 0, dtype)
    return ActivationCache(prefix, META, CacheBudget(10**9, 0)).add(make_texts())


def train(model: PackedBert, source: ActivationSource, dtype: torch.dtype, **settings: Any) -> int:
    """Return the number of steps of an epoch on ``META``."""
    config = TrainConfig(batch_size=9, epochs=1, **settings)
    labels = np.arange(len(LENGTHS)) % 3
    state = LoopState(model, len(labels), config, dtype, NoReads())
    events = training_loop(model, source, labels, config, evaluate=lambda: Scores(0.0, 0.0, 0.0), state=state)
    steps = sum(isinstance(event, StepDone) for event in events)
    tensors = state.tensors()
    trainable = {f"model.{name}" for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable < set(tensors)
    assert {tensors[name].device for name in trainable} == {META}
    return steps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("unfreeze", ["all", "encoder", 1, 0])
def test_a_training_stays_on_its_device(unfreeze: Unfreeze, dtype: torch.dtype) -> None:
    model = make_model(unfreeze)
    options = {"mixup": 0.4, "r_drop": 1.0, "class_weights": "sqrt", "label_smoothing": 0.1, "layer_decay": 0.9}
    assert train(model, computed(model, dtype), dtype, **options) == 2


@pytest.mark.parametrize("unfreeze", [1, 0])
def test_a_training_on_kept_activations_stays_on_its_device(unfreeze: Unfreeze) -> None:
    model = make_model(unfreeze)
    assert train(model, cached(model, torch.bfloat16), torch.bfloat16) == 2


def test_a_training_on_activations_from_a_file_stays_on_its_device(tmp_path: Path) -> None:
    path, texts = tmp_path / "rows", make_texts()
    with RowWriter(path) as writer:
        writer.write(torch.zeros(sum(LENGTHS), CONFIG.hidden_size))
    file = RowFile(path, CONFIG.hidden_size, torch.float32, pinned=False)
    source = FiledActivations(file, RowLayout.of(texts, cls_only=False), texts.lengths, 1, META)
    assert train(make_model(1), source, torch.float32) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_prediction_stays_on_its_device(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[Tensor] = []

    def cpu(tensor: Tensor) -> Tensor:
        results.append(tensor)
        return torch.zeros(tensor.shape)

    monkeypatch.setattr(Tensor, "cpu", cpu)
    model = make_model(1).eval()
    logits = compute_logits(model, computed(model, dtype))
    assert logits.shape == (len(LENGTHS), 3)
    assert {tensor.device for tensor in results} == {META}


@pytest.mark.parametrize(("module", "what"), [(sources, "token ids"), (objective, "labels"), (attention, "masks")])
def test_a_tensor_that_is_left_on_the_cpu_is_noticed(module: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "to_device", lambda tensor, device: tensor)
    model = make_model(1)
    with pytest.raises((AssertionError, RuntimeError), match="meta"):
        train(model, computed(model, torch.float32), torch.float32)
