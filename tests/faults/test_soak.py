"""Commands in bad surroundings, at random and at length: no model is lost, nothing hangs, nothing prints a traceback.

``make soak`` runs it for EMOCLASS_SOAK_MINUTES, by default ten, from EMOCLASS_SOAK_SEED on.
"""

from __future__ import annotations

import csv
import errno
import fcntl
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emoclass.inference.predictor import load
from emoclass.runtime import models_dir, runs_dir
from emoclass.store.checkpoints import list_models
from emoclass.store.reading import verify_model

pytestmark = [
    pytest.mark.skipif(not os.environ.get("EMOCLASS_SOAK"), reason="make soak: minutes"),
    pytest.mark.skipif(sys.platform != "linux", reason="signals, pipes and limits are different there"),
    pytest.mark.slow,
]
MINUTES = float(os.environ.get("EMOCLASS_SOAK_MINUTES", 10))
SEED = int(os.environ.get("EMOCLASS_SOAK_SEED", time.time()))
SCRIPT = str(Path(__file__).with_name("surroundings.py"))
# A process ends in so many seconds after a signal, where it does not have to share a processor.
_PATIENCE = 5.0
TEXTS = ["a happy day", "so very angry and mad", "they are afraid in the dark"]
_PIPE_BYTES = 4096


@dataclass
class Trial:
    """One command in its surroundings, and how it ended."""

    arguments: list[str]
    surroundings: dict[str, Any]
    reader: str
    signals: list[tuple[float, int]]
    code: int | str | None = None
    err: str = ""
    seconds: float = 0.0
    name: str | None = None
    given: bytes = b""
    threads: str = ""

    def __str__(self) -> str:
        what = f"{shlex.join(self.arguments)} {json.dumps(self.surroundings)} reader {self.reader}"
        return (
            f"{what} signals {self.signals}: {self.code} after {self.seconds:.1f} s\n{self.err[-3000:]}{self.threads}"
        )


class Surroundings:
    """Chooses commands, and runs them.

    Args:
        rng: Where chance comes from.
        place: The working directory, with ``table.csv`` and ``many.csv``.
        base: The base model.
    """

    def __init__(self, rng: random.Random, place: Path, base: Path) -> None:
        self.rng, self.place, self.base = rng, place, base
        self.number = 0

    def trial(self) -> Trial:
        """Return the next command."""
        self.number += 1
        rng = self.rng
        make = rng.choice([self._train, self._train, self._train, self._predict, self._predict, self._other])
        arguments, name = make()
        trial = Trial(arguments, self._surroundings(), rng.choice(["all", "all", "none", "some"]), [], name=name)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            trial.signals.append((rng.uniform(0.1, 6.0), rng.choice([signal.SIGTERM, signal.SIGHUP])))
        if trial.reader == "none" and not trial.signals:  # it would wait forever
            trial.signals.append((rng.uniform(1.0, 6.0), signal.SIGTERM))
        return trial

    def _surroundings(self) -> dict[str, Any]:
        rng = self.rng
        chosen: dict[str, Any] = {}
        if rng.random() < 0.3:
            chosen["locks"] = False
        kind = rng.choice(["", "", "large", "changes", "changes"])
        if kind == "large":
            chosen["largest_file"] = rng.choice([100, 1000, 10_000, 100_000])
        if kind == "changes":
            chosen["errno"] = rng.choice([errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
            chosen["changes"] = rng.choice([0, rng.randrange(10), rng.randrange(100), rng.randrange(300)])
        return chosen

    def _train(self) -> tuple[list[str], str | None]:
        rng, name = self.rng, f"soak-{self.number}"
        words = ["train", "table.csv", "--base-model", str(self.base), "--batch-size", "8", "--max-length", "40"]
        words += ["--learning-rate", "0.005", "--epochs", str(rng.choice([2, 20, 300])), "--name", name]
        words += ["--resume"] * rng.randrange(2) + ["--json"] * rng.randrange(2)
        words += rng.choice([[], [], ["--seeds", "2"], ["--unfreeze", "1"], ["--cache-disk", "0"]])
        return words, name

    def _predict(self) -> tuple[list[str], str | None]:
        source = self.rng.choice(["table.csv", "many.csv", "own.csv"])
        words = ["predict", "--model", "first", "--input", source]
        target = "own.csv" if source == "own.csv" else f"out-{self.number}.csv"
        words += self.rng.choice([[], ["--json"], ["--output", target], ["--output", target]])
        return words, None

    def _other(self) -> tuple[list[str], str | None]:
        rng, number = self.rng, self.number
        source = rng.choice(["table.csv", "many.csv"])
        words = [
            ["inspect-data", source, "--base-model", "none"],
            ["inspect-data", source, "--base-model", "none", "--json", "--fix", f"fixed-{number}.csv"],
            ["split", source, "--output-dir", f"parts-{number}"],
            ["eval", "table.csv", "--model", "first", "--json"],
            ["eval", "table.csv", "--model", "first", "--predictions", f"scored-{number}.csv"],
            ["models"],
            ["models", "export", "first", f"copy-{number}"],
            ["cache", "clear"],
            ["env"],
        ]
        return rng.choice(words), None

    def run(self, trial: Trial) -> None:
        """Run a command, send its signals, and note how it ended."""
        own = self.place / "own.csv"
        trial.given, dump = own.read_bytes(), self.place.with_name("threads.txt")
        streams = [_Reader(trial.reader, self.rng.uniform(0.0, 4.0)) for _ in range(2)]
        process = subprocess.Popen(
            [sys.executable, SCRIPT, json.dumps({**trial.surroundings, "dump": str(dump)}), *trial.arguments],
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            stdout=streams[0].writer,
            stderr=streams[1].writer,
        )
        for stream in streams:
            stream.start()
        start = time.monotonic()
        try:
            for seconds, number in sorted(trial.signals):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, start + seconds - time.monotonic()))
                process.send_signal(number)
            start = time.monotonic()
            patience = _PATIENCE * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            trial.code = process.wait(patience if trial.signals else 300)
        except subprocess.TimeoutExpired:
            trial.code = "hangs"
            process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            trial.threads = dump.read_text()
        finally:
            trial.seconds = time.monotonic() - start
            process.kill()
            process.wait()
        trial.err = streams[1].end().decode("utf-8", "replace")
        streams[0].end()


