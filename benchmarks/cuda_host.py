"""Section host of cuda_run.py: GPU utilization, host synchronization, and variants of attention with dropout."""

from __future__ import annotations

import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import cuda_data

if TYPE_CHECKING:
    from cuda_worker import Bench
    from torch import Tensor


def host(bench: Bench) -> None:
    """Measure training steps with the last layer and all layers, and variants of attention with dropout."""
    import emoclass

    data = cuda_data.first_texts(bench.data, bench.home, 96 if bench.tiny else 4_000)
    for name in bench.bases:
        for unfreeze in (1, "all"):
            what = f"{name}, {'last layer' if unfreeze == 1 else 'all layers'}"
            if not bench.tiny and not bench.fits(6, what):
                continue
            with bench.attempt(what):
                watch = _Watch(bench)
                options = {
                    "recipe": "reference",
                    "unfreeze": unfreeze,
                    "epochs": 4,
                    "cache_disk": 0,
                    "device": str(bench.device),
                }
                if bench.tiny:
                    options["batch_size"] = 4
                try:
                    emoclass.train(data, base_model=str(bench.base(name)), on_event=watch, **options)
                except _EnoughError:
                    watch.report(what)
                else:
                    raise RuntimeError("the run ended before its steps were measured")
    with bench.attempt("attention"):
        _compare_attention(bench)


class _EnoughError(Exception):
    """All steps have been measured."""


class _Watch:
    """Event handler that times some steps, profiles the next, and records synchronization in the last."""

    _WARM, _TIMED, _PROFILED, _COUNTED = 20, 60, 20, 10

    def __init__(self, bench: Bench) -> None:
        self._bench, self._steps, self._stack = bench, 0, ExitStack()
        scale = 4 if bench.tiny else 1
        self._begin = self._WARM // scale
        self._profile = self._begin + self._TIMED // scale
        self._count = self._profile + self._PROFILED // scale
        self._end = self._count + self._COUNTED // scale
        self._started = self._seconds = self._worked = 0.0
        self._profiler: Any = None
        self._waits: list[warnings.WarningMessage] = []

    def __call__(self, event: Any) -> None:
        if type(event).__name__ != "StepDone":
            return
        self._steps += 1
        if self._steps == self._begin:
            self._bench.synchronize()
            self._started, self._worked = time.perf_counter(), time.process_time()
        elif self._steps == self._profile:
            self._bench.synchronize()
            steps = self._profile - self._begin
            self._seconds = (time.perf_counter() - self._started) / steps
            self._worked = (time.process_time() - self._worked) / steps
            self._start_profile()
        elif self._steps == self._count:
            self._bench.synchronize()
            self._profiler.stop()
            self._start_count()
        elif self._steps == self._end:
            self._stack.close()
            raise _EnoughError

    def _start_profile(self) -> None:
        from torch.profiler import ProfilerActivity, profile

        kind = ProfilerActivity.CUDA if self._bench.on_gpu else ProfilerActivity.CPU
        self._profiler = profile(activities=[kind])
        self._profiler.start()

    def _start_count(self) -> None:
        import torch

        self._waits = self._stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        if self._bench.on_gpu:
            self._stack.callback(torch.cuda.set_sync_debug_mode, "default")
            torch.cuda.set_sync_debug_mode("warn")

    def report(self, what: str) -> None:
        """Add the rows."""
        milliseconds = 1e3 * self._seconds
        self._bench.row(f"{what}: ms per step", milliseconds)
        note = "all threads, with waiting for the GPU"
        self._bench.row(f"{what}: host CPU ms per step", 1e3 * self._worked, "", note)
        busy, kernels, calls = self._busy(self._count - self._profile)
        share = busy / milliseconds
        limit = "host-bound" if share < 0.7 else "GPU-bound"
        if not self._bench.on_gpu:
            share, limit = 0.0, "no GPU"
        self._bench.row(f"{what}: GPU utilization", share, "", f"{busy:.2f} ms of kernels per step; {limit}")
        self._bench.row(f"{what}: kernels per step", kernels, "", calls)
        steps = self._end - self._count
        waits = [wait for wait in self._waits if "called a synchronizing" in str(wait.message)]
        places = Counter(f"{Path(wait.filename).name}:{wait.lineno}" for wait in waits)
        note = ", ".join(f"{place} {count / steps:.1f}" for place, count in places.most_common(8))
        self._bench.row(f"{what}: synchronizations per step", len(waits) / steps, "", note)

    def _busy(self, steps: int) -> tuple[float, float, str]:
        """Return milliseconds of kernels and kernels per step, and the most frequent calls of the CUDA runtime."""
        from torch.autograd import DeviceType

        kernels, calls = [], Counter[str]()
        for event in self._profiler.events():
            if event.device_type == DeviceType.CPU:
                calls[event.name] += event.name.startswith("cuda")
            elif not getattr(event, "is_user_annotation", False) and "#" not in event.name:
                kernels.append(event.time_range.elapsed_us())
        often = [(name, count) for name, count in calls.most_common(4) if count]
        listed = ", ".join(f"{name} {count / steps:.0f}" for name, count in often)
        return sum(kernels) / 1e3 / steps, len(kernels) / steps, listed


