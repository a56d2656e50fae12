"""Sections memory and speed of cuda_run.py."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _common as common
import cuda_data
import cuda_trainer

if TYPE_CHECKING:
    from cuda_worker import Bench

_GOAL = 5.0


def memory(bench: Bench) -> None:
    """Measure peak GPU memory of training on texts of 512 tokens, by trained layers and batch size."""
    data = bench.home / "long"
    data.mkdir(exist_ok=True)
    texts, words = (16, 40) if bench.tiny else (512, 600)
    for part, seed in (("train", 10), ("val", 11)):
        rows = cuda_data.sentences(texts if part == "train" else max(12, texts // 16), seed, words)
        common.write_part(data / f"{part}.csv", *rows)
    name = bench.bases[-1]
    for unfreeze in (1, "all"):
        for batch in (4, 8) if bench.tiny else (32, 256):
            what = f"{name}, {_layers(unfreeze)}, batch size {batch}"
            if bench.tiny or bench.fits(12, what):
                with bench.attempt(what):
                    _measure_memory(bench, what, data, name, unfreeze, batch)


def _measure_memory(bench: Bench, what: str, data: Path, name: str, unfreeze: Any, batch: int) -> None:
    import torch

    import emoclass

    whole = 0

    def on_event(event: Any) -> None:
        nonlocal whole
        if bench.on_gpu and type(event).__name__ == "PrefixDone":
            whole = torch.cuda.max_memory_allocated()
            torch.cuda.reset_peak_memory_stats()

    if bench.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    settings = {
        "recipe": "reference",
        "unfreeze": unfreeze,
        "batch_size": batch,
        "epochs": 1,
        "cache_disk": 0,
        "device": str(bench.device),
    }
    result = emoclass.train(
        data, base_model=str(bench.base(name)), name="memory", overwrite=True, on_event=on_event, **settings
    )
    if not bench.on_gpu:
        bench.row(f"{what}: peak GB", 0.0, "", "no GPU")
        return
    steps = torch.cuda.max_memory_allocated() / 1e9
    note = f"frozen layers {whole / 1e9:.2f} GB" if whole else "no frozen layers"
    bench.row(f"{what}: peak GB", steps, "", f"{note}; epoch {result.history[-1].seconds:.1f} s")


def _layers(unfreeze: Any) -> str:
    return "last layer" if unfreeze == 1 else "all layers"


def speed(bench: Bench) -> None:
    """Compare the time from texts to test scores with the Hugging Face Trainer."""
    # Warm-up: libraries and kernels are loaded on first use.
    few = cuda_data.first_texts(bench.data, bench.home, 24 if bench.tiny else 500)
    _train(bench, bench.bases[0], few, 1, 1)
    for unfreeze in (1, "all"):
        for name in bench.bases:
            # One epoch with all layers: without frozen layers, all epochs take the same time.
            texts, epochs = (16_000, 4) if unfreeze == 1 else (4_000, 1)
            data = few if bench.tiny else cuda_data.first_texts(bench.data, bench.home, texts)
            what = f"{name}, {_layers(unfreeze)}"
            if bench.tiny or bench.fits(25, what):
                with bench.attempt(what):
                    _side_by_side(bench, what, name, data, unfreeze, epochs)


def _side_by_side(bench: Bench, what: str, name: str, data: Path, unfreeze: Any, epochs: int) -> None:
    ours = _train(bench, name, data, unfreeze, epochs)
    frozen = f"frozen layers {ours['prefix']:.1f} s, then " if unfreeze == 1 else ""
    note = f"{frozen}{epochs} x {ours['epoch']:.2f} s per epoch; checkpoints {ours['saving']:.1f} s"
    bench.row(f"{what}: emoclass, s", ours["seconds"], "", f"{note}; accuracy {ours['accuracy']:.3f}")
    if unfreeze == 1:
        again = _train(bench, name, data, unfreeze, epochs)
        bench.row(
            f"{what}: emoclass, cached activations, s",
            again["seconds"],
            "",
            f"first epoch starts after {again['before']:.1f} s",
        )
        memory = _train(bench, name, data, unfreeze, epochs, cache_disk=0)
        note = f"first epoch starts after {memory['before']:.1f} s"
        bench.row(f"{what}: emoclass, --cache-disk 0, s", memory["seconds"], "", note)
    bench.release()
    if importlib.util.find_spec("accelerate") is None:
        bench.row(f"{what}: Trainer, s", "", "skipped", "needs the package accelerate")
        return
    settings = {"data": data, "base": bench.base(name), "unfreeze": unfreeze, "epochs": epochs, "home": bench.home}
    with bench.without_cudnn():
        theirs = cuda_trainer.train(bench.device, **settings)
    note = f"{theirs['epoch']:.1f} s per epoch with {theirs['scoring']:.1f} s of evaluation; bf16, grouped by length"
    bench.row(f"{what}: Trainer, s", theirs["seconds"], "", f"{note}; {epochs} epochs, extrapolated from one")
    ratio = theirs["seconds"] / ours["seconds"]
    verdict = "ok" if ratio >= _GOAL else f"below {_GOAL:g}"
    bench.row(f"{what}: ratio", ratio, verdict, f"per epoch {theirs['epoch'] / ours['epoch']:.1f}")


def _train(
    bench: Bench, name: str, data: Path, unfreeze: Any, epochs: int, cache_disk: int | None = None
) -> dict[str, float]:
    """Train with the reference recipe and return the seconds of the whole run and of its parts."""
    import emoclass
    from emoclass.store.runs import RunStates

    marks: dict[str, float] = {}
    saving = 0.0
    save = RunStates.save

    def timed(*args: Any, **options: Any) -> None:
        nonlocal saving
        begin = time.perf_counter()
        save(*args, **options)
        saving += time.perf_counter() - begin

    settings = {
        "recipe": "reference",
        "unfreeze": unfreeze,
        "epochs": epochs,
        "device": str(bench.device),
        "cache_disk": cache_disk,
    }
    RunStates.save = timed  # type: ignore[method-assign]
    start = time.perf_counter()
    try:
        result = emoclass.train(
            data,
            base_model=str(bench.base(name)),
            name="speed",
            overwrite=True,
            on_event=lambda event: marks.setdefault(type(event).__name__, time.perf_counter() - start),
            **settings,
        )
    finally:
        RunStates.save = save  # type: ignore[method-assign]
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "accuracy": result.test.metrics.accuracy if result.test else 0.0,
        "prefix": marks.get("PrefixDone", 0.0) - marks["Prepared"],
        "epoch": result.history[-1].seconds,
        "before": marks["EpochDone"] - result.history[0].seconds,
        "saving": saving,
    }
