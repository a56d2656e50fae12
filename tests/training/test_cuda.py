"""What training needs on a GPU, tested with stand-ins; ``make cuda`` tests it on a GPU."""

from types import SimpleNamespace

import pytest
import torch

from emoclass.config import TrainConfig
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.freezing import freeze
from emoclass.training.loop import LoopState
from tests.conftest import TINY, random_tensors


def test_a_checkpoint_has_the_gpus_random_number_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise dropout would repeat after resuming, because a run starts by setting the seed."""
    model = PackedBert(EncoderConfig(**TINY), 3)
    model.load_state_dict(random_tensors(model))
    freeze(model, 1)
    state = LoopState(model, 4, TrainConfig())
    gpu = torch.device("cuda", 1)
    state.sums = SimpleNamespace(is_cuda=True, device=gpu, copy_=lambda sums: None)
    restored = []
    monkeypatch.setattr("torch.cuda.get_rng_state", lambda device: torch.tensor([device.index, 7], dtype=torch.uint8))
    monkeypatch.setattr("torch.cuda.set_rng_state", lambda numbers, device: restored.append((numbers.tolist(), device)))
    state.restore(state.tensors(), state.facts())
    assert restored == [([1, 7], gpu)]
