"""Hashes of files and tensors, which show whether they have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

_BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return stream_sha256(file)


def stream_sha256(file: BinaryIO) -> str:
    """Return the SHA-256 of the rest of a stream, in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def tensors_sha256(tensors: Mapping[str, Tensor | npt.NDArray[Any]]) -> str:
    """Return a SHA-256 of names, types, shapes and values of tensors on the CPU, in hexadecimal.

    Arrays of numpy have the hash of tensors with the same values.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        dtype = f"torch.{str(tensor.dtype).removeprefix('torch.')}"
        digest.update(json.dumps([name, dtype, list(tensor.shape)]).encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor | npt.NDArray[Any]) -> memoryview:
    """Return the bytes of a tensor on the CPU: its own memory if it is contiguous, else a copy."""
    import numpy as np

    if isinstance(tensor, np.ndarray):
        return np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data
    import torch

    # As integers, because numpy has no bfloat16.
    return tensor.contiguous().flatten().view(torch.uint8).numpy().data
