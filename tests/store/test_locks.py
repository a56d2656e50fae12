"""A lock per name: replacing, removing and reading at once, and what kills leave behind."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.weights import map_tensors
from emoclass.errors import BusyError, EmoclassError, ModelError, StoppedError
from emoclass.inference import predictor
from emoclass.inference.predictor import load
from emoclass.locking import locked
from emoclass.runtime import models_dir
from emoclass.store import reading, saving
from emoclass.store import replacing as directories
from emoclass.store.checkpoints import find_model, list_models
from emoclass.store.saving import export_model, remove_model
from emoclass.training.events import EpochDone, Resumed, StateNotSaved
from emoclass.training.train import TrainResult
from tests.conftest import in_models_dir
from tests.disks import refuse_locks
from tests.runs import run_training

TEXTS = ["a happy day", "so very angry and mad", "they are afraid in the dark"]
HOLDER = "import sys; from pathlib import Path; from emoclass.locking import locked\n"
HOLDER += "with locked(Path(sys.argv[1]), seconds=0):\n    print('held', flush=True)\n    sys.stdin.read()"
Train = Callable[..., TrainResult]


@pytest.fixture
def train(parts: TrainingData, config: Callable[..., TrainConfig]) -> Train:
    def run(name: str | None = None, *, epochs: int = 1, seed: int = 1, **settings: Any) -> TrainResult:
        return run_training(parts, config(epochs=epochs, seed=seed), name=name, cache_disk=0, **settings)

    return run


@pytest.fixture
def holder() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process that holds the lock of a name."""
    started = []

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(models_dir() / ".locks" / name)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def answers(name: str | Path | None) -> list[tuple[str, float]]:
    return [(p.label, p.confidence) for p in load(name, precision="fp32").predict(TEXTS)]


def test_who_waits_long_for_a_name_is_told_in_one_line(
    train: Train, holder: Any, monkeypatch: pytest.MonkeyPatch, cli: Any
) -> None:
    train("first")
    expected = answers("first")
    train("second")
    process = holder("first")
    monkeypatch.setattr(directories, "_PATIENCE_SECONDS", 0.2)
    with pytest.raises(EmoclassError, match="nothing was changed: .*another process has held this lock") as caught:
        train("first", overwrite=True)
    assert "\n" not in str(caught.value)
    removal = cli("models", "remove", "first")
    assert removal.exit_code == 1
    assert "another process" in removal.stderr
    assert answers("first") == expected
    remove_model("second")  # has a lock of its own
    if sys.platform != "win32":
        process.send_signal(signal.SIGKILL)  # the system releases it
        process.wait()
        train("first", overwrite=True)
        remove_model("first")
        assert in_models_dir() == []


