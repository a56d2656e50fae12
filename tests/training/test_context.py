"""What models of one run share: weights read once, time limits in the frozen pass, memory that comes back."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch

from emoclass.activations.directory import activations_dir
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.weights import map_tensors
from emoclass.errors import StoppedError
from emoclass.runtime import models_dir
from emoclass.training.context import Context
from emoclass.training.events import TrialDone
from emoclass.training.probing import probe_depths
from tests.conftest import in_models_dir
from tests.runs import context_of, run_training

Config = Callable[..., TrainConfig]


@pytest.fixture
def context(parts: TrainingData, config: Config) -> Context:
    return context_of(parts, config(), torch.float32, memory=10**6)


@pytest.mark.parametrize("recipe", [{}, {"unfreeze": "auto"}, {"seeds": 2}])
def test_the_time_limit_holds_in_the_frozen_pass(
    parts: TrainingData, config: Config, recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    original = FrozenPrefix.__call__

    def slow(self: FrozenPrefix, inputs: torch.Tensor, lengths: Any) -> torch.Tensor:
        clock[0] += 90.0
        return original(self, inputs, lengths)

    monkeypatch.setattr(FrozenPrefix, "__call__", slow)
    monkeypatch.setattr("emoclass.activations.cache.chunk_tokens", lambda device: 40)
    message = (
        r"--max-minutes passed when the frozen layers had encoded \d+ of 54 texts, which take about \d+\.\d minutes"
    )
    with pytest.raises(StoppedError, match=message):
        run_training(parts, config(**recipe), max_minutes=1.0)
    assert not models_dir().exists() or in_models_dir() == []
    assert list(activations_dir().iterdir()) == []


def test_a_search_has_a_model_even_if_its_first_frozen_pass_takes_too_long(parts: TrainingData, config: Config) -> None:
    result = run_training(parts, config(epochs=1), tune=3, max_minutes=1e-6)
    assert result.tuning is not None
    assert len(result.tuning.search.trials) == 1


def test_all_models_share_the_frozen_weights(context: Context, config: Config) -> None:
    first, _ = context.new_model(config(unfreeze=1))
    second, _ = context.new_model(config(unfreeze=1))
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert (one.data_ptr() == other.data_ptr()) != one.requires_grad, name


def test_the_base_weights_are_read_once(parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def read(directory: Any, family: Any) -> Any:
        reads.append(directory)
        return map_tensors(directory, family)

    monkeypatch.setattr("emoclass.encoders.base.map_tensors", read)
    run_training(parts, config(epochs=1), tune=4, fixed=["epochs"])
    run_training(parts, config(unfreeze="auto", epochs=1, seeds=2))
    assert len(reads) == 2


def test_a_search_keeps_no_model_of_an_earlier_trial(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, counts = weakref.WeakSet[PackedBert](), []
    original = Context.new_model

    def new_model(self: Context, recipe: TrainConfig) -> Any:
        model, notes = original(self, recipe)
        alive.add(model)
        return model, notes

    def on_event(event: object) -> None:
        if isinstance(event, TrialDone):
            counts.append(len(alive))

    monkeypatch.setattr(Context, "new_model", new_model)
    run_training(parts, config(epochs=1), tune=5, fixed=["epochs"], on_event=on_event)
    # The model that was announced before the search, at most.
    assert max(counts) <= 2


def test_probes_give_their_memory_back(context: Context, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    before, kept = context.budget.memory, []
    original = Context.with_data

    def with_data(self: Context, data: TrainingData) -> Context:
        kept.append(original(self, data))
        return kept[-1]

    monkeypatch.setattr(Context, "with_data", with_data)
    probe_depths(context, config(unfreeze="auto", epochs=1))
    assert [small.budget.memory for small in kept] == [before]
    context.encode(1)
    assert context.budget.memory < before
    context.free_activations()
    assert context.budget.memory == before


def test_reading_the_checkpoint_is_not_scaled_with_the_texts(
    context: Context, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    original = Context.new_model

    def slow(self: Context, recipe: TrainConfig) -> Any:
        clock[0] += 1000.0
        return original(self, recipe)

    monkeypatch.setattr(Context, "new_model", slow)
    assert all(probe.seconds < 1000 for probe in probe_depths(context, config(unfreeze="auto", epochs=1)))


def test_a_search_from_the_command_line_is_resumed_from_python(
    tiny_train: Callable[..., Any], emotions_csv: Any, tiny_base: Any
) -> None:
    import emoclass

    first = tiny_train("--tune", "1", "--name", "search", "--max-minutes", "100", "--json")
    assert first.exit_code == 0
    stopped = tiny_train("--tune", "3", "--name", "search", "--overwrite", "--max-minutes", "0.000001", "--json")
    assert stopped.exit_code == 0
    result = emoclass.train(
        emotions_csv, base_model=str(tiny_base), learning_rate=0.02, epochs=2, batch_size=8, max_length=40,
        train_pooler=True, tune=2, name="search", resume=True, overwrite=True,
    )  # fmt: skip
    assert result.tuning is not None
    trials = result.tuning.search.trials
    assert [trial.number for trial in trials] == [1, 2]
    assert '"number": 1' in stopped.stdout
    assert f'"seconds": {trials[0].seconds}' in stopped.stdout
