"""BERT in numpy computes what the packed one in torch computes, from the same files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from emoclass.encoders.bert.checkpoint import tensor_shapes
from emoclass.encoders.bert.config import HIDDEN_ACTIVATIONS
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.numpy_model import NumpyBert, softmax
from emoclass.encoders.weights import map_tensors
from emoclass.errors import ModelError
from tests.encoders.test_encoder import CONFIG, LENGTHS, make_ids, make_model
from tests.runs import read_tensors


def in_numpy(model: PackedBert, lengths: list[int]) -> Any:
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return NumpyBert(model.config, tensors)(make_ids(lengths).numpy(), lengths)


@torch.no_grad()
def in_torch(model: PackedBert, lengths: list[int]) -> Any:
    return model.eval()(make_ids(lengths), lengths).numpy()


@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_logits_are_those_of_torch(activation: str) -> None:
    model = make_model(replace(CONFIG, hidden_act=activation))
    np.testing.assert_allclose(in_numpy(model, LENGTHS), in_torch(model, LENGTHS), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_any_lengths_in_any_order(lengths: list[int]) -> None:
    model = make_model()
    np.testing.assert_allclose(in_numpy(model, lengths), in_torch(model, lengths), atol=1e-5)


def test_one_layer_is_the_first_and_the_last() -> None:
    model = make_model(replace(CONFIG, num_hidden_layers=1))
    np.testing.assert_allclose(in_numpy(model, [5, 2, 9]), in_torch(model, [5, 2, 9]), atol=1e-5)


def test_shapes_are_those_of_the_model() -> None:
    shapes = {name: tuple(parameter.shape) for name, parameter in PackedBert(CONFIG, 7).named_parameters()}
    assert tensor_shapes(CONFIG, 7) == shapes


def test_softmax_of_large_numbers() -> None:
    logits = np.array([[1e4, 0.0, -1e4], [3.0, 3.0, 3.0]], np.float32)
    np.testing.assert_allclose(softmax(logits), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_files_of_any_precision_are_read_as_safetensors_reads_them(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {
        "bert.pooler.dense.weight": torch.randn(3, 5).to(dtype),
        "classifier.bias": torch.randn(3).to(dtype),
        "bert.embeddings.position_ids": torch.arange(4),
    }
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    expected = load_file(tmp_path / "model.safetensors")
    found = read_tensors(tmp_path)
    assert set(found) == {"bert.pooler.dense.weight", "classifier.bias"}
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, expected[name].float())
        tensor += 1  # a change stays in memory
    assert torch.equal(load_file(tmp_path / "model.safetensors")["classifier.bias"], expected["classifier.bias"])


HEADER = b'{"classifier.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x10",
        b"\xff" * 40,
        len(HEADER).to_bytes(8, "little") + HEADER + b"\0" * 4,
        len(HEADER).to_bytes(8, "little") + HEADER.replace(b"[2]", b"[3]") + b"\0" * 8,
        len(HEADER).to_bytes(8, "little") + HEADER.replace(b"[0,8]", b'["a"]') + b"\0" * 8,
        (2).to_bytes(8, "little") + b"[]",
        (23).to_bytes(8, "little") + b'{"classifier.bias":"b"}',
        (80_000).to_bytes(8, "little") + b"[" * 80_000,
    ],
)
def test_a_damaged_file_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors: the file is damaged or cut short"):
        map_tensors(tmp_path)
