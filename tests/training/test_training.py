"""A training learns, keeps its best epoch, and can be repeated bit by bit."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoclass.activations.cache import CacheUse
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData, select
from emoclass.encoders.base import resolve_base
from emoclass.encoders.batching import token_chunks
from emoclass.errors import EmoclassError, ModelError, StoppedError
from emoclass.inference.predictor import load
from emoclass.runtime import models_dir
from emoclass.training import finishing, objective
from emoclass.training import fitting as fitting_module
from emoclass.training import train as train_module
from emoclass.training.events import EpochDone, PrefixDone, Prepared, TextsEncoded
from emoclass.training.optimizer import linear_schedule
from emoclass.training.train import TrainResult
from tests.conftest import HUB_CONFIG
from tests.runs import read_tensors, run_training

Config = Callable[..., TrainConfig]


def figures(result: TrainResult) -> list[tuple[float, ...]]:
    return [(e.train_loss, e.train_accuracy, e.val_loss, e.val_accuracy) for e in result.history]


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return read_tensors(result.model.directory)


@pytest.mark.slow
@pytest.mark.parametrize("unfreeze", [2, "all"])
def test_overfits_a_tiny_set(
    parts: TrainingData, config: Config, tiny_base: Path, tmp_path: Path, unfreeze: Any
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "no-dropout"))
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps({**HUB_CONFIG, **no_dropout}))
    few = select(parts.train, range(0, len(parts.train), 2))
    parts = replace(parts, train=few, val=few, test=few)
    result = run_training(parts, config(base_model=str(base), unfreeze=unfreeze, learning_rate=1e-2, epochs=100))
    assert result.history[-1].train_loss < 0.2 * result.history[0].train_loss
    assert result.history[result.best_epoch - 1].val_accuracy > 0.95
    assert result.test is not None
    assert result.test.metrics.accuracy > 0.95


@pytest.mark.parametrize("unfreeze", [1, "all"])
def test_the_same_seed_gives_the_same_run_bit_by_bit(parts: TrainingData, config: Config, unfreeze: Any) -> None:
    torch.manual_seed(torch.randint(1000, ()).item())
    first = run_training(parts, config(unfreeze=unfreeze))
    second = run_training(parts, config(unfreeze=unfreeze))
    other = run_training(parts, config(unfreeze=unfreeze, seed=7))
    assert figures(first) == figures(second)
    assert all(torch.equal(tensor, weights(second)[name]) for name, tensor in weights(first).items())
    assert figures(first) != figures(other)


def test_the_callers_random_numbers_are_left_alone(parts: TrainingData, config: Config) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    run_training(parts, config(epochs=1))
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    ("unfreeze", "pooler", "frozen"),
    [
        (0, True, ("embeddings", "layer.0", "layer.1")),
        (1, False, ("embeddings", "layer.0", "pooler")),
        ("all", False, ()),
    ],
)
def test_frozen_weights_stay_bit_identical_and_the_others_move(
    parts: TrainingData, config: Config, unfreeze: Any, pooler: bool, frozen: tuple[str, ...]
) -> None:
    settings = config(unfreeze=unfreeze, train_pooler=pooler)
    result = run_training(parts, settings)
    before = resolve_base(settings.base_model).load(3, seed=settings.seed)[0].state_dict()
    for name, tensor in weights(result).items():
        same = torch.equal(tensor, before[name])
        # Attention does not depend on the key bias; it only feels weight decay, and it may begin at any value.
        assert same == any(part in name for part in frozen) or "key.bias" in name, name


@pytest.mark.parametrize("unfreeze", [0, 1])
def test_recomputed_activations_give_the_cached_ones_result(parts: TrainingData, config: Config, unfreeze: int) -> None:
    uses: list[CacheUse] = []

    def note(event: object) -> None:
        if isinstance(event, PrefixDone):
            uses.append(event.use)

    def train(memory: int, disk: int) -> list[tuple[float, ...]]:
        settings = config(unfreeze=unfreeze)
        return figures(run_training(parts, settings, on_event=note, cache_memory=memory, cache_disk=disk))

    everything = len(parts.train) + len(parts.val)
    cached = train(10**9, 0)
    assert uses.pop() == CacheUse(memory=everything)
    for memory, disk in ((0, 10**9), (0, 10**9), (10**9, 10**9), (1_000, 10**9), (0, 0)):
        np.testing.assert_allclose(train(memory, disk), cached, rtol=1e-4)
    in_file, again, in_memory, mixed, recomputed = uses
    assert in_file == CacheUse(disk=everything)
    assert again == CacheUse(disk=everything, reused=everything)
    assert in_memory == CacheUse(memory=everything, reused=everything)
    assert (mixed.memory, mixed.disk, mixed.recomputed) == (len(parts.val), len(parts.train), 0)
    assert recomputed == CacheUse(recomputed=everything)


def test_without_dropout_deeper_unfreezing_begins_like_the_whole_model(parts: TrainingData, config: Config) -> None:
    losses = [
        run_training(parts, config(unfreeze=k, learning_rate=1e-12, epochs=1)).history[0].val_loss
        for k in (0, 1, 2, "all")
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


@pytest.mark.parametrize("unfreeze", [2, "all"])
def test_a_batch_in_parts_gives_the_step_of_the_whole(
    parts: TrainingData, config: Config, unfreeze: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(unfreeze=unfreeze, dropout=0.0, r_drop=1.0, class_weights="sqrt", label_smoothing=0.1)

    def train() -> list[tuple[float, ...]]:
        return figures(run_training(parts, settings, precision="fp32"))

    whole = train()
    most = []

    def remembered(lengths: list[int], budget: int) -> list[slice]:
        chunks = token_chunks(lengths, 20)
        most.append(len(chunks))
        return chunks

    monkeypatch.setattr(objective, "token_chunks", remembered)
    np.testing.assert_allclose(train(), whole, rtol=1e-4)
    assert max(most) > 2


@pytest.mark.slow
@pytest.mark.parametrize("unfreeze", [0, 1, "all"])
def test_r_drop_asks_two_passes_to_agree(parts: TrainingData, config: Config, unfreeze: Any) -> None:
    def train(dropout: float, r_drop: float, seed: int = 2) -> TrainResult:
        settings = config(unfreeze=unfreeze, dropout=dropout, r_drop=r_drop, class_weights="sqrt", seed=seed)
        return run_training(parts, settings)

    without = [[epoch.train_loss for epoch in train(0.0, weight).history] for weight in (100.0, 0.0)]
    np.testing.assert_allclose(*without, rtol=1e-4)  # without dropout they do

    def attention_to_input(result: TrainResult) -> float:
        norm = float(weights(result)["classifier.weight"].norm())
        return norm * result.model.manifest.calibration["temperature"]

    # With it, they agree most where the classifier hardly looks at its input. One seed may show the opposite.
    ratios = [attention_to_input(train(0.5, 100.0, n)) / attention_to_input(train(0.5, 0.0, n)) for n in range(5)]
    assert np.median(ratios) < 0.8, ratios


@pytest.mark.parametrize(("unfreeze", "r_drop"), [(0, 0.0), (1, 1.0), ("all", 0.0)])
def test_mixup_mixes_texts_and_their_labels(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch, unfreeze: Any, r_drop: float
) -> None:
    recipe = config(unfreeze=unfreeze, dropout=0.0, r_drop=r_drop, class_weights="sqrt", learning_rate=1e-2)

    def train(mixup: float) -> TrainResult:
        return run_training(parts, replace(recipe, mixup=mixup), precision="fp32")

    def losses(result: TrainResult) -> list[tuple[float, float]]:
        return [(epoch.train_loss, epoch.val_loss) for epoch in result.history]

    without, mixed = losses(train(0.0)), losses(train(0.4))
    assert losses(train(0.4)) == mixed != without
    # Each text mixed with itself is that text; and all of another one with its label is that other one.
    for others, share in ((torch.arange, 0.3), (lambda texts: torch.arange(texts).flip(0), 1.0)):
        monkeypatch.setattr(objective, "_partners", lambda texts, alpha, o=others, s=share: (o(texts), s))
        np.testing.assert_allclose(losses(train(0.4)), without, rtol=1e-3)


@pytest.mark.parametrize(
    ("keep", "accuracies", "kept"),
    [
        ("best", [0.5, 0.75, 0.75, 0.25], 2),
        # A standard error of .75 is a tenth of its texts: the last epoch is clearly worse, the third may be as good.
        ("latest", [0.5, 0.75, 0.70, 0.25], 3),
        ("latest", [0.5, 0.75, 0.70, 0.75], 4),
    ],
)
def test_the_best_epoch_is_kept_the_earlier_one_on_a_tie_or_the_latest_that_may_be_as_good(
    parts: TrainingData,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    keep: str,
    accuracies: list[float],
    kept: int,
) -> None:
    scripted_accuracies = iter(accuracies)
    snapshots: list[dict[str, torch.Tensor]] = []
    original = fitting_module.training_loop

    def scripted(model: Any, *args: Any, **kwargs: Any) -> Any:
        for event in original(model, *args, **kwargs):
            if isinstance(event, EpochDone):
                snapshots.append({n: p.detach().clone() for n, p in model.named_parameters()})
                yield replace(event, val_accuracy=next(scripted_accuracies))
            else:
                yield event

    monkeypatch.setattr(fitting_module, "training_loop", scripted)
    result = run_training(parts, config(epochs=4, keep=keep))
    assert result.best_epoch == kept
    temperature = result.model.manifest.calibration["temperature"]
    for name, tensor in weights(result).items():
        expected = snapshots[kept - 1][name]
        if name.startswith("classifier"):
            torch.testing.assert_close(tensor, expected / temperature)
        else:
            assert torch.equal(tensor, expected), name


def test_the_saved_model_scores_as_reported(parts: TrainingData, config: Config) -> None:
    result = run_training(parts, config())
    assert result.test is not None
    assert parts.test is not None
    classifier = load(result.model.directory)
    predicted = [p.label for p in classifier.predict(parts.test.texts)]
    accuracy = np.mean([p == t for p, t in zip(predicted, parts.test.labels, strict=True)])
    assert accuracy == pytest.approx(result.test.metrics.accuracy)


def test_stopping_saves_the_best_so_far(parts: TrainingData, config: Config) -> None:
    epochs: list[EpochDone] = []
    result = run_training(
        parts,
        config(epochs=50),
        on_event=lambda event: epochs.append(event) if isinstance(event, EpochDone) else None,
        should_stop=lambda: len(epochs) >= 2,
    )
    assert result.stopped
    assert len(result.history) == 2
    assert load(result.model.directory).predict_text("a happy day")
    history = (result.model.directory / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == [1, 2]


def test_a_name_that_is_taken_meanwhile_does_not_lose_the_training(parts: TrainingData, config: Config) -> None:
    def take_name(event: object) -> None:
        if isinstance(event, EpochDone):
            (models_dir() / "mine").mkdir(parents=True, exist_ok=True)

    result = run_training(parts, config(epochs=1), name="mine", on_event=take_name)
    assert result.model.directory.name == "mine-2"


def test_stopping_before_the_first_epoch_saves_nothing(parts: TrainingData, config: Config) -> None:
    events: list[object] = []
    with pytest.raises(StoppedError, match="nothing was saved"):
        run_training(parts, config(), name="never", on_event=events.append, should_stop=lambda: True)
    assert any(isinstance(event, TextsEncoded) for event in events)
    with pytest.raises(ModelError, match="no model named 'never'"):
        load("never")


def test_a_loss_that_is_no_number_ends_the_training(parts: TrainingData, config: Config) -> None:
    with pytest.raises(EmoclassError, match=r"loss became (nan|inf) in epoch 1, .*lower --learning-rate"):
        run_training(parts, config(learning_rate=1e30, max_grad_norm=1e30))


def test_a_disk_without_room_is_told_before_training(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "free_disk", lambda path: 1 << 20)
    with pytest.raises(ModelError, match="the disk has 1 MiB left"):
        run_training(parts, config())


def test_a_time_limit_before_the_first_epoch_is_told_before_training(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "estimated_seconds", lambda context, config, model: 90.0 * config.epochs)
    for minutes, is_told in ((1, True), (2, False), (None, False)):
        events: list[object] = []
        run_training(parts, config(epochs=2), max_minutes=minutes, on_event=events.append)
        (prepared,) = [event for event in events if isinstance(event, Prepared)]
        assert any("first epoch, which takes about 1.5 minutes" in note for note in prepared.notes) == is_told


def test_the_schedule_rises_over_the_warm_up_and_falls_to_zero() -> None:
    factors = [linear_schedule(step, total=100, warmup=10) for step in range(101)]
    assert factors[0] == 0
    assert factors[5] == 0.5
    assert factors[10] == 1
    assert factors[55] == 0.5
    assert factors[100] == 0
