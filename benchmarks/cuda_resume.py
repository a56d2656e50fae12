"""Section resume of cuda_run.py: kill a run, resume it, compare it with an uninterrupted one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cuda_data

if TYPE_CHECKING:
    from cuda_worker import Bench
    from torch import Tensor


def resume(bench: Bench) -> None:
    """Compare a run that is killed after its first checkpoint and resumed with an uninterrupted one."""
    training = _Training(bench)
    _kill_after_checkpoint(bench, training.start(), training.home("killed"))
    resumed = training.start("--resume")
    whole = training.run("whole")
    # Some GPU kernels add in no fixed order: a second run shows by how much two runs differ anyway.
    twin = training.run("twin") if bench.on_gpu else whole
    _wait(bench, resumed)
    again = training.results("killed")
    first = re.search(r"epoch (\d+)/", training.log())
    number = int(first[1]) if first else 0
    bench.check("first epoch after resuming", number, number > 1, f"last layer, dropout 0.1, {training.epochs} epochs")
    allowed = _difference(whole, twin)
    _compare_runs(bench, "two uninterrupted runs", whole, twin, None)
    _compare_runs(bench, "killed and resumed", whole, again, allowed)


_Results = tuple[list[dict[str, Any]], dict[str, "Tensor"]]


class _Training:
    """The same training run, on the command line and through the API, with separate home directories."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._data = cuda_data.first_texts(bench.data, bench.home, 96 if bench.tiny else 16_000)
        self._base, self._device = str(bench.base(bench.bases[0])), str(bench.device)
        # An epoch takes a quarter of a second on an H100: with few of them the run might end before it is killed.
        self.epochs = 6 if bench.tiny else 15
        self._settings = {
            "recipe": "reference",
            "epochs": self.epochs,
            "learning_rate": 1e-3,
            "batch_size": 8 if bench.tiny else 32,
            "cache_disk": 0,
        }

    def home(self, name: str) -> Path:
        home = self._bench.home / f"resume-{name}"
        home.mkdir(exist_ok=True)
        return home

    def start(self, *more: str) -> subprocess.Popen[str]:
        """Start the run on the command line."""
        home = self.home("killed")
        options = [word for name, value in self._settings.items() for word in (f"--{name.replace('_', '-')}", value)]
        command = [sys.executable, "-m", "emoclass", "train", self._data, "--name", "run", *options, *more]
        command += ["--base-model", self._base, "--device", self._device]
        with (home / "log").open("w") as log:
            return subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                env={**os.environ, "EMOCLASS_HOME": str(home)},
            )

    def run(self, name: str) -> _Results:
        """Run it through the API."""
        import emoclass

        before = os.environ["EMOCLASS_HOME"]
        os.environ["EMOCLASS_HOME"] = str(self.home(name))
        try:
            emoclass.train(self._data, name="run", base_model=self._base, device=self._device, **self._settings)
        finally:
            os.environ["EMOCLASS_HOME"] = before
        return self.results(name)

    def log(self) -> str:
        return (self.home("killed") / "log").read_text()

    def results(self, name: str) -> _Results:
        """Return the epochs, and all weights by name."""
        from safetensors.torch import load_file

        model = self.home(name) / "models/run"
        if not model.is_dir():
            raise RuntimeError(f"run {name!r} saved no model: {self.log()[-300:]}")
        weights = {}
        for path in model.glob("*.safetensors"):
            weights |= {} if path.name.startswith("baseline") else load_file(path)
        return [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()], weights


def _kill_after_checkpoint(bench: Bench, process: subprocess.Popen[str], home: Path) -> None:
    while process.poll() is None and not list(home.glob("runs/*/*.state")):
        if bench.left() < 5:
            process.kill()
            raise TimeoutError("no checkpoint was saved in time")
        time.sleep(0.01)
    if process.poll() is not None:
        raise RuntimeError(f"the run ended before its first checkpoint: {(home / 'log').read_text()[-300:]}")
    process.kill()
    process.wait()
    if (home / "models/run").exists():
        raise RuntimeError("the run ended before it was killed")


def _wait(bench: Bench, process: subprocess.Popen[str]) -> None:
    try:
        process.wait(timeout=max(1.0, bench.left()))
    except subprocess.TimeoutExpired:
        process.kill()
        raise TimeoutError("the resumed run did not end in time") from None


def _difference(first: _Results, second: _Results) -> float:
    """Return the largest difference between two weights."""
    return max(float((tensor - second[1][name]).abs().max()) for name, tensor in first[1].items())


def _compare_runs(bench: Bench, what: str, first: _Results, second: _Results, allowed: float | None) -> None:
    difference = _difference(first, second)
    losses = [[epoch["train_loss"] for epoch in run[0]] for run in (first, second)]
    apart = max(abs(a - b) for a, b in zip(*losses, strict=True))
    value = "bit-identical" if difference == 0 else f"weights differ by {difference:.2g}"
    note = f"training losses differ by {apart:.2g}"
    if allowed is None:
        bench.row(what, value, "", note)
    else:  # repeated dropout would change weights by about the learning rate
        bench.check(what, value, difference <= 10 * allowed, f"{note}; two uninterrupted runs differ by {allowed:.2g}")
