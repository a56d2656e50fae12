"""Several processes train what one would have trained, and only one of them speaks."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from emoclass.activations import cache as activations
from emoclass.activations.cache import default_budget
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.errors import ConfigError, EmoclassError
from emoclass.runtime import _free_in_container
from emoclass.training import run
from emoclass.training.ranks import Ranks
from tests.conftest import HUB_CONFIG, many_processes
from tests.runs import run_training

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no torch.distributed here")


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """Without dropout, whose random numbers would differ."""
    base = Path(shutil.copytree(tiny_base, tmp_path / "no-dropout"))
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps({**HUB_CONFIG, **no_dropout}))
    return base


@pytest.fixture
def command(emotions_csv: Path, base: Path) -> Callable[..., list[str]]:
    """Makes the words of an ``emoclass train`` command."""

    def make(*options: str) -> list[str]:
        settings = ["--base-model", str(base), "--max-length", "40", "--device", "cpu", "--precision", "fp32"]
        return ["train", str(emotions_csv), *settings, *options, "--json"]

    return make


def _torchrun(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in two processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*launcher, "-m", "emoclass", *arguments], capture_output=True, text=True, timeout=300)


def _figures(document: dict[str, Any]) -> list[list[float]]:
    return [[v for k, v in epoch.items() if k != "seconds"] for epoch in document["history"]]


@many_processes
@pytest.mark.parametrize("unfreeze", ["1", "all"])
def test_two_processes_train_what_one_trains(
    command: Callable[..., list[str]], cli: Callable[..., Any], unfreeze: str
) -> None:
    options = ["--unfreeze", unfreeze, "--learning-rate", "1e-3", "--class-weights", "sqrt", "--label-smoothing", "0.1"]
    # Batches of 5 in 48 texts: some ranks have one text of a batch more than the others, and the last batch is short.
    options += ["--batch-size", "5", "--epochs", "3"]
    result = _torchrun(command(*options))
    assert result.returncode == 0, result.stderr
    one, two = json.loads(cli(*command(*options)).stdout), json.loads(result.stdout)
    for mine, theirs in zip(_figures(one), _figures(two), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    assert one["best_epoch"] == two["best_epoch"]
    assert one["test"]["accuracy"] == pytest.approx(two["test"]["accuracy"])
    assert result.stderr.count("parameters are trainable") == 1


@many_processes
def test_two_processes_train_any_number_of_labels(base: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    labels = ["joy;fear", "joy", "fear", "anger", "anger;joy", ""]
    rows = [f"{'so ' * (n % 5)}happy afraid angry day {n},{labels[n % 6]}" for n in range(90)]
    path = tmp_path / "several.csv"
    path.write_text("text,labels\n" + "\n".join(rows) + "\n")
    command = ["train", str(path), "--base-model", str(base), "--max-length", "40", "--device", "cpu", "--json"]
    command += ["--precision", "fp32", "--batch-size", "5", "--epochs", "2", "--learning-rate", "1e-3"]
    result = _torchrun(command)
    assert result.returncode == 0, result.stderr
    one, two = json.loads(cli(*command).stdout), json.loads(result.stdout)
    for mine, theirs in zip(_figures(one), _figures(two), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    assert one["test"]["micro_f1"] == pytest.approx(two["test"]["micro_f1"])


@many_processes
def test_another_number_of_processes_goes_on(command: Callable[..., list[str]], cli: Callable[..., Any]) -> None:
    # Without frozen layers, in whose pass the time limit would end the training.
    options = ["--learning-rate", "1e-3", "--batch-size", "5", "--epochs", "2", "--unfreeze", "all"]
    whole = json.loads(cli(*command(*options)).stdout)
    stopped = _torchrun(command(*options, "--max-minutes", "1e-6"))
    assert "cancelled before the first epoch was complete" in stopped.stderr
    resumed = cli(*command(*options, "--resume"))
    assert "resuming in epoch 1 after 1 steps" in resumed.stderr
    for mine, theirs in zip(_figures(whole), _figures(json.loads(resumed.stdout)), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)


def test_a_search_runs_in_one_process(
    parts: TrainingData, config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "join_ranks", lambda device: nullcontext(Ranks(0, 2, device)))
    with pytest.raises(ConfigError, match="--tune runs in a single process; do not use torchrun"):
        run_training(parts, config(), tune=2)


def test_what_another_launcher_left_in_the_environment_is_told_in_one_line(
    parts: TrainingData, config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EmoclassError, match="RANK expected"):
        run_training(parts, config())


def test_processes_on_one_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(activations, "available_memory", lambda: 8 * 10**9)
    assert default_budget(cpu).memory == 4 * 10**9
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert default_budget(cpu).memory == 10**9


def test_processes_on_one_machine_share_its_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    budget = default_budget(torch.device("cpu"), disk=8 * 10**9)
    assert (budget.disk, budget.disk_limit) == (2 * 10**9, 8 * 10**9)


def test_a_container_leaves_less_than_the_machine(tmp_path: Path) -> None:
    assert _free_in_container(tmp_path) == math.inf
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 250\nactive_file 50\nfile 400\n")
    assert _free_in_container(tmp_path) == math.inf
    (tmp_path / "memory.max").write_text("1000\n")
    assert _free_in_container(tmp_path) == 600


def test_alone_there_is_nobody_to_ask() -> None:
    ranks = Ranks()
    assert ranks.is_first
    assert ranks.shard(3).tolist() == [0, 1, 2]
    assert ranks.any(True, False) == [True, False]
    assert ranks.from_first(b"state") == b"state"