class _Reader:
    """The other end of a pipe: reads all, nothing until the end, or closes it after some seconds."""

    def __init__(self, kind: str, seconds: float) -> None:
        self._kind, self._seconds, self._read = kind, seconds, b""
        self._reader, self.writer = os.pipe()
        if kind == "none":
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        os.close(self.writer)
        if self._kind != "none":
            self._thread.start()

    def _run(self) -> None:
        deadline = time.monotonic() + self._seconds
        os.set_blocking(self._reader, False)
        while self._kind == "all" or time.monotonic() < deadline:
            try:
                chunk = os.read(self._reader, 1 << 16)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            if not chunk:
                break
            self._read += chunk
        os.close(self._reader)

    def end(self) -> bytes:
        """Return what was read, after the process has ended."""
        if self._kind != "none":
            self._thread.join()
            return self._read
        read = os.read(self._reader, _PIPE_BYTES)
        os.close(self._reader)
        return read


def problems(trial: Trial, place: Path, expected: list[tuple[str, float]], kept: set[str]) -> list[str]:
    """Return what must not happen; add to ``kept`` the models that there are."""
    found = []
    if trial.code == "hangs":
        found.append("hangs")
    # A signal may come before Python has handlers for it.
    elif trial.code not in (0, 1, 2, 130, -signal.SIGTERM, -signal.SIGHUP):
        found.append(f"ends with {trial.code}")
    if "Traceback" in trial.err or "Error:" in trial.err or "Exception ignored" in trial.err:
        found.append("prints a traceback")
    models, notes = list_models()
    names = {model.directory.name for model in models}
    if notes or not kept <= names:
        found.append(f"loses a model: {kept - names} {notes}")
    for model in models:
        verify_model(model)
    if [(p.label, p.confidence) for p in load("first", precision="fp32").predict(TEXTS)] != expected:
        found.append("changes a model")
    kept |= names
    done = re.search(r"^epoch [0-9]+/", trial.err, re.MULTILINE)
    has_state = any(runs_dir().rglob("*.state")) if runs_dir().exists() else False
    broken = "largest_file" in trial.surroundings or "errno" in trial.surroundings
    if trial.name and done and trial.name not in names and not has_state and not broken:
        found.append("loses what was trained")
    if trial.name and trial.code == 0 and trial.name not in names:
        found.append("saves nothing")
    rows = [row[:2] for row in csv.reader((place / "own.csv").read_text().splitlines())]
    if rows != [row[:2] for row in csv.reader(trial.given.decode().splitlines())]:
        found.append("loses rows of a table that is replaced")
    return found


def test_commands_in_bad_surroundings(
    trained_model: Path, tiny_base: Path, emotions_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "work"
    place.mkdir()
    shutil.copy(emotions_csv, place / "table.csv")
    shutil.copy(emotions_csv, place / "own.csv")
    lines = emotions_csv.read_text().splitlines()
    rows = [f'"{number} {line[1:]}' for number in range(300) for line in lines[1:]]
    (place / "many.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    expected = [(p.label, p.confidence) for p in load("first", precision="fp32").predict(TEXTS)]
    surroundings, kept = Surroundings(random.Random(SEED), place, tiny_base), {"first"}
    ends: Counter[str] = Counter()
    deadline = time.monotonic() + 60 * MINUTES
    failures = []
    while time.monotonic() < deadline:
        trial = surroundings.trial()
        surroundings.run(trial)
        ends[f"{trial.arguments[0]} {trial.code}"] += 1
        failures += [f"{problem}: {trial}" for problem in problems(trial, place, expected, kept)]
        for model in sorted(kept - {"first"}):  # or checking them all takes ever longer
            shutil.rmtree(models_dir() / model)
        kept = {"first"}
        for path in place.iterdir():
            if path.name not in ("table.csv", "own.csv", "many.csv"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    with capsys.disabled():
        print(f"\nseed {SEED}, {surroundings.number} commands: {dict(sorted(ends.items()))}")
    assert not failures, "\n\n".join(failures)
