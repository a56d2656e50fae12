"""Connect to Ray, share its cores and GPUs among workers, and translate its errors."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.data import DataContext

from emoclass.errors import ConfigError, DeviceError, EmoclassError, one_line
from emoclass.runtime import available_memory, resolve_precision

# Bytes that a worker gets at once and that are computed again if it dies: seconds of its work.
_BLOCK_BYTES = {"cpu": 1 << 18, "cuda": 1 << 21}
_MAX_STORE_BYTES = 1 << 31


@dataclass(frozen=True)
class Workers:
    """The workers of a run.

    Attributes:
        count: Number of workers.
        cores: CPU cores per worker.
        device: ``cpu``, or ``cuda`` if each has a GPU.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
    """

    count: int
    cores: int
    device: str
    precision: str


@contextmanager
def connection() -> Iterator[None]:
    """Use the existing connection, or connect for the block.

    Without ``RAY_ADDRESS`` a new Ray is started on this machine.

    Raises:
        ConfigError: Ray does not start or cannot be reached.
    """
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings: dict[str, Any] = {}
    if not address:
        store = min(available_memory() // 4, _MAX_STORE_BYTES)
        settings = {"address": "local", "include_dashboard": False, "object_store_memory": store}
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
        if threading.current_thread() is threading.main_thread():  # ray.init replaces the handler
            signal.signal(signal.SIGTERM, terminate)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"RAY_ADDRESS {address}" if address else "ray"
        raise ConfigError(f"{where}: does not start: {one_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def plan_workers(count: int | None, device: str, precision: str) -> Workers:
    """Share the cluster evenly: give each worker as many cores as let all workers fit onto the nodes.

    Args:
        count: Number of workers; one per GPU or CPU core if ``None``.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        ConfigError: The cluster is too small for that many workers.
        DeviceError: The cluster has no GPU, or the device does not compute in the precision.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if device == "cuda" and not gpus:
        raise DeviceError("--device cuda: Ray finds no GPU; use --device cpu or auto")
    device = "cuda" if gpus and device != "cpu" else "cpu"
    if device == "cpu" or precision != "auto":
        resolve_precision(precision, torch.device(device))
    unit = "GPU" if device == "cuda" else "CPU"
    limits = [(int(node.get("CPU", 0)), int(node.get(unit, 0))) for node in nodes]

    def fitting(cores: int) -> int:
        return sum(min(all_cores // cores, units) for all_cores, units in limits)

    count = fitting(1) if count is None else count
    shares = [cores for cores in range(1, 1 + max(limits)[0]) if fitting(cores) >= count]
    if not shares or count < 1:
        raise ConfigError(f"--workers {count}: give 1 to {fitting(1)}, at most one for each {unit}")
    return Workers(count, shares[-1], device, precision)


@contextmanager
def data_context(device: str, *, show_progress: bool) -> Iterator[None]:
    """Configure Ray Data for the block; nothing but progress goes to standard error.

    Args:
        device: Device of the workers.
        show_progress: Whether Ray shows progress bars.

    Raises:
        EmoclassError: A task failed; the class is that of the error in the task, if that is an ``EmoclassError``.
    """
    context = DataContext.get_current()
    settings = {
        "target_max_block_size": _BLOCK_BYTES[device],
        "enable_progress_bars": show_progress,
        "print_on_execution_start": False,
    }
    before = {name: getattr(context, name) for name in settings}
    consoles = [h for h in logging.getLogger("ray.data").handlers if isinstance(h, logging.StreamHandler)]

    def is_progress(record: logging.LogRecord) -> bool:
        return show_progress and record.levelno < logging.WARNING

    try:
        for name, value in settings.items():
            setattr(context, name, value)
        for handler in consoles:
            handler.addFilter(is_progress)
        with warnings.catch_warnings():
            # Ray warns if there are fewer blocks than workers.
            warnings.filterwarnings("ignore", module=r"ray\.data")
            yield
    except Exception as error:
        raise _task_error(error) from error
    finally:
        for handler in consoles:
            handler.removeFilter(is_progress)
        for name, value in before.items():
            setattr(context, name, value)


def _task_error(error: BaseException) -> EmoclassError:
    """Return the error that a task ended with, without the advice that Ray appends."""
    root = error
    while (cause := getattr(root, "cause", None) or root.__cause__) is not None:
        root = cause
    message = str(root).partition("\n")[0]
    if isinstance(root, EmoclassError):
        return type(root)(message)
    return EmoclassError(f"Ray gave up: {type(root).__name__}: {one_line(message)}")
