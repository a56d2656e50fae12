"""The weights of a model in files: trained ones of its own, frozen ones shared by models of the same base."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.fingerprint import file_sha256, tensors_sha256
from emoclass.store import layout

if TYPE_CHECKING:
    from torch import Tensor


def write_shards(
    directory: Path, tensors: Mapping[str, Tensor], trained: Set[str], known: Mapping[str, Iterable[tuple[Path, str]]]
) -> str | None:
    """Write safetensors files, and the index that transformers reads if there are two.

    Frozen tensors that another model has too are a hard link to its file, which takes no space and stays when the other
    model is removed; on a file system without hard links they are written again.

    Args:
        directory: Directory for the files.
        tensors: All tensors by name.
        trained: Names of the trained tensors.
        known: Files of other models' frozen tensors with their SHA-256, by the hash of the tensors.

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
    digest = tensors_sha256(frozen)
    if not any(_link(file, checksum, directory / layout.FROZEN) for file, checksum in known.get(digest, ())):
        save_file(frozen, directory / layout.FROZEN, metadata={"format": "pt"})
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    weight_map = {name: layout.TRAINED if name in trained else layout.FROZEN for name in sorted(tensors)}
    index: dict[str, Any] = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (directory / layout.WEIGHTS_INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return digest


def _link(file: Path, checksum: str, target: Path) -> bool:
    """Link to a file if its content has this checksum; return whether it has."""
    try:
        os.link(file, target)
        # Checked only now: before, another file could still take its place.
        if not target.is_symlink() and file_sha256(target) == checksum:
            return True
    except OSError:
        pass
    target.unlink(missing_ok=True)
    return False
