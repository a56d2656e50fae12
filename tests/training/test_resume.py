"""A training that was stopped, killed or could not be saved goes on where it was, to the same result."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.errors import ConfigError, EmoclassError, LossError, StoppedError
from emoclass.inference.predictor import load
from emoclass.runtime import runs_dir
from emoclass.store.runs import RunStates
from emoclass.training import finishing, loop, stopping
from emoclass.training.events import Resumable, Resumed, StateNotSaved, StepDone
from emoclass.training.train import TrainResult
from tests.runs import read_tensors, run_training

Config = Callable[..., TrainConfig]


@pytest.fixture
def looks_take_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit counts how often a training looks at the clock: before each step, at least."""
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=partial(next, count())))


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return read_tensors(result.model.directory)


def same(first: TrainResult, second: TrainResult) -> bool:
    mine, theirs = weights(first), weights(second)
    return (
        all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
        and [e.val_loss for e in first.history] == [e.val_loss for e in second.history]
        and [e.train_loss for e in first.history] == [e.train_loss for e in second.history]
        and first.best_epoch == second.best_epoch
    )


class StopAfter:
    """Raises the flag at one step of one epoch."""

    def __init__(self, epoch: int, step: int) -> None:
        self.wanted, self.seen = (epoch, step), False
        self.events: list[Any] = []

    def on_event(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, StepDone) and (event.epoch, event.step) == self.wanted:
            self.seen = True

    def should_stop(self) -> bool:
        return self.seen


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (1, 6), (2, 3), (3, 1), (3, 6)])
@pytest.mark.parametrize(("unfreeze", "mixup"), [(1, 0.0), (1, 0.4), ("all", 0.0)])
def test_a_resumed_training_is_the_uninterrupted_one_bit_by_bit(
    parts: TrainingData, config: Config, epoch: int, step: int, unfreeze: int | str, mixup: float
) -> None:
    recipe = config(epochs=3, unfreeze=unfreeze, mixup=mixup)
    whole = run_training(parts, recipe, name="whole")
    stop = StopAfter(epoch, step)
    if epoch == 1:
        with pytest.raises(StoppedError, match="--resume"):
            run_training(parts, recipe, on_event=stop.on_event, should_stop=stop.should_stop)
    else:
        stopped = run_training(parts, recipe, on_event=stop.on_event, should_stop=stop.should_stop)
        assert stopped.stopped
        assert len(stopped.history) == epoch - 1
    torch.randn(100)  # other random numbers in between
    events: list[Any] = []
    resumed = run_training(parts, recipe, resume=True, on_event=events.append)
    assert next(e for e in events if isinstance(e, Resumed)).epoch == epoch
    assert same(whole, resumed)
    assert not resumed.stopped
    assert not runs_dir().exists()


def test_resume_begins_where_there_is_nothing_and_keeps_the_name(parts: TrainingData, config: Config) -> None:
    recipe = config(epochs=3)
    stop = StopAfter(2, 2)
    first = run_training(parts, recipe, resume=True, name="mine", on_event=stop.on_event, should_stop=stop.should_stop)
    assert first.model.manifest.name == "mine"
    second = run_training(parts, recipe, resume=True, name="mine")
    assert second.model.directory == first.model.directory
    assert len(second.history) == 3
    with pytest.raises(EmoclassError, match="exists"):
        run_training(parts, recipe, resume=True, name="mine")


def test_a_name_given_when_resuming_is_used(parts: TrainingData, config: Config) -> None:
    recipe = config(epochs=3)
    stop = StopAfter(2, 2)
    run_training(parts, recipe, on_event=stop.on_event, should_stop=stop.should_stop)
    assert run_training(parts, recipe, resume=True, name="other").model.manifest.name == "other"


def test_what_is_left_can_be_seen_and_cleared(parts: TrainingData, config: Config, cli: Callable[..., Any]) -> None:
    stop = StopAfter(2, 2)
    run_training(parts, config(epochs=3), on_event=stop.on_event, should_stop=stop.should_stop)
    assert len(json.loads(cli("cache", "show", "--json").stdout)["unfinished_trainings"]) == 1
    assert "1 unfinished training takes" in cli("cache", "show").stderr
    cli("cache", "clear")
    assert len(json.loads(cli("cache", "show", "--json").stdout)["unfinished_trainings"]) == 1
    cli("cache", "clear", "--runs")
    assert json.loads(cli("cache", "show", "--json").stdout)["unfinished_trainings"] == []


