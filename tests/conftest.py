"""A tiny base model, a tiny data set and an isolated home: no test needs a download or the network."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from typer.testing import CliRunner

from emoclass.config import TrainConfig, TruncationConfig
from emoclass.data.options import DataOptions
from emoclass.data.preparation import TrainingData, prepare_training_data
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.runtime import models_dir
from tests.runs import run_training

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FILLERS = [
    "a", "the", "i", "you", "we", "they", "it", "is", "was", "am", "are", "and", "so", "very",
    "of", "in", "on", "at", "to", "my", "your", "this", "that", "day", "one", "two", "three",
]  # fmt: skip
WORDS = {
    "joy": ["happy", "glad", "smile", "sunny", "great", "cheer", "laugh", "delight", "sweet", "bright"],
    "fear": ["afraid", "scared", "dark", "tremble", "panic", "dread", "horror", "nervous", "shaking", "threat"],
    "anger": ["angry", "furious", "rage", "hate", "shout", "slam", "mad", "annoyed", "unfair", "bitter"],
}
TINY = {
    "vocab_size": 100,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 40,
}
HUB_CONFIG = {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu", "pad_token_id": 0, **TINY}


def pytest_configure() -> None:
    """One thread for each process: tiny models gain nothing from more, and processes run tests side by side."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start
    torch.set_num_threads(1)
    # The client of the hub reads these when it is imported: tests/hub has a hub at this address.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{free.getsockname()[1]}"
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, which processes that tests start would inherit
    for of_the_user in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ.pop(of_the_user, None)
    os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing reads or writes the user's directories, and nothing reaches the network."""
    monkeypatch.setenv("EMOCLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("COLUMNS", "100")
    # No test cuts the power, and to wait for the disk takes longer than to train a tiny model.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("the network is off in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def tiny_vocabulary() -> list[str]:
    words = SPECIAL + FILLERS + [word for group in WORDS.values() for word in group]
    return words + [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"] + list("xyz.!,?-")


def tiny_tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(tiny_vocabulary()))}
    assert len(vocabulary) <= TINY["vocab_size"]
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def random_tensors(model: PackedBert, seed: int = 0, scale: float = 0.4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator) * scale
        tensors[name] = values + 1 if name.endswith("LayerNorm.weight") else values
    return tensors


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer, width-8 BERT with random weights in hub format."""
    directory = tmp_path_factory.mktemp("tiny-base")
    (directory / "config.json").write_text(json.dumps(HUB_CONFIG))
    tokenizer = tiny_tokenizer()
    # Settings of a published tokenizer that must not have any effect.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    tokenizer.save(str(directory / "tokenizer.json"))
    tensors = random_tensors(PackedBert(EncoderConfig(**TINY), 2))
    kept = {name.removeprefix("bert."): t for name, t in tensors.items() if not name.startswith("classifier.")}
    save_file(kept, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def emotion_rows(per_class: int = 20) -> list[tuple[str, str]]:
    """Sentences of which one word gives away the class; all differ."""
    rows = []
    for label, words in WORDS.items():
        for number in range(per_class):
            word, filler = words[number % len(words)], FILLERS[(3 * number) % len(FILLERS)]
            other = FILLERS[(5 * number + 2) % len(FILLERS)]
            rows.append((f"{filler} {word} {other} {'very ' * (number // 7)}{word}", label))
    return rows


def write_emotions(directory: Path) -> Path:
    path = directory / "emotions.csv"
    lines = [f'"{text}",{label}' for text, label in emotion_rows()]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def emotions_csv(tmp_path: Path) -> Path:
    return write_emotions(tmp_path)


@pytest.fixture(scope="session")
def config(tiny_base: Path) -> Callable[..., TrainConfig]:
    """A recipe that fits the tiny data set in a moment."""

    def make(**settings: Any) -> TrainConfig:
        defaults = {
            "base_model": str(tiny_base),
            "truncation": TruncationConfig(max_length=40),
            "train_pooler": True,
            "learning_rate": 2e-2,
            "epochs": 3,
            "batch_size": 8,
        }
        return TrainConfig(**{**defaults, **settings})

    return make


def split(path: Path) -> TrainingData:
    return prepare_training_data(path, options=DataOptions(), seed=1)


@pytest.fixture
def parts(emotions_csv: Path) -> TrainingData:
    return split(emotions_csv)


@pytest.fixture(scope="session")
def tiny_model(config: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a model that is trained once, on what ``parts`` holds; nobody may change it."""
    home = tmp_path_factory.mktemp("tiny-model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOCLASS_HOME", str(home))
        return run_training(split(write_emotions(home)), config(), name="first", cache_disk=0).model.directory


@pytest.fixture
def trained_model(tiny_model: Path) -> Path:
    """A copy of the tiny model, as the only trained model there is: for tests that need one, however trained."""
    return Path(shutil.copytree(tiny_model, models_dir() / tiny_model.name))


def many_processes(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that starts several processes at a time: such tests do not run beside each other."""
    return pytest.mark.slow(pytest.mark.xdist_group("many processes")(test))


def load_script(path: Path) -> Any:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def until(condition: Callable[[], object], *, seconds: float = 120, interval: float = 0.01) -> None:
    """Wait until a condition holds, which some other process or thread brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(interval)


def in_models_dir() -> list[str]:
    """What is in the models directory, hidden leftovers too, but for the locks."""
    return sorted(path.name for path in models_dir().iterdir() if path.name != ".locks")


@pytest.fixture
def cli() -> Callable[..., Any]:
    """Runs a command; the result has exit_code, stdout and stderr."""
    from emoclass.cli import app

    def run(*arguments: object, input: str | bytes | None = None) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)

    return run


@pytest.fixture
def tiny_train(cli: Callable[..., Any], emotions_csv: Path, tiny_base: Path) -> Callable[..., Any]:
    """Runs ``emoclass train`` on the tiny data and base with settings that learn."""

    def run(*arguments: object) -> Any:
        recipe = {"--learning-rate": 0.02, "--epochs": 2, "--batch-size": 8, "--max-length": 40}
        recipe = [word for option in recipe if option not in arguments for word in (option, recipe[option])]
        return cli("train", emotions_csv, "--base-model", tiny_base, "--train-pooler", *recipe, *arguments)

    return run
