"""The graph of a trained model: exported from transformers' own class of it, and quantized."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emoclass.encoders.generic.config import GenericConfig
from emoclass.encoders.generic.loading import load_generic
from emoclass.encoders.weights import read_json
from emoclass.errors import ModelError, one_line

_INPUTS = ("input_ids", "attention_mask")
_AXES = {0: "batch_size", 1: "sequence_length"}


class _Logits(nn.Module):
    """A classifier of transformers with logits as its only output; types of tokens, where it has them, are 0."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def write_graph(directory: Path, labels: int, path: Path) -> None:
    """Write the graph of a model, which takes any number of texts of any length.

    Args:
        directory: The model, complete.
        labels: Number of classes.
        path: The file; the weights of very large models are in another file beside it.

    Raises:
        ModelError: torch cannot export it.
    """
    config = GenericConfig.from_dict(read_json(directory / "config.json"))
    model: Any = load_generic(directory, config, labels, attention="eager").model
    ids = torch.ones(2, 7, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    try:
        with _silenced(), torch.no_grad():
            program: Any = torch.onnx.export(
                _Logits(model).eval(),
                (ids, mask),
                dynamo=True,
                input_names=_INPUTS,
                output_names=["logits"],
                dynamic_shapes=(_AXES, _AXES),
                verbose=False,
            )
            program.save(path)
    except OSError:
        raise
    except Exception as error:  # what the exporter and a model's own code raise
        raise ModelError(
            f"torch {torch.__version__} cannot export a model of type {config.model_type!r} ({_first_line(error)}); "
            "try other versions of torch and onnxscript"
        ) from error


def quantize(path: Path, target: Path) -> None:
    """Write a graph with weights of 8 bits; activations are quantized where they are computed.

    Args:
        path: The graph, which is of no use afterwards.
        target: The file for the other one.

    Raises:
        ModelError: ONNX Runtime cannot quantize it.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Before release 1.24, ONNX Runtime transposes weights, and then finds that their shapes are not those noted here.
    graph = onnx.load(path, load_external_data=False)
    del graph.graph.value_info[:]
    onnx.save(graph, path)
    try:
        with _silenced():
            # Unsigned: sums of signed weights overflow on processors without VNNI, so labels would depend on those.
            quantize_dynamic(
                path,
                target,
                weight_type=QuantType.QUInt8,
                per_channel=True,
                use_external_data_format=path.with_name(f"{path.name}.data").exists(),
            )
    except OSError:
        raise
    except Exception as error:
        version = onnxruntime.__version__
        problem = f"onnxruntime {version} cannot quantize the graph ({_first_line(error)})"
        raise ModelError(f"{problem}; leave --int8 out, or try other versions of onnx and onnxruntime") from error


def _first_line(error: Exception) -> str:
    return one_line(str(error).strip().split("\n")[0]) or type(error).__name__


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep back what the exporter says of packages that emoclass does not need, and of its own future."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