def test_another_recipe_is_another_run(parts: TrainingData, config: Config) -> None:
    stop = StopAfter(2, 2)
    run_training(parts, config(epochs=3), on_event=stop.on_event, should_stop=stop.should_stop)
    events: list[Any] = []
    run_training(parts, config(epochs=3, learning_rate=1e-2), resume=True, on_event=events.append)
    assert not [e for e in events if isinstance(e, Resumed)]


def test_a_training_that_could_not_be_saved_is_not_lost(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise EmoclassError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(finishing, "save_model", full)
        with pytest.raises(EmoclassError, match="the disk is full"):
            run_training(parts, config())
    events: list[Any] = []
    result = run_training(parts, config(), resume=True, on_event=events.append)
    assert len(result.history) == 3
    assert not [e for e in events if isinstance(e, StepDone)]


def test_a_model_that_cannot_be_saved_is_kept_where_it_can(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = finishing.save_model

    def full(*args: Any, directory: Path | None = None, **kwargs: Any) -> Any:
        if directory is None:
            raise EmoclassError("the disk is full")
        return original(*args, directory=directory, **kwargs)

    def no_state(self: RunStates, tensors: object, metadata: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(finishing, "save_model", full)
        with pytest.raises(EmoclassError, match="the disk is full; .* the same command with --resume goes on"):
            run_training(parts, config(epochs=2))
        patch.setattr(RunStates, "save", no_state)
        with pytest.raises(EmoclassError, match="the disk is full; it is kept in ") as caught:
            run_training(parts, config())
    words = shlex.split(str(caught.value).split(": ")[-1])
    assert words[:3] == ["emoclass", "predict", "--model"]
    whole = run_training(parts, config(), name="whole")
    assert load(words[3]).predict_text("so happy") == load(whole.model.directory).predict_text("so happy")


def test_a_training_that_is_ended_at_once_says_how_to_go_on(parts: TrainingData, config: Config) -> None:
    def end(event: object) -> None:
        if isinstance(event, StepDone) and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="the same command with --resume goes on"):
        run_training(parts, config(epochs=3), on_event=end)
    events: list[Any] = []
    run_training(parts, config(epochs=3), resume=True, on_event=events.append)
    assert [event.epoch for event in events if isinstance(event, Resumed)] == [2]


def test_a_training_that_begins_anew_says_so_and_keeps_what_there_is(parts: TrainingData, config: Config) -> None:
    whole = run_training(parts, config(epochs=3), name="whole", cache_disk=0)
    for stop in (StopAfter(3, 2), StopAfter(1, 2)):
        with suppress(StoppedError):
            run_training(parts, config(epochs=3), on_event=stop.on_event, should_stop=stop.should_stop)
        assert any(isinstance(event, Resumable) for event in stop.events) == (stop.wanted == (1, 2))
    events: list[Any] = []
    result = run_training(parts, config(epochs=3), resume=True, on_event=events.append)
    assert [event.epoch for event in events if isinstance(event, Resumed)] == [3]
    assert same(result, whole)


def test_a_name_that_is_taken_by_a_stopped_training_leads_to_resume(
    tiny_train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stopping, "time", SimpleNamespace(monotonic=partial(next, count(step=5))))
        assert tiny_train("--name", "own", "--epochs", 30, "--max-minutes", 1).exit_code == 130
    again = tiny_train("--name", "own", "--epochs", 30)
    assert again.exit_code == 1
    assert "'own' exists" in again.stderr
    assert "--resume" in again.stderr
    assert "resuming in epoch" in tiny_train("--name", "own", "--epochs", 30, "--resume").stderr
    assert "--resume" not in tiny_train("--name", "own", "--epochs", 30).stderr


def test_damaged_states_are_passed_over(tmp_path: Path) -> None:
    with RunStates("key") as states:
        assert states.load() is None
        for number in range(4):
            states.save({"x": torch.tensor(float(number))}, {"number": number})
        files = sorted(states.directory.glob("*.state"))
        assert len(files) == 2
        content = files[-1].read_bytes()
        for damaged in (content[:-1], content[:40], b"", content[:-4] + b"\0\1\2\3"):
            files[-1].write_bytes(damaged)
            saved = states.load()
            assert saved is not None
            assert (saved.metadata["number"], float(saved.tensors["x"])) == (2, 2.0)
        files[0].write_bytes(b"{}\n")
        assert states.load() is None


@pytest.mark.usefixtures("looks_take_a_second")
def test_patience_and_minutes_end_a_training_early(parts: TrainingData, config: Config) -> None:
    patient = run_training(parts, config(epochs=30, learning_rate=1e-9), patience=2)
    assert len(patient.history) == patient.best_epoch + 2
    assert not patient.stopped
    # Of six steps an epoch.
    brief = run_training(parts, config(epochs=11, learning_rate=1e-3), max_minutes=1)
    assert brief.stopped
    assert 0 < len(brief.history) <= 10
    for wrong in ({"patience": 0}, {"max_minutes": 0.0}):
        with pytest.raises(ConfigError):
            run_training(parts, config(), **wrong)


def test_a_loss_that_is_no_number_keeps_the_best_before_it(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any], emotions_csv: Path
) -> None:
    original = loop._require_finite

    def fail_later(loss: float, epoch: int, step: int) -> None:
        original(float("nan") if epoch == 3 else loss, epoch, step)

    monkeypatch.setattr(loop, "_require_finite", fail_later)
    result = run_training(parts, config(epochs=5), name="kept")
    assert len(result.history) == 2
    assert result.failure is not None
    assert "--learning-rate" in result.failure
    assert load("kept").predict_text("happy")[0]
    monkeypatch.setattr(loop, "_require_finite", lambda loss, epoch, step: original(float("inf"), epoch, step))
    with pytest.raises(LossError, match="became inf in epoch 1"):
        run_training(parts, config(), name="none")


def test_too_little_memory_in_the_frozen_layers_halves_the_work(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_training(parts, config(), cache_disk=0)
    original = FrozenPrefix.__call__
    refused = []

    def small(self: Any, input_ids: Any, lengths: Any) -> Any:
        if len(lengths) > 5:
            refused.append(len(lengths))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return original(self, input_ids, lengths)

    monkeypatch.setattr(FrozenPrefix, "__call__", small)
    halved = run_training(parts, config(), cache_disk=0)
    assert refused
    assert [e.val_loss for e in halved.history] == pytest.approx([e.val_loss for e in whole.history], abs=1e-4)
    monkeypatch.setattr(FrozenPrefix, "__call__", lambda *args: torch.empty(2**46))
    with pytest.raises(EmoclassError, match="--max-length"):
        run_training(parts, config(), cache_disk=0)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
def test_what_a_script_starts_in_the_background_does_not_hear_ctrl_c(tiny_train: Callable[..., Any]) -> None:
    ended = threading.Event()

    def press() -> None:
        while not ended.wait(0.05):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell without job control has it after &
    presses = threading.Thread(target=press)
    presses.start()
    try:
        result = tiny_train()
    finally:
        ended.set()
        presses.join()
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == 0, result.output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.usefixtures("looks_take_a_second")
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIGKILL])
def test_a_killed_training_goes_on(
    emotions_csv: Path, tiny_base: Path, cli: Callable[..., Any], number: signal.Signals, tmp_path: Path
) -> None:
    recipe = ["--learning-rate", "0.001", "--epochs", "400", "--batch-size", "8", "--max-length", "40"]
    command = ["train", str(emotions_csv), "--base-model", str(tiny_base), *recipe, "--name", "long", "--resume"]
    # The pipe is too small for what 400 epochs print: while nobody reads it the training cannot end.
    with subprocess.Popen(
        [sys.executable, "-m", "emoclass", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        pipesize=4096,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 6/"):  # after the checkpoint of epoch 5
                break
        process.send_signal(number)
        rest = process.stderr.read()
        code = process.wait(timeout=120)
    if number != signal.SIGKILL:
        assert code == 130
        assert "--resume continues" in rest
    short = cli(*command, "--max-minutes", "1", "--json")
    assert short.exit_code in (0, 130), short.output
    assert "resuming in epoch" in short.stderr
    history = json.loads(short.stdout)["history"]
    assert [epoch["epoch"] for epoch in history] == list(range(1, len(history) + 1))
    assert 5 <= len(history) < 400


def test_a_training_does_not_go_on_with_another_base_of_the_same_name(
    parts: TrainingData, config: Config, tiny_base: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    recipe, stop = config(base_model=str(base)), StopAfter(2, 1)
    assert run_training(parts, recipe, on_event=stop.on_event, should_stop=stop.should_stop).stopped
    tensors = read_tensors(base)
    tensors = {name.removeprefix("bert."): tensor * 1.01 for name, tensor in tensors.items()}
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    events: list[Any] = []
    run_training(parts, recipe, resume=True, on_event=events.append)
    assert not any(isinstance(event, Resumed) for event in events)


def test_a_state_that_cannot_be_saved_at_the_end_is_not_promised(
    parts: TrainingData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: RunStates, tensors: object, metadata: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RunStates, "save", full)
    stop = StopAfter(1, 2)
    with pytest.raises(StoppedError, match="nothing was saved"):
        run_training(parts, config(), on_event=stop.on_event, should_stop=stop.should_stop)
    assert any(isinstance(event, StateNotSaved) for event in stop.events)