def _compare_attention(bench: Bench) -> None:
    """Time one layer's attention, forward and backward; every batch has a new shape, as in training."""
    from emoclass.encoders.bert import attention

    ways: list[tuple[str, _Way, dict[str, Any]]] = [
        ("current", _current, {}),
        ("current without dropout", _without_dropout, {}),
        ("cuDNN allowed", _current, {"_without_cudnn": lambda qkv: nullcontext()}),
        ("grouped by length", _current, {"_groups": lambda lengths, device: attention.attention_groups(lengths)}),
        ("nested tensors", _nested, {}),
    ]
    for what, way, changed in ways:
        attention._paddings.cache_clear()
        try:
            with ExitStack() as stack:
                for name, function in changed.items():
                    stack.enter_context(patch.object(attention, name, function))
                bench.row(f"attention, {what}, ms", 1e3 * _seconds(bench, way), "", "one layer, batch of 32 tweets")
        except (RuntimeError, ImportError, TypeError) as error:
            bench.row(f"attention, {what}, ms", "not available", "", " ".join(str(error).split())[:100])
            if bench.is_broken():
                raise


def _seconds(bench: Bench, way: _Way) -> float:
    """Return the seconds per batch, forward and backward, after as many untimed batches."""
    import torch

    chosen = random.Random(0)
    heads, size, texts, batches = (2, 8, 4, 3) if bench.tiny else (12, 64, 32, 20)
    dtype = torch.bfloat16 if bench.on_gpu else torch.float32
    seconds = 0.0
    for _ in range(2):
        bench.synchronize()
        start = time.perf_counter()
        for _ in range(batches):
            drawn = (round(chosen.lognormvariate(2.9, 0.5)) for _ in range(texts))
            lengths = sorted((min(85, max(4, length)) for length in drawn), reverse=True)
            qkv = torch.randn(sum(lengths), 3 * heads * size, device=bench.device, dtype=dtype)
            way(qkv.requires_grad_(), lengths, heads).sum().backward()
        bench.synchronize()
        seconds = (time.perf_counter() - start) / batches
    return seconds


_Way = Callable[["Tensor", list[int], int], "Tensor"]


def _current(qkv: Tensor, lengths: list[int], heads: int) -> Tensor:
    from emoclass.encoders.bert.attention import attend

    return attend(qkv, lengths, heads, 0.1)


def _without_dropout(qkv: Tensor, lengths: list[int], heads: int) -> Tensor:
    from emoclass.encoders.bert.attention import attend

    return attend(qkv, lengths, heads, 0.0)


def _nested(qkv: Tensor, lengths: list[int], heads: int) -> Tensor:
    """Compute attention with torch's nested tensors, which use the variable-length kernel with dropout."""
    import torch
    from torch.nn import functional

    from emoclass.runtime import to_device

    ends = to_device(torch.tensor([0, *lengths]).cumsum(0), qkv.device)
    limits = {"min_seqlen": min(lengths), "max_seqlen": max(lengths)}
    parts = qkv.view(len(qkv), 3, heads, -1).transpose(0, 1).contiguous()
    nested = [torch.nested.nested_tensor_from_jagged(part, ends, **limits).transpose(1, 2) for part in parts]
    return functional.scaled_dot_product_attention(*nested, dropout_p=0.1).transpose(1, 2).values()