def test_a_model_that_is_replaced_while_it_is_loaded_is_one_or_the_other(
    train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train("first", seed=2)
    other = answers("first")
    train("first", overwrite=True)
    assert answers("first") != other

    def replacing(original: Callable[..., Any], how: Callable[[], object]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if not done:
                done.append(1)
                how()
            return original(*args, **named)

        done: list[int] = []
        return call

    for module, name in ((predictor, "read_config"), (predictor, "map_tensors"), (reading, "file_sha256")):
        train("first", overwrite=True)
        again = replacing(getattr(module, name), lambda: train("first", seed=2, overwrite=True))
        with monkeypatch.context() as patch:
            patch.setattr(module, name, again)
            assert answers("first") == other
    train("first", overwrite=True)
    with monkeypatch.context() as patch:
        again = replacing(saving.shutil.copyfile, lambda: train("first", seed=2, overwrite=True))
        patch.setattr(saving.shutil, "copyfile", again)
        export_model("first", tmp_path / "copy")
    assert answers(tmp_path / "copy") == other
    with monkeypatch.context() as patch:
        patch.setattr(predictor, "map_tensors", replacing(map_tensors, lambda: remove_model("first")))
        with pytest.raises(ModelError, match="no model named 'first'"):
            load("first")


def test_a_model_that_is_replaced_again_and_again_waits_for_whoever_reads_it(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("first")
    expected = [answers("first")]
    train("first", seed=2, overwrite=True)
    expected.append(answers("first"))
    refused, seeds = [], cycle([1, 2])

    def replacing(directory: Path, family: Any) -> Any:
        try:
            train("first", seed=next(seeds), overwrite=True)
        except EmoclassError as error:
            refused.append(str(error))
        return map_tensors(directory, family)

    monkeypatch.setattr(directories, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(predictor, "map_tensors", replacing)
    assert answers("first") in expected
    assert len(refused) == 1
    assert "another process" in refused[0]


def test_a_name_that_is_taken_at_the_last_moment_loses_no_training(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, taken = saving.reserved, []

    def reserve(target: Path) -> Any:
        if not taken:
            taken.append(train_other())
        return original(target)

    def train_other() -> TrainResult:
        with monkeypatch.context() as patch:
            patch.setattr(saving, "reserved", original)
            return train("mine", seed=2)

    monkeypatch.setattr(saving, "reserved", reserve)
    later = train("mine")
    assert taken[0].model.manifest.name == "mine"
    assert later.model.manifest.name == later.model.directory.name == "mine-2"
    assert "mine-2" in (later.model.directory / "README.md").read_text()
    assert in_models_dir() == ["mine", "mine-2"]
    assert answers("mine") != answers("mine-2")


@pytest.mark.parametrize("new_is_there", [True, False])
def test_what_a_killed_replacement_left_is_put_right_by_whoever_comes(train: Train, new_is_there: bool) -> None:
    directory = train("first").model.directory
    expected = answers("first")
    aside = models_dir() / ".first.old"
    if new_is_there:
        export_model("first", aside)
        train("first", seed=2, overwrite=True)
        assert not aside.exists()
        export_model("first", aside)
        train("first", overwrite=True)
        export_model("first", aside)
    else:
        directory.rename(aside)
    assert answers("first") == expected
    assert [model.directory.name for model in list_models()[0]] == ["first"]
    assert in_models_dir() == ["first"]
    directory.rename(aside)
    if new_is_there:
        assert train("first").model.directory.name == "first-2"
        remove_model("first-2")
    remove_model("first")
    assert in_models_dir() == []


def test_a_removed_model_does_not_come_back(train: Train) -> None:
    train("first")
    export_model("first", models_dir() / ".first.old")
    removed = models_dir() / ".other.0123abcd.tmp"
    removed.mkdir()
    os.utime(removed, (0, 0))
    remove_model("first")
    assert list_models() == ([], [])
    assert in_models_dir() == []


def test_a_mistyped_name_leaves_no_trace(train: Train) -> None:
    train("first")
    for act in (load, remove_model):
        with pytest.raises(ModelError, match="did you mean 'first'"):
            act("frist")
    assert [path.name for path in (models_dir() / ".locks").iterdir()] == ["first"]


def test_shared_tensors_are_those_that_were_meant(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = train("first").model.directory / "frozen.safetensors"
    expected = answers("first")
    original = os.link

    def late(source: Path, target: Path) -> None:
        frozen.rename(frozen.with_name("before"))
        frozen.write_bytes(b"of another model")
        original(source, target)

    monkeypatch.setattr(os, "link", late)
    train("second")
    assert answers("second") == expected
    assert frozen.read_bytes() == b"of another model"


def test_the_same_training_twice_at_once(train: Train, cli: Any) -> None:
    inner: list[TrainResult] = []
    notes: list[StateNotSaved] = []

    def on_event(event: object) -> None:
        if isinstance(event, EpochDone) and event.epoch == 2:
            for resume in (False, True):
                inner.append(train(epochs=3, resume=resume, on_event=note))
            with pytest.raises(StoppedError, match="nothing was saved"):
                train(epochs=3, should_stop=lambda: True)
            cli("cache", "clear", "--runs")

    def note(event: object) -> None:
        assert not isinstance(event, Resumed)
        if isinstance(event, StateNotSaved):
            notes.append(event)

    stopped = train("twin", epochs=3, on_event=on_event, should_stop=lambda: len(inner) == 2)
    assert stopped.stopped
    assert stopped.model.manifest.name == "twin"
    assert ["another process is at the same training" in note.reason for note in notes] == [True, True]
    assert [len(result.history) for result in inner] == [3, 3]
    resumed: list[Resumed] = []
    last = train(
        epochs=3, resume=True, on_event=lambda event: resumed.append(event) if isinstance(event, Resumed) else None
    )
    assert resumed[0].epoch == 3
    assert last.model.manifest.name == "twin"
    assert answers("twin") == answers(inner[0].model.directory) == answers(inner[1].model.directory)


def test_resuming_replaces_no_model_of_another_training(train: Train) -> None:
    seen: list[object] = []

    def stop(**settings: Any) -> TrainResult:
        seen.clear()
        return train(
            epochs=3,
            on_event=lambda event: seen.append(event) if isinstance(event, EpochDone) else None,
            should_stop=lambda: bool(seen),
            **settings,
        )

    name = stop().model.manifest.name
    train(name, seed=2, overwrite=True)
    other = answers(name)
    with pytest.raises(ModelError, match="exists"):
        train(name, epochs=3, resume=True)
    assert train(epochs=3, resume=True).model.manifest.name == f"{name}-2"
    assert answers(name) == other


def test_the_newest_model_is_found_while_it_is_being_replaced(train: Train, holder: Any) -> None:
    train("older")
    train("newest").model.directory.rename(models_dir() / ".newest.old")
    assert find_model().directory.name == "newest"


needs_flock = pytest.mark.skipif(sys.platform == "win32", reason="locks are different there")


@needs_flock
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_a_training_saves_resumes_and_excludes(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse_locks(monkeypatch, code)
    events: list[object] = []
    seen: list[object] = []

    def on_event(event: object) -> None:
        if isinstance(event, EpochDone) and event.epoch == 2:
            train("beside", epochs=3, on_event=events.append)
            seen.append(event)

    assert train("first", epochs=3, on_event=on_event, should_stop=lambda: bool(seen)).stopped
    (problem,) = [event.reason for event in events if isinstance(event, StateNotSaved)]
    assert "another process is at the same training" in problem
    assert f"process {os.getpid()} on {socket.gethostname()}" in problem
    events.clear()
    train("first", epochs=3, resume=True, on_event=events.append)
    assert any(isinstance(event, Resumed) for event in events)
    assert answers("first") == answers("beside")
    remove_model("beside")
    assert in_models_dir() == ["first"]
    assert sorted(path.name for path in (models_dir() / ".locks").iterdir()) == ["beside", "first"]


@needs_flock
def test_without_locks_that_of_a_process_that_ended_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import errno, fcntl, os\ndef flock(*args): raise OSError(errno.ENOLCK, '')\nfcntl.flock = flock\n"
    script += HOLDER
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    refuse_locks(monkeypatch)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"process {process.pid} on "), locked(tmp_path / "lock", seconds=0):
            pass
        process.kill()
    assert (tmp_path / "lock~").exists()
    with locked(tmp_path / "lock", seconds=0):
        pass
    (tmp_path / "lock~").touch()  # of a process that was killed before it wrote its name
    os.utime(tmp_path / "lock~", (0, 0))
    with locked(tmp_path / "lock", seconds=0):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@needs_flock
def test_without_locks_that_of_another_machine_can_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_locks(monkeypatch)
    place = tmp_path / "lock~"
    place.write_text("1 elsewhere 0123456789abcdef")
    found = pytest.raises(BusyError, match=f"process 1 on elsewhere; if that is gone, remove {place}")
    with found, locked(tmp_path / "lock", seconds=0.1):
        pass
    place.unlink()
    with locked(tmp_path / "lock", seconds=0):
        assert place.exists()
