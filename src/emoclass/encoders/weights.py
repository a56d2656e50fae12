"""Files of a model directory: JSON objects, and tensors from safetensors files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from emoclass import lfs
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.families import BERT, FAMILIES, Family
from emoclass.encoders.generic.config import GenericConfig
from emoclass.errors import ModelError, one_line

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


AnyConfig: TypeAlias = EncoderConfig | GenericConfig


def read_config(directory: Path) -> AnyConfig:
    """Read the ``config.json`` of a model directory.

    Raises:
        ModelError: It is missing or damaged, or the encoder is not supported.
    """
    values = read_json(directory / "config.json")
    try:
        return config_of(values)
    except ModelError as error:
        raise ModelError(f"{directory}: {error}") from None


def config_of(values: Mapping[str, Any]) -> AnyConfig:
    """Return the sizes that the content of a ``config.json`` gives: of an encoder shaped like BERT, or of any other.

    Raises:
        ModelError: It is no encoder of texts.
    """
    kind = values.get("model_type")
    return (EncoderConfig if isinstance(kind, str) and kind in FAMILIES else GenericConfig).from_dict(values)


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


def map_tensors(directory: Path, family: Family = BERT) -> dict[str, npt.NDArray[np.float32]]:
    """Map all tensors of a model directory by BERT's names, without heads of other tasks.

    The arrays are read from the disk where they are used, and changes to them stay in memory. Those of 16 bits are
    copied to ``float32``; whole numbers, which are no weights, are left out.

    Args:
        directory: The directory.
        family: The family of the encoder, which names its tensors.

    Raises:
        ModelError: A file is missing or damaged.
    """
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for path in weight_files(directory):
        try:
            content = np.memmap(path, np.uint8, mode="c").view(np.ndarray)
            start = 8 + int.from_bytes(content[:8].tobytes(), "little")
            for name, entry in json.loads(content[8:start].tobytes()).items():
                canonical = family.canonical_name(name)
                if canonical is not None and entry.get("dtype") in _DTYPES:
                    first, end = entry["data_offsets"]
                    values = content[start + first : start + end].view(_DTYPES[entry["dtype"]])
                    arrays[canonical] = _as_float32(values, entry["dtype"]).reshape(entry["shape"])
        except FileNotFoundError:
            raise ModelError(f"{path}: is missing; the model directory is not complete") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            problem = f"the file is damaged or cut short ({one_line(error)})"
            raise ModelError(lfs.explain(path, problem)) from None
    return arrays


# bfloat16, which numpy does not have, is the first half of a float32.
_DTYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}


def _as_float32(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.float32]:
    if dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)
