"""``--unfreeze auto``: a number of layers is found in short trainings, and the training is then an ordinary one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.errors import ConfigError, LossError
from emoclass.training import fitting as fitting_module
from emoclass.training.events import EpochDone, Probed, StepDone
from emoclass.training.probing import Probe, best_probe
from tests.runs import run_training

Config = Callable[..., TrainConfig]


def test_the_training_is_that_of_the_chosen_depth(parts: TrainingData, config: Config) -> None:
    found = run_training(parts, config(unfreeze="auto"))
    assert [probe.unfreeze for probe in found.probes] == [1, "encoder"]
    assert all(0 <= probe.score <= 1 and probe.seconds > 0 for probe in found.probes)
    (chosen,) = (probe for probe in found.probes if probe.chosen)
    recipe = found.model.manifest.recipe
    assert recipe.unfreeze == chosen.unfreeze
    assert found.model.manifest.metrics["probes"] == [probe.to_dict() for probe in found.probes]
    given = run_training(parts, recipe)
    assert [replace(e, seconds=0) for e in given.history] == [replace(e, seconds=0) for e in found.history]


@pytest.mark.parametrize(
    ("scores", "left", "expected"),
    [
        ([0.5, 0.7, 0.8, 0.9], 1e9, 3),
        ([0.5, 0.7, 0.8, 0.9], 35, 2),
        ([0.5, 0.7, 0.8, 0.9], 5, 0),
        ([0.5, 0.9, 0.8, 0.7], 1e9, 1),
        ([0.5, 0.7, 0.895, 0.9], 1e9, 2),
        ([0.9, 0.9, 0.9, 0.9], 1e9, 0),
    ],
)
def test_the_best_that_ends_in_time_is_chosen(scores: list[float], left: float, expected: int) -> None:
    probes = [
        Probe(k, s, 0.01, 10.0 * (i + 1)) for i, (k, s) in enumerate(zip((1, 2, 4, "encoder"), scores, strict=True))
    ]
    assert best_probe(probes, left) == expected


def test_probes_leave_time_for_the_training(parts: TrainingData, config: Config) -> None:
    # The whole training would take thousands of seconds, by the first probe.
    events: list[Any] = []
    stop = [False]

    def on_event(event: Any) -> None:
        events.append(event)
        stop[0] = isinstance(event, EpochDone)

    recipe = config(unfreeze="auto", epochs=10**6)
    result = run_training(parts, recipe, max_minutes=0.5, on_event=on_event, should_stop=lambda: stop[0])
    assert [probe.unfreeze for probe in result.probes] == [1]
    assert result.probes[0].chosen
    assert len(result.history) == 1


def test_who_resumes_is_not_probed_again(parts: TrainingData, config: Config) -> None:
    recipe = config(unfreeze="auto")
    whole = run_training(parts, recipe, name="whole")
    events: list[Any] = []

    def is_first_epoch_over() -> bool:
        return any(isinstance(event, EpochDone) for event in events)

    first = run_training(parts, recipe, name="two", on_event=events.append, should_stop=is_first_epoch_over)
    assert first.stopped
    assert any(isinstance(event, Probed) for event in events)
    events.clear()
    rest = run_training(parts, recipe, name="two", resume=True, on_event=events.append)
    assert not any(isinstance(event, Probed) for event in events)
    assert rest.probes == first.probes
    assert [replace(e, seconds=0) for e in rest.history] == [replace(e, seconds=0) for e in whole.history]


def test_few_texts_are_probed_for_more_than_a_few_steps(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fitting_module.training_loop
    steps: list[int] = []

    def counting(model: Any, source: Any, labels: Any, recipe: TrainConfig, **more: Any) -> Any:
        events = list(original(model, source, labels, recipe, **more))
        steps.append(sum(isinstance(event, StepDone) for event in events))
        yield from events

    monkeypatch.setattr(fitting_module, "training_loop", counting)
    run_training(parts, config(unfreeze="auto", epochs=2, batch_size=16))
    assert steps == [60, 60, 6]


def test_a_depth_that_fails_is_left_out(parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    original = fitting_module.training_loop

    def failing(model: Any, source: Any, labels: Any, recipe: TrainConfig, **more: Any) -> Any:
        if recipe.unfreeze in refused:
            raise LossError("the training loss became nan")
        yield from original(model, source, labels, recipe, **more)

    monkeypatch.setattr(fitting_module, "training_loop", failing)
    refused: list[Any] = ["encoder"]
    assert [probe.unfreeze for probe in run_training(parts, config(unfreeze="auto")).probes] == [1]
    refused.append(1)
    with pytest.raises(LossError, match="with any number of layers"):
        run_training(parts, config(unfreeze="auto"))


def test_a_search_decides_for_itself(parts: TrainingData, config: Config) -> None:
    with pytest.raises(ConfigError, match="drop --unfreeze auto"):
        run_training(parts, config(unfreeze="auto"), tune=2)


def test_command(tiny_train: Callable[..., Any]) -> None:
    result = tiny_train("--unfreeze", "auto", "--json")
    assert result.exit_code == 0
    assert "probe with 1 layer: val score" in result.stderr
    assert "probe with all layers: val score" in result.stderr
    refused = tiny_train("--unfreeze", "most")
    assert refused.exit_code == 2
    assert "--unfreeze most is neither a number of layers nor encoder, all or auto" in refused.stderr
