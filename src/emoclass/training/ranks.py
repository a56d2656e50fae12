"""Several processes that train one model, as torchrun starts them, and how they communicate."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed

from emoclass.errors import EmoclassError


class Ranks:
    """This process among the others; text ``i`` belongs to rank ``i % size``.

    All ranks must make the same calls in the same order.

    Args:
        rank: Which process this is, from 0.
        size: How many there are.
        device: Where tensors are exchanged.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.size, self._device = rank, size, device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports and saves."""
        return self.rank == 0

    def shard(self, texts: int) -> npt.NDArray[np.int64]:
        """Return the indices of this rank's texts."""
        return np.arange(self.rank, texts, self.size)

    def local(self, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return which of these texts are this rank's, as positions in its shard."""
        own: npt.NDArray[np.int64] = texts[texts % self.size == self.rank] // self.size
        return own

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks."""
        if self.size == 1:
            return values
        total = values.detach().to(self._device, copy=True)
        with _explain_lost_process():
            distributed.all_reduce(total)
        return total.to(values.device)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Sum the gradients of all ranks in place; a rank without a gradient adds nothing."""
        if self.size == 1:
            return
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        with _explain_lost_process():
            distributed.all_reduce(flat)
        gradients = torch.split(flat, [p.numel() for p in parameters])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether any rank has set it."""
        if self.size == 1:
            return list(flags)
        return [bool(flag) for flag in (self.total(torch.tensor(flags, dtype=torch.float32)) > 0).tolist()]

    def all_gather_rows(self, rows: Tensor, texts: int) -> Tensor:
        """Return ``[texts, …]`` from the rows of all shards, on the CPU."""
        if self.size == 1:
            return rows
        whole = torch.zeros(texts, *rows.shape[1:], dtype=rows.dtype)
        whole[self.rank :: self.size] = rows
        return self.total(whole)

    def from_first(self, content: bytes) -> bytes:
        """Return the content of the first rank."""
        if self.size == 1:
            return content
        size = int(self.total(torch.tensor([len(content) if self.is_first else 0], dtype=torch.int64)))
        if not size:
            return b""
        data = torch.frombuffer(bytearray(content if self.is_first else size), dtype=torch.uint8).to(self._device)
        with _explain_lost_process():
            distributed.broadcast(data, src=0)
        return content if self.is_first else data.cpu().numpy().tobytes()


@contextmanager
def join_ranks(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that torchrun started with this one, if any.

    Raises:
        EmoclassError: They cannot be reached.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _explain_lost_process():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    is_over = False
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size(), device)
        is_over = True
    finally:
        # With NCCL this waits for the others, who may be waiting for what a process that failed will never send.
        if is_over or device.type != "cuda":
            distributed.destroy_process_group()


@contextmanager
def _explain_lost_process() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        # Without the place in torch's sources, and what it guesses.
        reason = re.sub(r"^\[[^]]*\] ", "", str(error).splitlines()[0]).split(". ")[0]
        raise EmoclassError(
            f"another process of this training ended or cannot be reached ({reason}); "
            "the same command with --resume continues"
        ) from None
