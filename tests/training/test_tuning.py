"""A search finds better settings than it began with, goes on where it was stopped, and says what it is worth."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from emoclass.config import RECIPES, TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.errors import ConfigError, DeviceError
from emoclass.evaluation.significance import bootstrap_gain
from emoclass.inference.predictor import load
from emoclass.training.events import TextsEncoded, TrialDone, TrialStarted
from emoclass.training.train import TrainResult
from tests.runs import context_of, run_training

pytest.importorskip("optuna")
Config = Callable[..., TrainConfig]
CPU = torch.device("cpu")
FIXED = ["train_pooler", "dropout", "label_smoothing", "r_drop", "mixup"]


def _search(parts: TrainingData, config: TrainConfig, trials: int, **settings: Any) -> TrainResult:
    return run_training(parts, config, tune=trials, **{"fixed": [*FIXED, "unfreeze"], **settings})


def test_the_best_trial_is_kept_and_compared_with_the_first(parts: TrainingData, config: Config) -> None:
    result = _search(parts, config(learning_rate=1e-6, epochs=2), 8)
    assert result.tuning is not None
    search = result.tuning.search
    assert [trial.number for trial in search.trials] == list(range(1, 9))
    assert search.trials[0].settings["learning_rate"] == 1e-6
    assert search.best.score == max(trial.score for trial in search.trials) > search.trials[0].score
    assert result.history[result.best_epoch - 1].val_accuracy == search.best.score
    recipe = result.model.manifest.recipe
    assert {name: getattr(recipe, name) for name in search.best.settings} == search.best.settings
    assert result.tuning.part == "test"
    assert result.test is not None
    assert result.tuning.gain.second == pytest.approx(result.test.metrics.accuracy)
    assert result.model.manifest.metrics["tuning"]["best"] == search.best.number
    seconds = [trial.seconds for trial in search.frontier]
    assert seconds == sorted(seconds)


def test_the_recipes_that_are_known_to_be_good_are_tried_first(parts: TrainingData, config: Config) -> None:
    def settings_of_first(trials: int, recipe: TrainConfig, **settings: Any) -> list[dict[str, Any]]:
        """Stop when the last trial starts."""
        started: list[dict[str, Any]] = []

        def note(event: object) -> None:
            if isinstance(event, TrialStarted):
                started.append(event.settings)

        run_training(parts, recipe, tune=trials, on_event=note, should_stop=lambda: len(started) == trials, **settings)
        return started

    own, fast, best = settings_of_first(3, config(epochs=1), fixed=["weight_decay"])
    assert (own["learning_rate"], own["epochs"], own["unfreeze"]) == (2e-2, 1, 1)
    assert (fast["learning_rate"], fast["r_drop"], fast["unfreeze"]) == (1e-3, 2.0, 1)
    assert (best["learning_rate"], best["layer_decay"], best["unfreeze"]) == (1e-4, 0.9, "encoder")
    assert best["epochs"] == 50  # 300 steps
    _, second = settings_of_first(2, config(**RECIPES["fast"]))
    assert second["unfreeze"] == "encoder"


def test_what_is_given_stays(parts: TrainingData, config: Config) -> None:
    result = _search(parts, config(epochs=1), 3, fixed=[*FIXED, "epochs", "unfreeze", "weight_decay"])
    assert result.tuning is not None
    assert all(trial.settings.keys() == {"learning_rate"} for trial in result.tuning.search.trials)
    everything = ["learning_rate", "epochs", "weight_decay", "unfreeze"]
    with pytest.raises(ConfigError, match="all settings that can be searched are given"):
        _search(parts, config(), 3, fixed=[*FIXED, *everything])


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_a_search_that_goes_on_is_the_one_that_was_not_stopped(
    parts: TrainingData, config: Config, metric: str
) -> None:
    recipe = config(metric=metric, learning_rate=1e-4)
    done: list[TrialDone] = []

    def note(event: object) -> None:
        if isinstance(event, TrialDone):
            done.append(event)

    stopped = _search(parts, recipe, 11, on_event=note, should_stop=lambda: len(done) >= 9)
    assert stopped.stopped
    assert len(done) == 9
    resumed, whole = _search(parts, recipe, 11, resume=True), _search(parts, recipe, 11)
    assert resumed.tuning is not None
    assert whole.tuning is not None
    assert [t.settings for t in resumed.tuning.search.trials] == [t.settings for t in whole.tuning.search.trials]
    assert [t.score for t in resumed.tuning.search.trials] == [t.score for t in whole.tuning.search.trials]
    mine, theirs = load(resumed.model.directory), load(whole.model.directory)
    assert np.array_equal(mine.predict_proba(parts.val.texts), theirs.predict_proba(parts.val.texts))
    assert ("class_weights" in whole.tuning.search.best.settings) == (metric == "macro_f1")


def test_a_search_that_is_out_of_time_ends_well_and_can_go_on(parts: TrainingData, config: Config) -> None:
    short = _search(parts, config(epochs=1), 3, max_minutes=1e-6)
    assert short.tuning is not None
    assert (len(short.tuning.search.trials), short.stopped) == (1, False)
    started: list[object] = []
    longer = _search(parts, config(epochs=1), 3, resume=True, on_event=started.append)
    assert longer.tuning is not None
    assert longer.tuning.search.trials[0] == short.tuning.search.trials[0]
    assert len(longer.tuning.search.trials) == 3


def test_steps_that_are_asked_for_hold_for_all_trials(parts: TrainingData, config: Config) -> None:
    result = _search(parts, config(epochs=1, min_steps=60), 3, fixed=[*FIXED, "unfreeze", "min_steps"])
    assert result.tuning is not None
    steps = math.ceil(len(parts.train) / 8)
    assert all(trial.settings["epochs"] * steps >= 60 for trial in result.tuning.search.trials)
    assert result.tuning.search.trials[0].settings["epochs"] == math.ceil(60 / steps)


def test_ctrl_c_in_the_frozen_pass_of_a_later_trial_loses_nothing(parts: TrainingData, config: Config) -> None:
    recipe, free = config(unfreeze=0, epochs=1), [*FIXED, "weight_decay", "epochs"]
    events: list[object] = []

    def in_second() -> bool:
        started = [event for event in events if isinstance(event, TrialStarted)]
        return len(started) == 2 and isinstance(events[-1], TextsEncoded)

    stopped = run_training(parts, recipe, tune=3, fixed=free, on_event=events.append, should_stop=in_second)
    assert stopped.tuning is not None
    assert isinstance(events[-1], TextsEncoded)
    assert (len(stopped.tuning.search.trials), stopped.stopped) == (1, True)
    at_once = run_training(parts, recipe, tune=3, fixed=free, resume=True, should_stop=lambda: True)
    assert at_once.tuning is not None
    assert at_once.tuning.search.trials == stopped.tuning.search.trials


def test_a_search_that_was_killed_after_it_saved_a_model_goes_on_under_its_name(
    parts: TrainingData, config: Config
) -> None:
    def kill(event: object) -> None:
        if isinstance(event, TrialDone) and event.number == 2:
            raise KeyboardInterrupt

    recipe = config(epochs=1)
    assert _search(parts, recipe, 3, name="best", max_minutes=1e-6).model.manifest.name == "best"
    with pytest.raises(KeyboardInterrupt):
        _search(parts, recipe, 3, name="best", resume=True, on_event=kill)
    last = _search(parts, recipe, 3, name="best", resume=True)
    assert last.tuning is not None
    assert (last.model.manifest.name, len(last.tuning.search.trials)) == ("best", 3)


def test_a_search_goes_on_after_its_first_trial_failed(parts: TrainingData, config: Config) -> None:
    recipe = config(learning_rate=1e30, max_grad_norm=1e30, epochs=1)
    done: list[TrialDone] = []

    def note(event: object) -> None:
        if isinstance(event, TrialDone):
            done.append(event)

    stopped = _search(parts, recipe, 3, on_event=note, should_stop=lambda: len(done) == 2)
    assert stopped.tuning is not None
    assert [trial.state for trial in stopped.tuning.search.trials] == ["failed", "complete"]
    resumed = _search(parts, recipe, 3, resume=True)
    assert resumed.tuning is not None
    assert (len(resumed.tuning.search.trials), resumed.tuning.search.best.number) == (3, 2)


def test_in_fp16_one_layer_trains_and_no_search_tries_more(parts: TrainingData, config: Config) -> None:
    context = context_of(parts, config(), torch.float16)
    assert context.depths_to_try == [1]
    context.new_model(config())
    for unfreeze in (2, "all"):
        with pytest.raises(DeviceError, match="underflow"):
            context.new_model(config(unfreeze=unfreeze))


@pytest.mark.parametrize("memory", [0, 10**9])
def test_a_deeper_prefix_begins_where_a_shallower_one_ended(
    parts: TrainingData, config: Config, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[int, int]] = []
    original = FrozenPrefix.__call__

    def spy(self: FrozenPrefix, inputs: torch.Tensor, lengths: Any) -> torch.Tensor:
        ran.append((self.start, self.depth))
        return original(self, inputs, lengths)

    monkeypatch.setattr(FrozenPrefix, "__call__", spy)

    def outputs(*depths: int) -> torch.Tensor:
        """Of the deepest prefix, all texts of the validation part."""
        ran.clear()
        context = context_of(parts, config(), torch.float32, memory)
        for depth in depths:
            source = context.encode(depth)["val"]
        return source.batch(np.arange(len(parts.val)))[0]

    at_once = outputs(2)
    assert set(ran) == {(0, 2)}
    assert torch.equal(outputs(1, 2), at_once)
    assert set(ran) == {(0, 1), (1, 2)}


def test_without_the_extra_it_says_what_to_install(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r'pip install "emoclass\[tune\]"'):
        _search(parts, config(), 2)


def test_a_gain_is_told_from_chance() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 2_000)
    weak = np.where(rng.random(2_000) < 0.7, true, rng.integers(0, 4, 2_000))
    strong = np.where(rng.random(2_000) < 0.9, true, rng.integers(0, 4, 2_000))
    for metric in ("accuracy", "macro_f1"):
        gain = bootstrap_gain(true, weak, strong, 4, metric)
        assert gain.significant
        assert gain.interval.lower < gain.second - gain.first < gain.interval.upper
        again = np.where(rng.random(2_000) < 0.7, true, rng.integers(0, 4, 2_000))
        assert not bootstrap_gain(true, weak, again, 4, metric).significant
        assert not bootstrap_gain(true, weak, weak, 4, metric).significant
