"""Files of a model directory: JSON objects, and tensors from safetensors files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from emoclass import lfs
from emoclass.encoders.bert.checkpoint import canonical_name
from emoclass.errors import ModelError, one_line

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file of a model directory.

    Raises:
        ModelError: The file is missing, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path.parent}: not a model directory, there is no {path.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(lfs.explain(path, f"cannot be read: {one_line(error)}")) from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: a JSON object was expected")
    return content


def weight_files(directory: Path) -> list[Path]:
    """Return the safetensors files of a model directory: one, or the shards that its index names.

    Raises:
        ModelError: There are none, or the index names files outside the directory.
    """
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / WEIGHTS_INDEX).is_file():
        weight_map = read_json(directory / WEIGHTS_INDEX).get("weight_map")
        names = [str(name) for name in weight_map.values()] if isinstance(weight_map, dict) else [""]
        for name in names:
            if not name.endswith(".safetensors") or not name.isprintable() or Path(name).name != name:
                raise ModelError(f"{directory / WEIGHTS_INDEX}: names a file that cannot be used: {name!r}")
        return [directory / name for name in sorted(set(names))]
    if any(directory.glob("*.bin")):
        raise ModelError(
            f"{directory}: has only pickled weights (.bin), which can run code when loaded and are not read; "
            "convert them to safetensors"
        )
    raise ModelError(f"{directory}: has no {WEIGHTS}")


def read_tensors(directory: Path) -> dict[str, Tensor]:
    """Read all tensors of a model directory, by their names in transformers' classifier; drop heads of other tasks.

    Raises:
        ModelError: A file is missing or damaged.
    """
    tensors: dict[str, Tensor] = {}
    for path in weight_files(directory):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (not a mapping)
                    canonical = canonical_name(name)
                    if canonical is not None:
                        tensors[canonical] = file.get_tensor(name)
        except FileNotFoundError:
            raise ModelError(f"{path}: is missing; the model directory is not complete") from None
        # safetensors has torch open the file once more: a RuntimeError if it is gone by then.
        except (OSError, SafetensorError, ValueError, RuntimeError) as error:
            problem = f"the file is damaged or cut short ({one_line(error)})"
            raise ModelError(lfs.explain(path, problem)) from None
    return tensors
