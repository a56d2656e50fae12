"""Kills, full disks, damage and crowds: afterwards every listed model loads and predicts as before.

In short form here; ``make soak`` sets EMOCLASS_SOAK and runs them at length.
"""

from __future__ import annotations

import builtins
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from emoclass.activations.directory import activations_dir
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.errors import EmoclassError, ModelError
from emoclass.inference.predictor import load
from emoclass.runtime import models_dir, runs_dir
from emoclass.store.checkpoints import list_models
from emoclass.store.reading import verify_model
from emoclass.store.saving import export_model, remove_model
from emoclass.training.events import Resumed
from tests.conftest import in_models_dir, many_processes
from tests.faults.failpoints import finishes
from tests.runs import read_tensors, run_training

SOAK = bool(os.environ.get("EMOCLASS_SOAK"))
TEXTS = ["a happy day", "so very angry and mad", "they are afraid in the dark", ""]
EMOCLASS = [sys.executable, "-m", "emoclass"]
RECIPE = ["--batch-size", "8", "--max-length", "40"]
forks = pytest.mark.skipif(sys.platform != "linux", reason="torch does not compute in a fork everywhere")


def answers(name: str | Path | None) -> list[tuple[str, float]]:
    return [(p.label, p.confidence) for p in load(name, precision="fp32").predict(TEXTS)]


@pytest.fixture
def contested(parts: TrainingData, config: Callable[..., TrainConfig], tmp_path: Path) -> Callable[[], Path]:
    """Three models of one base, "red", "blue" and the newest, "contested"; returns what puts this one back."""
    for name, seed in (("red", 1), ("blue", 2), ("contested", 1)):
        run_training(parts, config(epochs=1, seed=seed), name=name)
    assert answers("red") != answers("blue")
    shutil.copytree(models_dir() / "contested", tmp_path / "aside")

    def put_back() -> Path:
        shutil.rmtree(models_dir() / "contested", ignore_errors=True)
        return Path(shutil.copytree(tmp_path / "aside", models_dir() / "contested"))

    return put_back


def names_of_whole_models() -> list[str]:
    """Of all that are listed; each is whole, and nothing is noted."""
    models, notes = list_models()
    assert not notes
    for model in models:
        verify_model(model)
    return sorted(model.directory.name for model in models)


def leftovers() -> list[str]:
    """What the models directory holds besides models, after the time that a save may take."""
    for path in models_dir().glob(".*.tmp"):
        os.utime(path, (0, 0))
    list_models()
    return [name for name in in_models_dir() if name.startswith(".")]


@forks
@pytest.mark.slow
def test_a_training_killed_before_any_change_on_the_disk_loses_nothing(
    parts: TrainingData, config: Callable[..., TrainConfig], contested: Callable[[], Path]
) -> None:
    recipe = config(epochs=2, seed=3)
    whole = read_tensors(run_training(parts, recipe, name="whole").model.directory)
    kept, old, new = answers("blue"), answers("contested"), answers("whole")
    assert old != new

    def train() -> int:
        """Return the epoch that was resumed, or 0."""
        events: list[object] = []
        run_training(parts, recipe, name="contested", overwrite=True, resume=True, on_event=events.append)
        return max((event.epoch for event in events if isinstance(event, Resumed)), default=0)

    seen, resumed_epochs = [], []
    for number in count():
        contested()
        shutil.rmtree(activations_dir(), ignore_errors=True)
        finished = finishes(train, number, every=SOAK)
        assert names_of_whole_models() == ["blue", "contested", "red", "whole"]
        seen.append(answers("contested"))
        resumed_epochs.append(train())
        resumed = read_tensors(models_dir() / "contested")
        assert resumed.keys() == whole.keys()
        assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
        assert not runs_dir().exists()
        assert not leftovers()
        if finished:
            break
    switch = seen.index(new)
    assert seen == [old] * switch + [new] * (number + 1 - switch)
    assert switch > 10
    assert len(seen) - switch > 3
    # What is saved of a training is not lost before its model is there.
    assert resumed_epochs[:switch] == sorted(resumed_epochs[:switch])
    assert {0, 2} <= set(resumed_epochs[:switch])
    assert answers("blue") == kept


