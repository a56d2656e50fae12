"""The activation cache: reused, bounded, never read half-written, never in the way."""

import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoclass.activations import files as cache_files
from emoclass.activations.cache import ActivationCache, CacheBudget, CacheUse
from emoclass.activations.directory import activations_dir, list_files, make_room
from emoclass.activations.sources import ComputedActivations, TokenIds
from emoclass.config import TrainConfig, TruncationConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.base import resolve_base
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.errors import ConfigError, StoppedError
from emoclass.runtime import parse_size
from tests.runs import run_training

CPU = torch.device("cpu")


@pytest.fixture
def texts(tiny_base: Path) -> TokenizedTexts:
    tokenizer = resolve_base(str(tiny_base)).tokenizer(TruncationConfig(max_length=40))
    return tokenizer([f"{'very ' * (n % 7)}happy day {n}" for n in range(30)])


@pytest.fixture
def make_cache(tiny_base: Path) -> Callable[..., ActivationCache]:
    def make(memory: int = 0, disk: int = 10**9, depth: int = 1, dtype: torch.dtype = torch.float32) -> ActivationCache:
        model, _ = resolve_base(str(tiny_base)).load(2, seed=1)
        return ActivationCache(FrozenPrefix(model, depth, dtype), CPU, CacheBudget(memory, disk))

    return make


@pytest.mark.parametrize(("depth", "dtype"), [(1, torch.float32), (1, torch.bfloat16), (2, torch.float32)])
def test_every_way_of_keeping_gives_the_same_rows(
    texts: TokenizedTexts, make_cache: Callable[..., ActivationCache], depth: int, dtype: torch.dtype
) -> None:
    expected = make_cache(memory=10**9, disk=0, depth=depth, dtype=dtype).add(texts)
    order = np.random.default_rng(0).permutation(len(texts))
    rows, lengths = expected.batch(order)
    assert rows.dtype == (dtype if depth == 1 else torch.float32)
    # The last but one finds what the one before it wrote.
    for memory, disk in ((500, 700), (0, 0), (0, 10**9), (10**9, 10**9), (3000, 10**9)):
        source = make_cache(memory, disk, depth=depth, dtype=dtype).add(texts)
        others, other_lengths = source.batch(order)
        assert other_lengths == lengths
        assert others.dtype == rows.dtype
        tolerance = 1e-5 if dtype == torch.float32 else 0.05
        torch.testing.assert_close(others, rows, rtol=tolerance, atol=tolerance)


def test_what_differs_is_not_reused(texts: TokenizedTexts, make_cache: Callable[..., ActivationCache]) -> None:
    make_cache().add(texts)
    same = make_cache()
    same.add(texts)
    assert same.use == CacheUse(disk=30, reused=30)
    for other, part in (
        (make_cache(dtype=torch.bfloat16), texts),
        (make_cache(depth=2), texts),
        (make_cache(), texts.take(np.arange(29))),
    ):
        other.add(part)
        assert other.use.reused == 0


