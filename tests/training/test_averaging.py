"""``--seeds``: several trainings from one beginning become one model, the mean of their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.errors import ConfigError, LossError
from emoclass.inference.predictor import load
from emoclass.store.runs import unfinished_runs
from emoclass.training import averaging
from emoclass.training.events import EpochDone, Resumed, SeedStarted
from emoclass.training.fitting import Fit, fit
from emoclass.training.train import TrainResult
from tests.runs import read_tensors, run_training

Config = Callable[..., TrainConfig]
LAYER = "bert.encoder.layer.1.output.dense.weight"


def weight(result: TrainResult) -> torch.Tensor:
    return read_tensors(result.model.directory)[LAYER]


def test_weights_are_the_mean_of_all_trainings(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run_training(parts, config())
    others: list[torch.Tensor] = []

    def watched(fitted: Fit, **more: Any) -> Fit:
        others.append(fit(fitted, **more).kept_tensors[LAYER])
        return fitted

    monkeypatch.setattr(averaging, "fit", watched)
    three = run_training(parts, config(seeds=3))
    assert len(others) == 2
    assert not torch.equal(others[0], others[1])
    torch.testing.assert_close(weight(three), (weight(one) + others[0] + others[1]) / 3)
    assert [replace(e, seconds=0) for e in three.history] == [replace(e, seconds=0) for e in one.history]
    assert three.averaged is not None
    assert three.averaged.seeds == 3
    metrics = three.model.manifest.metrics
    assert metrics["averaged"]["val_accuracy"] == metrics["val_accuracy"] == three.averaged.val.accuracy
    assert metrics["val_loss"] == three.averaged.val.loss
    labels = [prediction.label for prediction in load(three.model.manifest.name).predict(parts.val.texts)]
    right = [mine == theirs for mine, theirs in zip(labels, parts.val.labels, strict=True)]
    assert sum(right) / len(right) == pytest.approx(three.averaged.val.accuracy)


def test_who_stops_gets_what_is_there_and_can_go_on(parts: TrainingData, config: Config) -> None:
    recipe = config(seeds=3)
    whole = run_training(parts, recipe, name="whole")
    events: list[Any] = []

    def is_second_at_work() -> bool:
        started = [i for i, event in enumerate(events) if isinstance(event, SeedStarted)]
        return bool(started) and any(isinstance(event, EpochDone) for event in events[started[0] :])

    part = run_training(parts, recipe, name="part", on_event=events.append, should_stop=is_second_at_work)
    assert part.stopped
    assert part.averaged is not None
    assert part.averaged.seeds == 1
    assert not torch.equal(weight(part), weight(whole))
    went_on: list[Any] = []
    rest = run_training(parts, recipe, name="part", resume=True, on_event=went_on.append)
    assert not rest.stopped
    # The first training is over, and the second goes on after the epoch that it had done.
    assert [len(event.history) for event in went_on if isinstance(event, Resumed)] == [recipe.epochs, 1]
    assert sum(isinstance(event, EpochDone) for event in went_on) == 2 * recipe.epochs - 1
    assert not unfinished_runs()
    assert rest.model.directory == part.model.directory
    assert torch.equal(weight(rest), weight(whole))


def test_a_training_that_fails_is_left_out(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: Any, **more: Any) -> Fit:
        raise LossError("the training loss became nan")

    one = run_training(parts, config())
    monkeypatch.setattr(averaging, "fit", failing)
    result = run_training(parts, config(seeds=2))
    assert result.averaged is not None
    assert result.averaged.seeds == 1
    assert torch.equal(weight(result), weight(one))


def test_command(tiny_train: Callable[..., Any], parts: TrainingData, config: Config) -> None:
    result = tiny_train("--seeds", "2")
    assert result.exit_code == 0
    assert "training 2 of 2" in result.stderr
    assert "averaged weights of 2 runs: val accuracy" in result.stdout
    with pytest.raises(ConfigError, match="drop --seeds"):
        run_training(parts, config(seeds=2), tune=2)
    assert tiny_train("--seeds", "0").exit_code == 2
