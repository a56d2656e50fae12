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
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.weights import read_tensors
from emoclass.errors import EmoclassError, ModelError
from emoclass.inference.predictor import load
from emoclass.runtime import models_dir, runs_dir
from emoclass.store.checkpoints import export_model, list_models
from tests.conftest import in_models_dir
from tests.runs import run_training

SOAK = bool(os.environ.get("EMOCLASS_SOAK"))
TEXTS = ["a happy day", "so very angry and mad", "they are afraid in the dark", ""]
EMOCLASS = [sys.executable, "-m", "emoclass"]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many processes with tiny models: more threads would only wait for each other."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def answers(name: str) -> list[tuple[str, float]]:
    return [(p.label, p.confidence) for p in load(name, precision="fp32").predict(TEXTS)]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_kills_at_any_instant_lose_nothing(
    parts: TrainingData, config: Callable[..., TrainConfig], emotions_csv: Path, tiny_base: Path
) -> None:
    run_training(parts, config(epochs=1), name="before")
    expected = answers("before")
    recipe = ["--learning-rate", "0.005", "--epochs", "40", "--batch-size", "8", "--max-length", "40"]
    train = [*EMOCLASS, "train", str(emotions_csv), "--base-model", str(tiny_base), *recipe, "--cache-disk", "0"]
    start = time.monotonic()
    subprocess.run([*train, "--name", "whole"], check=True, capture_output=True)
    duration = time.monotonic() - start
    whole = read_tensors(models_dir() / "whole")
    rng = random.Random(0)
    for number in range(int(os.environ.get("EMOCLASS_KILLS", 200 if SOAK else 4))):
        # Imports take the first part; whatever comes then may be hit.
        with subprocess.Popen(
            [*train, "--name", f"kill-{number}", "--resume"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            time.sleep(rng.uniform(0.3, 1.0) * duration)
            process.send_signal(signal.SIGKILL)
        assert answers("before") == expected
        assert not list_models()[1]
        for model in list_models()[0]:
            load(model.directory)
        subprocess.run([*train, "--name", f"kill-{number}", "--resume", "--overwrite"], check=True, capture_output=True)
        resumed = read_tensors(models_dir() / f"kill-{number}")
        assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
        shutil.rmtree(models_dir() / f"kill-{number}")
        assert not runs_dir().exists()


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


def test_truncated_and_flipped_files_are_told_or_harmless(
    parts: TrainingData, config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    directory = run_training(parts, config(epochs=1), name="sound").model.directory
    expected = answers("sound")
    rng = random.Random(0)
    files = sorted(path.name for path in directory.iterdir())
    for number in range(1000 if SOAK else 80):
        copy = tmp_path / "copy"
        shutil.copytree(directory, copy)
        path = copy / rng.choice(files)
        content = bytearray(path.read_bytes())
        place = rng.randrange(len(content))
        if number % 2:
            content[place] ^= 1 << rng.randrange(8)
        else:
            del content[place:]
        path.write_bytes(content)
        message = None
        try:
            got = [(p.label, p.confidence) for p in load(copy, precision="fp32").predict(TEXTS)]
        except EmoclassError as error:
            message = str(error)
        if message is None:
            assert got == expected
        else:
            assert "\n" not in message
            assert len(message) < 1000
        shutil.rmtree(copy)


def test_trainings_and_predictions_side_by_side(emotions_csv: Path, tiny_base: Path, tmp_path: Path) -> None:
    recipe = ["--epochs", "2", "--batch-size", "8", "--max-length", "40", "--learning-rate", "0.01"]
    train = [*EMOCLASS, "train", str(emotions_csv), "--base-model", str(tiny_base), *recipe, "--name"]
    subprocess.run([*train, "shared"], check=True, capture_output=True)
    deadline = time.monotonic() + (60 if SOAK else 8)
    rounds = 0
    while time.monotonic() < deadline:
        commands = [[*train, name, "--overwrite"] for name in ("shared", "other")]
        commands += [[*EMOCLASS, "predict", "--model", "shared", "-f", "jsonl", "a happy day"]] * (10 if SOAK else 3)
        running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
        for process in running:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
            if "predict" in process.args:
                assert json.loads(out)["label"] in ("anger", "fear", "joy")
        rounds += 1
    assert rounds
    assert in_models_dir() == ["other", "shared"]


# Saves or removes a model of one name, again and again, from the files of one that does not change.
_WRITER = """
import sys, time
from dataclasses import replace
from datetime import datetime, timezone
from emoclass.errors import ModelError
from emoclass.encoders.weights import read_json, read_tensors
from emoclass.store.checkpoints import find_model, remove_model, save_model
what, seconds = sys.argv[1], float(sys.argv[2])
model = find_model(what) if what != "remove" else None
tensors = read_tensors(model.directory) if model else {}
def remove():
    try:
        remove_model("contested")
    except ModelError as error:
        assert "no model named" in str(error) or "no trained model" in str(error), error
def save():
    save_model(
        replace(model.manifest, name="contested", created_at=datetime.now(timezone.utc).isoformat()),
        tensors=tensors,
        trained={name for name in tensors if "classifier" in name or "pooler" in name or ".1." in name},
        config=read_json(model.directory / "config.json"),
        tokenizer_json=(model.directory / "tokenizer.json").read_text(),
        tokenizer_config={}, history=[], card="", training_hashes=__import__("numpy").zeros(1, "int64"),
        overwrite=True,
    )
print("ready", flush=True)
deadline, done = time.monotonic() + seconds, 0
while time.monotonic() < deadline:
    if model is None:
        remove()
        time.sleep(0.02)
    else:
        save()
    done += 1
print(done)
"""


# Kills itself at a random instant of saves and removals, again and again, and looks at what is left.
_SUICIDE = """
import os, random, signal, sys, time
from emoclass.store.checkpoints import list_models, verify_model
source, count, removed = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True"
sys.argv[1:] = [source, "0"]
exec(sys.stdin.read())  # the writer, which saves nothing in no time
rng, gone = random.Random(0), 0
for number in range(count):
    child = os.fork()
    if not child:
        try:
            for turn in range(10**6):
                save() if turn % 2 or not removed else remove()
        finally:
            os._exit(1)
    time.sleep(rng.uniform(0, 0.2))
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child failed"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    models, notes = list_models()
    assert not notes, notes
    for stored in models:
        verify_model(stored)
    names = {stored.directory.name for stored in models}
    gone += "contested" not in names
    assert names - {"contested"} == {"red", "blue"} and (removed or "contested" in names), names
print(gone)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that begin in the middle")
@pytest.mark.parametrize("removed", [False, True])
def test_kills_within_saves_and_removals(
    parts: TrainingData, config: Callable[..., TrainConfig], removed: bool
) -> None:
    for name, seed in (("red", 1), ("blue", 2), ("contested", 1)):
        run_training(parts, config(epochs=1, seed=seed), name=name)
    expected = [answers("red"), answers("blue")]
    command = [sys.executable, "-c", _SUICIDE, "blue", str(1000 if SOAK else 40), str(removed)]
    result = subprocess.run(command, input=_WRITER, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert removed or result.stdout.split()[-1] == "0"
    assert [answers(name) for name in ("red", "blue")] == expected
    for path in models_dir().glob(".*.tmp"):
        os.utime(path, (0, 0))
    for model in list_models()[0]:
        assert answers(model.directory) in expected
    assert set(in_models_dir()) - {"contested"} == {"red", "blue"}


@pytest.mark.parametrize("removed", [False, True])
def test_loads_beside_replacements_and_removals(
    parts: TrainingData, config: Callable[..., TrainConfig], tmp_path: Path, removed: bool
) -> None:
    # Two models of one base, and a third that is the newest beside the contested one.
    for name, seed in (("red", 1), ("blue", 2), ("contested", 1)):
        run_training(parts, config(epochs=1, seed=seed), name=name)
    expected = [answers("red"), answers("blue")]
    assert expected[0] != expected[1]
    seconds = 60.0 if SOAK else 2.0
    what = ["red", "blue", *(["remove"] if removed else [])]
    commands = [[sys.executable, "-c", _WRITER, each, str(seconds)] for each in what]
    loads, refusals = 0, list[str]()
    with ExitStack() as stack:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        writers = [stack.enter_context(subprocess.Popen(command, **pipes, text=True)) for command in commands]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        while any(writer.poll() is None for writer in writers):
            for source in (
                lambda: "contested",
                lambda: None,
                lambda: export_model("contested", tmp_path / "copy").directory,
            ):
                try:
                    assert answers(source()) in expected
                    loads += 1
                except ModelError as error:
                    refusals.append(str(error))
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            models, notes = list_models()
            assert not notes
            assert removed or models[0].directory.name == "contested"
            assert {"red", "blue"} <= {model.directory.name for model in models}
            assert all(model.size for model in models if model.directory.name != "contested")
        for writer in writers:
            out, err = writer.communicate()
            assert writer.returncode == 0, err
            assert int(out) > 5
    assert loads > 10
    assert bool(refusals) == removed
    assert all("no model named 'contested'" in refusal for refusal in refusals)
    assert [answers(name) for name in ("red", "blue")] == expected
    assert set(in_models_dir()) - {"contested"} == {"red", "blue"}
