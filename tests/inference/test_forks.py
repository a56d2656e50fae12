"""A forked process predicts, whatever its parent has done before and its threads are doing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import many_processes

PARENT = """
import multiprocessing, os, sys, threading, time
import torch
import emoclass

engine, before, path = sys.argv[1:]
torch.set_num_threads(2)
classifier = emoclass.load(path, engine=engine, precision="fp32")
texts = [f"a happy day {'very ' * (number % 30)}number {number}" for number in range(400)]
expected = [prediction.label for prediction in classifier.predict(texts)]
torch.ones(1 << 20).exp_()  # torch's threads start
if before == "busy":
    threading.Thread(target=lambda: [classifier.predict_proba(texts) for _ in iter(int, 1)], daemon=True).start()
    time.sleep(0.2)


def child(reload):
    own = emoclass.load(path, engine=engine, precision="fp32") if reload else classifier
    assert [prediction.label for prediction in own.predict(texts)] == expected


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=child, args=[reload]) for reload in (False, True)]
    for each in children:
        each.start()
    for each in children:
        each.join(60)
    codes = [each.exitcode for each in children]
    for each in children:
        each.kill()
    sys.stderr.write(f"{codes}")
    os._exit(codes != [0, 0])
"""


@many_processes
@pytest.mark.skipif(sys.platform == "win32", reason="no forks")
@pytest.mark.parametrize("engine", ["numpy", "torch", "auto"])
@pytest.mark.parametrize(("before", "parallelism"), [("quiet", "true"), ("busy", None)])
def test_a_forked_process_predicts(
    tiny_model: Path, engine: str, before: str, parallelism: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    if parallelism is not None:
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", parallelism)
    command = [sys.executable, "-c", PARENT, engine, before, str(tiny_model)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


TRAINER = """
import multiprocessing, os, sys
import torch
import emoclass

data, base = sys.argv[1:]
torch.set_num_threads(2)


def train(name):
    settings = {"max_length": 40, "epochs": 2, "train_pooler": True, "recipe": "reference"}
    result = emoclass.train(data, base_model=base, name=name, **settings)
    emoclass.evaluate(data, model=name)
    return [epoch.val_loss for epoch in result.history]


def child(expected):
    assert train("second") == expected


if __name__ == "__main__":
    expected = train("first")
    torch.ones(1 << 20).exp_()  # torch's threads start
    process = multiprocessing.get_context("fork").Process(target=child, args=[expected])
    process.start()
    process.join(60)
    code = process.exitcode
    process.kill()
    sys.stderr.write(f"{code}")
    os._exit(code != 0)
"""


@many_processes
@pytest.mark.skipif(sys.platform == "win32", reason="no forks")
def test_a_forked_process_trains(emotions_csv: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    command = [sys.executable, "-c", TRAINER, str(emotions_csv), str(tiny_base)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
