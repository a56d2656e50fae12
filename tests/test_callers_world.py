"""What a program has set stays as it is, and does not change what emoclass does."""

import logging
import os
import random
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers  # noqa: F401 - importing libraries is not what is tested

import emoclass
from emoclass.inference.predictor import load
from tests.conftest import emotion_rows

TEXTS = [text for text, _ in emotion_rows()]
# What bounds the memory of oneDNN is set for good, if it is not set yet (docs/python-api.md).
SET_FOR_GOOD = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def world() -> dict[str, Any]:
    """Everything that a program shares with what it calls."""
    root = logging.getLogger()
    return {
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.random.get_rng_state().tolist(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "matmul": torch.get_float32_matmul_precision(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "warnings": list(warnings.filters),
        "logging": (root.level, list(root.handlers), logging.root.manager.disable),
        "transformers": logging.getLogger("transformers").level,
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "environment": {name: value for name, value in os.environ.items() if name not in SET_FOR_GOOD},
        "cwd": Path.cwd(),
        "numpy errors": np.geterr(),
        "running": {thread.name for thread in threading.enumerate() if not thread.daemon},
    }


def train(base: Path, data: Path) -> None:
    settings = {"learning_rate": 0.02, "epochs": 2, "batch_size": 8, "max_length": 40, "train_pooler": True}
    emoclass.train(data, base_model=str(base), name="own", overwrite=True, recipe="reference", **settings)


@pytest.fixture
def calls(tiny_base: Path, emotions_csv: Path, tiny_model: Path) -> dict[str, Callable[[], object]]:
    return {
        "train": lambda: train(tiny_base, emotions_csv),
        "load": lambda: load(tiny_model, engine="torch"),
        "predict": lambda: list(load(tiny_model, engine="torch").predict(TEXTS)),
        "numpy": lambda: load(tiny_model, engine="numpy").predict_proba(TEXTS),
        "evaluate": lambda: emoclass.evaluate(emotions_csv, model=tiny_model),
    }


@pytest.mark.parametrize("name", ["train", "load", "predict", "numpy", "evaluate"])
def test_the_callers_world_stays_as_it_is(name: str, calls: dict[str, Callable[[], object]]) -> None:
    random.seed(3)
    np.random.seed(4)
    torch.manual_seed(5)
    before = world()
    calls[name]()
    after = world()
    assert {key for key in before if before[key] != after[key]} == set()


@contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": float64,
    "default device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_a_program_has_set_does_not_change_the_results(
    setting: str, tiny_base: Path, emotions_csv: Path, tiny_model: Path
) -> None:
    def results() -> tuple[Any, ...]:
        result = emoclass.train(
            emotions_csv, base_model=str(tiny_base), name="own", overwrite=True, recipe="reference", epochs=2,
            learning_rate=0.02, batch_size=8, max_length=40, train_pooler=True, cache_disk=0, precision="fp32",
        )  # fmt: skip
        classifier = load(tiny_model, engine="torch", precision="fp32")
        scores = emoclass.evaluate(emotions_csv, model=tiny_model, precision="fp32").to_dict()
        return [epoch.val_loss for epoch in result.history], classifier.predict_proba(TEXTS).tolist(), scores

    expected = results()
    with SETTINGS[setting]():
        before = world()
        assert results() == expected
        assert {key for key, value in world().items() if before[key] != value} == set()


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_classifier_that_is_loaded_already_predicts_under_any_setting(setting: str, tiny_model: Path) -> None:
    classifier = load(tiny_model, engine="torch", precision="fp32")
    expected = classifier.predict_proba(TEXTS)
    with SETTINGS[setting]():
        np.testing.assert_array_equal(classifier.predict_proba(TEXTS), expected)
