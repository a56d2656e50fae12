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
    """An engine that notes how many texts it computed; its logits are the tokens of each text."""

    multiplications = 1

    def __init__(self) -> None:
        self.calls: list[int] = []

    def logits(self, texts: TokenizedTexts, waiting: int = 0) -> Any:
        self.calls.append(len(texts))
        return texts.lengths.astype(np.float32)[:, None]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> tuple[Counting, Counting, GrowingEngine]:
    """Numpy, torch, and the engine that goes from one to the other where more than 400 tokens wait."""
    monkeypatch.setattr(engines, "_WORTH_LOADING", 400)
    numpy, torch = Counting(), Counting()
    return numpy, torch, GrowingEngine(numpy, lambda: torch)  # type: ignore[arg-type]


def texts_of(count: int, length: int = 10) -> TokenizedTexts:
    return TokenizedTexts(np.ones(count * length, np.int32), np.arange(count + 1) * length, np.zeros(count, np.bool_))


Both = tuple[Counting, Counting, GrowingEngine]


def test_an_input_that_waits_for_nobody_is_left_to_numpy(both: Both) -> None:
    numpy, torch, engine = both
    for _ in range(50):
        assert engine.logits(texts_of(30), waiting=5).tolist() == [[10.0]] * 30
    assert (len(numpy.calls), torch.calls) == (50, [])


def test_torch_takes_over_where_many_wait_and_numpy_computes_the_first(both: Both) -> None:
    numpy, torch, engine = both
    engine.logits(texts_of(4), waiting=1000)
    engine.logits(texts_of(8), waiting=900)
    engine.logits(texts_of(20), waiting=0)
    assert (numpy.calls, torch.calls) == ([4], [8, 20])


def test_many_texts_at_once_are_left_to_torch(both: Both) -> None:
    numpy, torch, engine = both
    assert len(engine.logits(texts_of(100))) == 100
    assert (numpy.calls, torch.calls) == ([], [100])


def test_after_many_texts_a_few_do_not_wait_for_compiled_kernels(both: Both) -> None:
    numpy, torch, engine = both
    engine.logits(texts_of(100))
    engine.logits(texts_of(2))
    engine.logits(texts_of(2), waiting=50)
    assert (numpy.calls, torch.calls) == ([2], [100, 2])


def test_no_texts(both: Both) -> None:
    assert len(both[2].logits(texts_of(0))) == 0


def test_an_error_of_loading_is_raised_where_torch_is_needed(both: Both) -> None:
    def fail() -> Any:
        raise ConfigError("no torch here")

    engine = GrowingEngine(Counting(), fail)  # type: ignore[arg-type]
    assert len(engine.logits(texts_of(25))) == 25
    with pytest.raises(ConfigError, match="no torch here"):
        engine.logits(texts_of(50))


def test_all_engines_give_the_same_answers(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(tiny_model, engine="torch", precision="fp32").predict_proba(TEXTS)
    monkeypatch.setattr(engines, "_WORTH_LOADING", 1)
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
        "engines._WORTH_LOADING, engines._FIRST = 1, 1e9\n"
        "engines.TorchEngine.of = classmethod(lambda cls, *a, **k: time.sleep(60))\n"
        "from emoclass.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "predict", "--model", str(trained_model), "a happy day"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.count("\n") == 1


def test_a_few_packages_are_enough_to_predict(tiny_model: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'safetensors', 'pandas', 'sklearn', 'transformers']))\n"
        "from importlib import util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
        "import emoclass; classifier = emoclass.load(sys.argv[1])\n"
        "assert len(list(classifier.predict(['a happy day'] * 10_000))) == 10_000\n"
        "own = {name.split('.')[0] for name, module in sys.modules.items() if module} - sys.stdlib_module_names\n"
        "print(*sorted(name for name in own if not name.startswith('_')))\n"
        "try: emoclass.load(sys.argv[1], engine='torch')\n"
        "except emoclass.EmoclassError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tiny_model], capture_output=True, text=True, check=True)
    packages, error = done.stdout.splitlines()
    assert set(packages.split()) <= {"emoclass", "numpy", "platformdirs", "tokenizers", "coverage", "a1_coverage"}
    assert "pip install torch" in error
