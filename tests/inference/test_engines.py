"""Numpy answers first, torch takes over where there is much to do; both say the same."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.errors import ConfigError
from emoclass.inference import engines
from emoclass.inference.engines import GrowingEngine
from emoclass.inference.predictor import load
from tests.conftest import emotion_rows

TEXTS = [text for text, _ in emotion_rows()]


class Counting:
    """An engine that says how many texts it computed; its logits are the tokens of each text."""

    multiplications = 1

    def __init__(self) -> None:
        self.calls: list[int] = []

    def logits(self, texts: TokenizedTexts) -> Any:
        self.calls.append(len(texts))
        return texts.lengths.astype(np.float32)[:, None]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(engines, "time", clock)
    monkeypatch.setattr(engines, "_BEFORE_LOADING", 100)
    monkeypatch.setattr(engines, "_WHILE_LOADING", 200)
    return clock


def texts_of(count: int, length: int = 10) -> TokenizedTexts:
    return TokenizedTexts(np.ones(count * length, np.int32), np.arange(count + 1) * length, np.zeros(count, np.bool_))


def test_torch_takes_over_at_the_same_text_however_the_input_is_cut(clock: Clock) -> None:
    for windows in ([100], [5, 5, 90], [20, 60, 20], [31, 69]):
        numpy, torch = Counting(), Counting()
        engine = GrowingEngine(numpy, lambda torch=torch: torch)  # type: ignore[arg-type, misc]
        for count in windows:
            assert engine.logits(texts_of(count)).tolist() == [[10.0]] * count
        assert (sum(numpy.calls), sum(torch.calls)) == (30, 70)


def test_a_slow_input_never_loads_torch(clock: Clock) -> None:
    numpy = Counting()
    engine = GrowingEngine(numpy, lambda: pytest.fail("torch was loaded"))  # type: ignore[arg-type]
    for _ in range(50):
        clock.now += 1
        engine.logits(texts_of(10))
    assert sum(numpy.calls) == 500


def test_after_a_pause_a_few_tokens_do_not_wait_for_torch(clock: Clock) -> None:
    numpy, torch = Counting(), Counting()
    engine = GrowingEngine(numpy, lambda: torch)  # type: ignore[arg-type]
    engine.logits(texts_of(40))
    clock.now += 1
    engine.logits(texts_of(2))
    engine.logits(texts_of(2))
    clock.now += 1
    engine.logits(texts_of(20))
    assert numpy.calls == [30, 2]
    assert torch.calls == [10, 2, 20]


def test_an_error_of_loading_is_raised_where_torch_is_needed(clock: Clock) -> None:
    def fail() -> Any:
        raise ConfigError("no torch here")

    engine = GrowingEngine(Counting(), fail)  # type: ignore[arg-type]
    assert len(engine.logits(texts_of(25))) == 25
    with pytest.raises(ConfigError, match="no torch here"):
        engine.logits(texts_of(25))


def test_all_engines_give_the_same_answers(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(tiny_model, engine="torch", precision="fp32").predict_proba(TEXTS)
    monkeypatch.setattr(engines, "_BEFORE_LOADING", 1)
    monkeypatch.setattr(engines, "_WHILE_LOADING", 300_000)
    for engine in ("numpy", "auto"):
        classifier = load(tiny_model, engine=engine, precision="fp32")
        for copy in (classifier, pickle.loads(pickle.dumps(classifier))):
            np.testing.assert_allclose(copy.predict_proba(TEXTS), expected, atol=1e-5)


def test_numpy_computes_on_the_cpu_in_fp32_only(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="numpy computes on the CPU in fp32"):
        load(tiny_model, engine="numpy", precision="bf16")
    with pytest.raises(ConfigError, match="numpy computes on the CPU in fp32"):
        load(tiny_model, engine="numpy", device="cuda")
    with pytest.raises(ConfigError, match="'jax' is not known; use auto, numpy, torch"):
        load(tiny_model, engine="jax")


def test_the_command_ends_while_torch_is_loading(trained_model: Path) -> None:
    """What is predicted is written, and nobody waits for what is not needed any more."""
    code = (
        "import sys, time\n"
        "from emoclass.inference import engines\n"
        "engines._BEFORE_LOADING = 1\n"
        "engines.TorchEngine.of = classmethod(lambda cls, *a, **k: time.sleep(60))\n"
        "from emoclass.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "predict", "--model", str(trained_model), "a happy day"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.count("\n") == 1
