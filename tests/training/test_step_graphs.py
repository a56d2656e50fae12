"""Training steps in few shapes, computed here kernel by kernel; ``make cuda`` captures them on a GPU."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from emoclass.config import TrainConfig
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.freezing import freeze
from emoclass.training import loop, objective, step_graphs
from emoclass.training.events import Scores
from emoclass.training.loop import LoopState, training_loop
from emoclass.training.ranks import Ranks
from tests.conftest import TINY, random_tensors

CONFIG = replace(
    EncoderConfig(**TINY), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, max_position_embeddings=512
)
LENGTHS = np.array([140, 130, 70, 33, 32, 31, 20, 17, 16, 15, 9, 3, 1, 2, 5, 8, 40, 41])
CPU = torch.device("cpu")


class Kept:
    """Activations of all texts; after the last layer [CLS] alone."""

    def __init__(self, *, cls_only: bool) -> None:
        self.depth, self.lengths = CONFIG.num_hidden_layers - (not cls_only), LENGTHS
        generator = torch.Generator().manual_seed(0)
        self.rows = np.ones_like(LENGTHS) if cls_only else LENGTHS
        self.hidden = [torch.randn(rows, CONFIG.hidden_size, generator=generator) for rows in self.rows]

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, list[int]]:
        return torch.cat([self.hidden[index] for index in indices]), self.rows[indices].tolist()


def train(unfreeze: int, *, several: bool = False, **settings: Any) -> dict[str, Tensor]:
    """Return the trained weights, and the loss and accuracy of each epoch."""
    torch.manual_seed(0)
    model = PackedBert(CONFIG, 3)
    model.load_state_dict(random_tensors(model))
    freeze(model, unfreeze, train_pooler=True)
    config = TrainConfig(unfreeze=unfreeze, batch_size=5, epochs=3, learning_rate=1e-2, **settings)
    labels = np.arange(len(LENGTHS)) % 3
    if several:
        labels = labels[:, None] <= np.arange(3)
    state = LoopState(model, len(labels), config)
    source = Kept(cls_only=unfreeze == 0)
    epochs = [
        [event.train_loss, event.train_accuracy]
        for event in training_loop(model, source, labels, config, evaluate=lambda: Scores(0.0, 0.0, 0.0), state=state)
        if isinstance(event, loop.EpochDone)
    ]
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return {**trained, "epochs": torch.tensor(epochs)}


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Take steps in few shapes on the CPU too; return the padded lengths of the steps so far."""
    found: list[int] = []
    original = step_graphs._Step.__init__

    def remembered(self: Any, *arguments: Any) -> None:
        found.append(arguments[3])
        original(self, *arguments)

    monkeypatch.setattr(step_graphs._Step, "__init__", remembered)
    return lambda: found


@pytest.mark.parametrize("unfreeze", [1, 0])
@pytest.mark.parametrize("r_drop", [0.0, 1.0])
@pytest.mark.parametrize("several", [False, True])
def test_steps_in_few_shapes_train_the_same_model(
    unfreeze: int, r_drop: float, several: bool, lengths: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"several": several, "r_drop": r_drop, "class_weights": "sqrt", "label_smoothing": 0.1}
    if several:
        options["focal_gamma"] = 2.0
    packed = train(unfreeze, **options)
    assert lengths() == []
    monkeypatch.setattr(loop, "is_usable", lambda *arguments: True)
    padded = train(unfreeze, **options)
    assert lengths()
    for name, tensor in packed.items():
        torch.testing.assert_close(padded[name], tensor, rtol=1e-3, atol=1e-4)


def test_texts_are_padded_to_few_lengths(lengths: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "is_usable", lambda *arguments: True)
    train(1)
    assert set(lengths()) <= {16, 32, 48, 64, 80, 96, 112, 128, 192}
    assert [step_graphs._rounded(rows) for rows in (1, 2, 16, 17, 128, 129, 500, 512)] == [
        1, 16, 16, 32, 128, 192, 512, 512,
    ]  # fmt: skip


def test_a_batch_that_must_be_cut_is_taken_in_parts(
    lengths: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "micro_batch_tokens", lambda device, layers: 150)
    packed = train(1)
    monkeypatch.setattr(loop, "is_usable", lambda *arguments: True)
    padded = train(1)
    assert lengths()
    torch.testing.assert_close(padded["epochs"], packed["epochs"], rtol=1e-3, atol=1e-4)


def test_graphs_are_for_one_gpu_and_the_last_layer() -> None:
    gpu = torch.device("cuda")
    assert step_graphs.is_usable(gpu, 1, TrainConfig(r_drop=1.0), Ranks())
    assert step_graphs.is_usable(gpu, 0, TrainConfig(), Ranks())
    assert not step_graphs.is_usable(CPU, 1, TrainConfig(), Ranks())
    assert not step_graphs.is_usable(gpu, 2, TrainConfig(), Ranks())
    assert not step_graphs.is_usable(gpu, 1, TrainConfig(mixup=0.4), Ranks())
    assert not step_graphs.is_usable(gpu, 1, TrainConfig(), Ranks(0, 2))