@forks
def test_a_removal_killed_before_any_change_on_the_disk_loses_no_other_model(contested: Callable[[], Path]) -> None:
    expected = [answers(name) for name in ("red", "blue", "contested")]
    seen = []
    for number in count():
        contested()
        finished = finishes(lambda: remove_model("contested"), number, every=True)
        names = names_of_whole_models()
        seen.append("contested" in names)
        assert set(names) - {"contested"} == {"red", "blue"}
        assert not seen[-1] or answers("contested") == expected[2]
        assert not leftovers()
        if finished:
            break
    switch = seen.index(False)
    assert seen == [True] * switch + [False] * (number + 1 - switch)
    assert switch > 0
    assert len(seen) - switch > 3
    assert [answers(name) for name in ("red", "blue")] == expected[:2]


@pytest.mark.skipif(not SOAK or sys.platform == "win32", reason="make soak: minutes; no SIGKILL on Windows")
@pytest.mark.slow
def test_kills_at_any_instant_lose_nothing(trained_model: Path, emotions_csv: Path, tiny_base: Path) -> None:
    expected = answers("first")
    train = [*EMOCLASS, "train", str(emotions_csv), "--base-model", str(tiny_base), *RECIPE, "--cache-disk", "0"]
    train += ["--learning-rate", "0.005", "--epochs", "40"]
    start = time.monotonic()
    subprocess.run([*train, "--name", "whole"], check=True, capture_output=True)
    duration = time.monotonic() - start
    whole = read_tensors(models_dir() / "whole")
    rng = random.Random(0)
    for number in range(int(os.environ.get("EMOCLASS_KILLS", 200))):
        process = subprocess.Popen(
            [*train, "--name", f"kill-{number}", "--resume"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:  # Imports take the first part; whatever comes then may be hit.
            process.wait(rng.uniform(0.3, 1.0) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert answers("first") == expected
        names_of_whole_models()
        subprocess.run([*train, "--name", f"kill-{number}", "--resume", "--overwrite"], check=True, capture_output=True)
        resumed = read_tensors(models_dir() / f"kill-{number}")
        assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
        shutil.rmtree(models_dir() / f"kill-{number}")
        assert not runs_dir().exists()


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_write_error_at_any_point_of_a_save_changes_nothing(
    parts: TrainingData, config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    run_training(parts, config(epochs=1), name="kept")
    expected = answers("kept")
    calls = failing = 0

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            mode = str(args[1] if len(args) > 1 else kwargs.get("mode", "r")) if original is builtins.open else "w"
            if set("wxa+") & set(mode) or original is not builtins.open:
                calls += 1
                if calls == failing:
                    raise OSError(code, os.strerror(code))
            return original(*args, **kwargs)

        return call

    for failing in range(1, 60):
        calls = 0
        with monkeypatch.context() as patch:
            for owner, name in (
                (os, "fsync"),
                (Path, "rename"),
                (Path, "write_text"),
                (Path, "write_bytes"),
                (os, "link"),
            ):
                patch.setattr(owner, name, wrapped(getattr(owner, name)))
            patch.setattr("safetensors.torch.save_file", wrapped(__import__("safetensors.torch").torch.save_file))
            patch.setattr("numpy.save", wrapped(__import__("numpy").save))
            try:
                run_training(parts, config(epochs=1), name="kept", overwrite=True, cache_disk=0)
                done = True
            except EmoclassError:
                done = False
        assert answers("kept") == expected
        assert not list_models()[1]
        if done and calls < failing:
            break
    else:
        pytest.fail("there are more writes than were tried")
    assert failing > 10
    assert in_models_dir() == ["kept"]


def test_damage_to_any_file_is_named_or_harmless(trained_model: Path, tmp_path: Path) -> None:
    expected = answers(trained_model)
    rng = random.Random(0)
    files = sorted(path.name for path in trained_model.iterdir())
    for number in range(1000 if SOAK else 80):
        copy = tmp_path / "copy"
        shutil.copytree(trained_model, copy)
        path = copy / files[number // 2 % len(files)]
        content = bytearray(path.read_bytes())
        place = rng.randrange(len(content))
        if number % 2:
            content[place] ^= 1 << rng.randrange(8)
        else:
            del content[place:]
        path.write_bytes(content)
        try:
            got = answers(copy)
        except ModelError as error:
            message = str(error)
            assert str(copy if path.name == "emoclass.json" else path) in message
            assert "\n" not in message
            assert len(message) < 1000
        else:
            assert path.name in ("emoclass.json", "README.md")  # the checksums of all others, and what people edit
            assert got == expected
        shutil.rmtree(copy)


@many_processes
def test_trainings_and_predictions_side_by_side(trained_model: Path, emotions_csv: Path, tiny_base: Path) -> None:
    train = [*EMOCLASS, "train", str(emotions_csv), "--base-model", str(tiny_base), *RECIPE, "--epochs", "2"]
    predict = [*EMOCLASS, "predict", "--model", "first", "-f", "jsonl", "a happy day"]
    for _ in range(20 if SOAK else 1):
        commands = [[*train, "--overwrite", "--name", name] for name in ("first", "other")]
        commands += [predict] * (10 if SOAK else 2)
        running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
        for process in running:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
            if process.args == predict:
                assert json.loads(out)["label"] in ("anger", "fear", "joy")
    assert in_models_dir() == ["first", "other"]


@contextmanager
def contenders(*names: str) -> Iterator[None]:
    """Processes that save or remove the model "contested" in the meantime, each at least once."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    script = Path(__file__).with_name("contender.py")
    with ExitStack() as stack:
        started = []
        for name in names:
            process = subprocess.Popen([sys.executable, str(script), name], **pipes, text=True)
            started.append(stack.enter_context(process))
            stack.callback(process.kill)  # after a failure; else it has ended
        for process in started:
            assert process.stdout.readline() == "ready\n"
        yield
        for process in started:
            out, err = process.communicate(timeout=120)  # closes its standard input
            assert process.returncode == 0, err
            assert int(out) > 0


@many_processes
@pytest.mark.usefixtures("contested")
@pytest.mark.parametrize("removed", [False, True])
def test_loads_beside_replacements_and_removals(tmp_path: Path, removed: bool) -> None:
    expected = [answers("red"), answers("blue")]
    seen, refusals = list[Any](), list[str]()
    deadline = time.monotonic() + 600
    with contenders("red", "blue", *(["--remove"] if removed else [])):
        while (
            len(seen) < (3000 if SOAK else 30)
            or any(each not in seen for each in expected)
            or (removed and not refusals)
        ):
            assert time.monotonic() < deadline
            for source in (
                lambda: "contested",
                lambda: None,
                lambda: export_model("contested", tmp_path / "copy").directory,
            ):
                try:
                    seen.append(answers(source()))
                except ModelError as error:
                    refusals.append(str(error))
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            models, notes = list_models()
            assert not notes
            assert removed or models[0].directory.name == "contested"
            assert {"red", "blue"} <= {model.directory.name for model in models}
            assert all(model.size for model in models if model.directory.name != "contested")
    assert all(each in expected for each in seen)
    assert bool(refusals) == removed
    assert all("no model named 'contested'" in refusal for refusal in refusals)
    assert [answers(name) for name in ("red", "blue")] == expected
    assert set(names_of_whole_models()) - {"contested"} == {"red", "blue"}
    assert not leftovers()
