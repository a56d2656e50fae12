"""The machine: device, precision, memory, directories."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path, user_data_path

from emoclass.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
ENGINES = ("auto", "numpy", "torch")
# The thread that imports torch while numpy predicts.
TORCH_LOADER = "emoclass-torch"

# Libraries whose threads do not exist in a forked process, although it may wait for them.
_THREADED = ("torch", "tokenizers")
_forked_with: set[str] = set()


def was_forked_with(library: str) -> bool:
    """Return whether this process was forked from one that had imported torch or tokenizers."""
    return library in _forked_with


def _note_fork() -> None:
    _forked_with.update(name for name in _THREADED if name in sys.modules)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)


def models_dir() -> Path:
    """Return the directory of trained models: ``$EMOCLASS_HOME/models``, or ``models`` in the user data directory."""
    return _home("models", lambda: user_data_path("emoclass", appauthor=False) / "models")


def cache_dir() -> Path:
    """Return the directory of activation files: ``$EMOCLASS_HOME/cache``, or the user cache directory."""
    return _home("cache", lambda: user_cache_path("emoclass", appauthor=False))


def runs_dir() -> Path:
    """Return the directory of checkpoints: ``$EMOCLASS_HOME/runs``, or ``runs`` in the user data directory."""
    return _home("runs", lambda: user_data_path("emoclass", appauthor=False) / "runs")


def _home(name: str, default: Callable[[], Path]) -> Path:
    """Return a directory of the user.

    Raises:
        ConfigError: The user has no home directory, and ``EMOCLASS_HOME`` is not set.
    """
    home = os.environ.get("EMOCLASS_HOME")
    if home:
        return expanded(home) / name
    try:
        path = default()
    except (RuntimeError, KeyError, OSError):
        path = None
    # Without a home directory the path begins with "~", or is at the root, where only root may write.
    is_root = expanded("~") == Path("/") and not os.access("/", os.W_OK)
    if path is None or not path.is_absolute() or is_root:
        raise ConfigError("this user has no home directory: set EMOCLASS_HOME to a directory for models and caches")
    return path


def expanded(path: str | Path) -> Path:
    """Replace ``~`` by the home directory; without such a user the path stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of pathlib raises then


def resolve_device(spec: str | torch.device = "auto") -> torch.device:
    """Return the torch device that ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` names, or that is given.

    Raises:
        DeviceError: The name is unknown, or there is no such device here.
    """
    import torch

    spec = str(spec)
    if spec in ("auto", "cuda") and torch.cuda.is_available():
        # Of several processes that torchrun started on this machine each has its own.
        own, gpus = os.environ.get("LOCAL_RANK"), torch.cuda.device_count()
        if own is not None and int(own) >= gpus:
            raise DeviceError(f"process {own} of this machine has no GPU of its own: lower --nproc-per-node to {gpus}")
        return torch.device("cuda") if own is None else torch.device("cuda", int(own))
    if spec == "auto":
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, colon, index = spec.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise DeviceError(f"--device {spec} is not known; use auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda":
        if not torch.cuda.is_available():
            built = "finds no usable GPU" if torch.version.cuda else "is built without CUDA"
            raise DeviceError(f"--device {spec}: torch {torch.__version__} {built}; use --device cpu or auto")
        if index and int(index) >= torch.cuda.device_count():
            raise DeviceError(f"--device {spec}: there are {torch.cuda.device_count()} GPUs, counted from 0")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: no Metal GPU is usable here; use --device cpu or auto")
    return torch.device(spec)


def resolve_precision(spec: str, device: torch.device) -> torch.dtype:
    """Return the dtype of the encoder layers: for ``auto`` the fastest that the device has natively.

    bfloat16 on CPUs with AMX or AVX512-BF16 and on GPUs that have it; elsewhere it would be emulated, and
    slower than float32.

    Raises:
        DeviceError: The name is unknown, or the device cannot compute in it.
    """
    import torch

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if spec == "auto":
        return torch.bfloat16 if _has_native_bfloat16(device) else torch.float32
    if spec not in dtypes:
        raise DeviceError(f"--precision {spec} is not known; use {', '.join(PRECISIONS)}")
    if spec == "fp16" and device.type == "cpu":
        raise DeviceError("--precision fp16 needs a GPU; use fp32, bf16 or auto on the CPU")
    return dtypes[spec]


def precision_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype for ``--precision``."""
    import torch

    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]


def _has_native_bfloat16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return cpu_has("amx_bf16") or cpu_has("avx512_bf16")
    return False


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a CPU tensor to a device; to CUDA through pinned memory, so that the host does not wait for the GPU."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def cpu_has(flag: str) -> bool:
    """Return whether the CPU has this feature (Linux; elsewhere False)."""
    return flag in _cpu_flags()


@lru_cache(maxsize=1)
def _cpu_flags() -> frozenset[str]:
    # Once: with a hundred cores it is a long file.
    try:
        return frozenset(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return frozenset()


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is not enough memory, on the CPU or a GPU."""
    message = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in message or "can't allocate memory" in message


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_size(text: str) -> int:
    """Parse a size such as ``4GB``, ``500 MB`` or ``0`` into bytes.

    Raises:
        ConfigError: It is no size.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?B)?", text.strip().upper())
    if match is None:
        raise ConfigError(f"{text!r} is not a size; write it like 4GB, 500MB or 0")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def require_packages(option: str, extra: str, *names: str) -> None:
    """Check that the packages of an extra are installed, before the work rather than after it.

    Raises:
        ConfigError: Packages of an extra, which the option needs, are not installed.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise ConfigError(f'{option} needs more packages ({", ".join(missing)}): pip install "emoclass[{extra}]"')


def free_disk(directory: Path) -> int:
    """Return the free bytes on the disk of a directory, which need not exist yet."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(existing).free


def available_memory() -> int:
    """Return the bytes of memory that are free without swapping, within the container's limit if there is one.

    A cautious 2 GiB if the system does not say.
    """
    return int(min(_free_in_system(), _free_in_container()))


def _free_in_container(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return what the control group's limit leaves, file pages not counted; infinite without a limit."""
    for directory, limit, used in (
        (root, "memory.max", "memory.current"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # "max"
            free = int((directory / limit).read_text()) - int((directory / used).read_text())
            lines = (line.split() for line in (directory / "memory.stat").read_text().splitlines())
            return max(0, free + sum(int(n) for name, n in lines if name in ("active_file", "inactive_file")))
    return math.inf


def _free_in_system() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2 * 1024**3
