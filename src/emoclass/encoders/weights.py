"""Weights from safetensors files into a PackedBert; names of old checkpoints are translated."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
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
        raise ModelError(f"{path}: cannot be read: {one_line(error)}") from None
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
    """Read all tensors of a model directory, named as transformers' ``BertForSequenceClassification`` names them.

    Heads of other tasks, and a pooler's or an encoder's old names, are dropped or translated.

    Raises:
        ModelError: A file is missing or damaged.
    """
    tensors: dict[str, Tensor] = {}
    for path in weight_files(directory):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (not a mapping)
                    new_name = _modern_name(name)
                    if new_name is not None:
                        tensors[new_name] = file.get_tensor(name)
        except FileNotFoundError:
            raise ModelError(f"{path}: is missing; the model directory is not complete") from None
        # safetensors has torch open the file once more: a RuntimeError, when it has gone in between.
        except (OSError, SafetensorError, ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: the file is damaged or cut short ({one_line(error)})") from None
    return tensors


def _modern_name(name: str) -> str | None:
    if name.startswith("cls.") or name.endswith("position_ids"):
        return None
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
    return name if name.startswith(("bert.", "classifier.")) else f"bert.{name}"


def build_model(config: EncoderConfig, num_labels: int, tensors: dict[str, Tensor], source: Path) -> PackedBert:
    """Build a model with these weights in float32, in evaluation mode; the tensors are used, not copied.

    Raises:
        ModelError: Tensors are missing or have other shapes than the config says.
    """
    with torch.device("meta"):  # without memory: the tensors are put in its place
        model = PackedBert(config, num_labels)
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    missing = sorted(expected.keys() - tensors.keys())
    if missing:
        raise ModelError(f"{source}: {len(missing)} tensors are missing from the weights, the first is {missing[0]}")
    for name, shape in expected.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shape or not tensor.is_floating_point():
            raise ModelError(f"{source}: {name} is {tensor.dtype} {list(tensor.shape)}, expected {list(shape)}")
    state = {name: tensors[name].float() for name in expected}
    model.load_state_dict(state, assign=True)
    # Loading keeps the flag of the loaded tensors; nothing trains until freezing says so.
    return model.requires_grad_(False).eval()


def new_linear(outputs: int, inputs: int, std: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a new linear layer, initialised as in BERT: normal, and zero."""
    return nn.init.normal_(torch.empty(outputs, inputs), std=std, generator=generator), torch.zeros(outputs)
