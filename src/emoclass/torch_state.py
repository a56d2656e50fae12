"""Torch's global state: what emoclass needs of it, that of the caller left as it is, and what a fork takes away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from emoclass.errors import DeviceError
from emoclass.runtime import cpu_has, was_forked_with


def prepare_torch(device: torch.device) -> None:
    """Call it before torch computes on a device: bounds what oneDNN keeps, and lets it compute in a forked process.

    Raises:
        DeviceError: The process was forked from one that uses the GPU.
    """
    if was_forked_with("torch"):
        # The threads of the parent's pool are not in this process, and torch would wait for them for ever.
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)
        if device.type == "cuda" and torch.cuda._is_in_bad_fork():
            raise DeviceError(
                "this process was forked from one that uses the GPU, and cannot use it: start it with the spawn method"
                " of multiprocessing, or load the model with device='cpu' in it"
            )
    _limit_kernel_cache()


def _limit_kernel_cache() -> None:
    """Limit how many kernels oneDNN and torch keep, unless the user does.

    They keep one for each shape, 1,024 by default, and packed batches have many shapes: memory would grow for long.
    """
    # The layers of one window need some 30, of which all but 5 are for attention; with AMX that is torch's own, which
    # needs none.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16" if cpu_has("amx_bf16") else "32")
    # Torch's binding of oneDNN keeps those of batched products once more, a quarter of a megabyte each: to no use.
    os.environ.setdefault("LRU_CACHE_CAPACITY", "1")


@contextmanager
def usual_modes(device: torch.device) -> Iterator[None]:
    """Run a block without the modes that the caller has set in this thread: no gradients, autocast, default device."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", device.type}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def usual_torch(device: torch.device) -> Iterator[None]:
    """Run a block with torch's own default dtype too, which all threads share, and put the caller's back after it."""
    dtype = torch.get_default_dtype()
    with usual_modes(device):
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            if dtype != torch.float32:
                torch.set_default_dtype(dtype)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of one device; ``torch.manual_seed`` would seed all GPUs."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    if device.type == "mps":
        torch.mps.manual_seed(seed)