@pytest.mark.parametrize("version", ["torch.__version__", "emoclass.activations.files.__version__"])
def test_activations_of_other_versions_are_not_reused(
    texts: TokenizedTexts,
    make_cache: Callable[..., ActivationCache],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    make_cache().add(texts)
    monkeypatch.setattr(version, "0.0.1")
    cache = make_cache()
    cache.add(texts)
    assert cache.use == CacheUse(disk=30)


@pytest.mark.parametrize(
    ("memory", "disk", "use"),
    [
        (1.0, 1.0, CacheUse(memory=30)),
        (1.0, 0.9, CacheUse(memory=30)),
        (0.9, 1.0, CacheUse(disk=30)),
        (0.9, 0.9, CacheUse(recomputed=30)),
    ],
)
def test_a_split_is_kept_as_a_whole(
    texts: TokenizedTexts, make_cache: Callable[..., ActivationCache], memory: float, disk: float, use: CacheUse
) -> None:
    whole = make_cache(memory=10**9, disk=0)
    whole.add(texts)
    size = whole.memory_bytes
    cache = make_cache(memory=int(memory * size), disk=int(disk * size))
    cache.add(texts)
    assert cache.use == use
    assert cache.memory_bytes == (size if use.memory else 0)
    # The next run finds the file, whatever memory is free then.
    for again in (0, size):
        later = make_cache(memory=again, disk=size)
        later.add(texts)
        assert later.use.reused == (30 if disk == 1.0 or again else 0)


def test_what_a_training_wrote_is_counted_once(
    texts: TokenizedTexts, make_cache: Callable[..., ActivationCache], tiny_base: Path
) -> None:
    make_cache().add(texts)
    (file,) = list_files()
    budget = CacheBudget(0, int(2.9 * file.size))
    model, _ = resolve_base(str(tiny_base)).load(2, seed=1)
    for dtype in (torch.bfloat16, torch.float32):  # a file of half the size, and the one above
        ActivationCache(FrozenPrefix(model, 1, dtype), CPU, budget).add(texts)
    ActivationCache(FrozenPrefix(model, 1, torch.float16), CPU, budget).add(texts)
    assert len(list_files()) == 3
    assert file.path.exists()


def test_a_part_without_texts_has_no_rows(texts: TokenizedTexts, make_cache: Callable[..., ActivationCache]) -> None:
    rows, lengths = make_cache().add(texts.take(np.arange(0))).batch(np.arange(0))
    assert (len(rows), lengths) == (0, [])


def test_what_a_failed_attempt_took_is_given_back_before_the_next(
    texts: TokenizedTexts, make_cache: Callable[..., ActivationCache]
) -> None:
    alive = weakref.WeakSet[torch.Tensor]()

    def compute(inputs: torch.Tensor, lengths: Any) -> torch.Tensor:
        assert not [tensor for tensor in alive if tensor.shape[0] > len(inputs)]
        taken = torch.zeros(len(inputs), 4)
        alive.add(taken)
        if len(lengths) > 4:
            raise RuntimeError("out of memory")
        return taken

    rows, _ = ComputedActivations(compute, 1, TokenIds(texts, CPU)).batch(np.arange(30))
    assert rows.shape == (texts.lengths.sum(), 4)


def test_another_learning_rate_starts_from_the_cache(parts: TrainingData, config: Callable[..., TrainConfig]) -> None:
    run_training(parts, config(epochs=1))
    before = {file.path.name for file in list_files()}
    run_training(parts, config(epochs=1, learning_rate=1e-3))
    assert {file.path.name for file in list_files()} == before
    assert len(before) == 3  # train, val, test


def test_a_cut_file_is_made_anew(texts: TokenizedTexts, make_cache: Callable[..., ActivationCache]) -> None:
    expected, _ = make_cache().add(texts).batch(np.arange(30))
    (file,) = list_files()
    file.path.write_bytes(file.path.read_bytes()[:-4])
    cache = make_cache()
    rows, _ = cache.add(texts).batch(np.arange(30))
    assert cache.use.reused == 0
    assert torch.equal(rows, expected)


@pytest.mark.parametrize("operation", ["mkdir", "fsync", "replace"])
@pytest.mark.parametrize("memory", [0, 10**9])
def test_a_full_disk_does_not_stop_the_training(
    texts: TokenizedTexts,
    make_cache: Callable[..., ActivationCache],
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    memory: int,
) -> None:
    expected, _ = make_cache(memory=10**9, disk=0).add(texts).batch(np.arange(30))

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    cache = make_cache(memory=memory)
    with monkeypatch.context() as patch:
        patch.setattr(cache_files.os if operation == "fsync" else cache_files.Path, operation, full)
        rows, _ = cache.add(texts).batch(np.arange(30))
    torch.testing.assert_close(rows, expected, rtol=1e-5, atol=1e-6)
    assert cache.use == (CacheUse(memory=30) if memory else CacheUse(recomputed=30))
    assert not activations_dir().exists() or list(activations_dir().iterdir()) == []


def test_a_stopped_pass_leaves_no_file(parts: TrainingData, config: Callable[..., TrainConfig]) -> None:
    with pytest.raises(StoppedError):
        run_training(parts, config(), cache_memory=0, should_stop=lambda: True)
    assert list(activations_dir().iterdir()) == []


def test_the_least_recently_used_files_make_room() -> None:
    activations_dir().mkdir(parents=True)
    for age, name in enumerate(["new", "middle", "old"]):
        path = activations_dir() / f"{name}.activations"
        path.write_bytes(b"x" * 100)
        os.utime(path, (time.time() - age * 60,) * 2)
    abandoned, busy = (activations_dir() / f".{name}.activations.0123abcd.tmp" for name in "ab")
    abandoned.touch()
    busy.touch()
    os.utime(abandoned, (0, 0))
    make_room(50, 260)
    assert sorted(path.name for path in activations_dir().iterdir()) == [
        ".b.activations.0123abcd.tmp",
        "middle.activations",
        "new.activations",
    ]


def test_the_command_shows_and_clears(cli: Callable[..., Any], tiny_train: Callable[..., Any]) -> None:
    assert "there are no activation files" in cli("cache", "show").stderr
    assert tiny_train("--recipe", "fast").exit_code == 0
    assert "key" in cli("cache", "show").stdout
    assert '"size_bytes"' in cli("cache", "show", "--json").stdout
    assert "reused from an earlier run" in tiny_train("--recipe", "reference").stderr
    assert cli("cache", "clear").exit_code == 0
    assert list_files() == []
    assert tiny_train("--cache-disk", "0", "--cache-memory", "1KB").exit_code == 0
    assert list_files() == []


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("4GB", 4 * 10**9), ("1.5 mb", 1_500_000), ("12", 12), ("7KB", 7000), ("2B", 2)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "4 GiB", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a size"):
        parse_size(text)
