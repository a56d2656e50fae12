"""The weights of a model in files: what trained by itself, what did not shared between models of one base."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.fingerprint import file_sha256
from emoclass.store import layout

if TYPE_CHECKING:
    from torch import Tensor


def write_shards(
    directory: Path, tensors: Mapping[str, Tensor], trained: Set[str], known: Mapping[str, Iterable[tuple[Path, str]]]
) -> str | None:
    """Writes safetensors files, and the index that transformers reads where there are two.

    Frozen tensors that another model has as well are a hard link to its file, which costs nothing and stays when the
    other model goes; where the file system has none, they are written again.

    Args:
        directory: Where to.
        tensors: By name.
        trained: Names of those that trained.
        known: By the hash of their tensors, files of other models' frozen tensors, each with its SHA-256.

    Returns:
        A hash of the frozen tensors, ``None`` if there are none.
    """
    from safetensors.torch import save_file

    own = {name: tensor for name, tensor in tensors.items() if name in trained}
    frozen = {name: tensor for name, tensor in sorted(tensors.items()) if name not in trained}
    if not frozen:
        save_file(own, directory / layout.WEIGHTS, metadata={"format": "pt"})
        return None
    save_file(own, directory / layout.TRAINED, metadata={"format": "pt"})
    digest = _digest(frozen)
    if not any(_link(file, checksum, directory / layout.FROZEN) for file, checksum in known.get(digest, ())):
        save_file(frozen, directory / layout.FROZEN, metadata={"format": "pt"})
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    weight_map = {name: layout.TRAINED if name in trained else layout.FROZEN for name in sorted(tensors)}
    index: dict[str, Any] = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (directory / layout.WEIGHTS_INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return digest


def _digest(tensors: Mapping[str, Tensor]) -> str:
    import torch

    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _link(file: Path, checksum: str, target: Path) -> bool:
    """Links to a file if its content is what the checksum says."""
    try:
        os.link(file, target)
        # Looked at only now: until it was linked, another model might have taken its place.
        if not target.is_symlink() and file_sha256(target) == checksum:
            return True
    except OSError:
        pass
    target.unlink(missing_ok=True)
    return False
