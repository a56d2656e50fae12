"""Fused operations compute what their parts do, and where they cannot be trusted the parts are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from emoclass.encoders.bert import linear

DTYPES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture(autouse=True)
def _tried_anew() -> Iterator[None]:
    linear._is_usable.cache_clear()
    yield
    linear._is_usable.cache_clear()


def make(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((37, 48), (24, 48), (24,), (37, 24))
    inputs, weight, bias, other = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
    return inputs, weight / 7, bias, other


def assert_as_parts(dtype: torch.dtype, activation: str) -> None:
    inputs, weight, bias, other = make(dtype)
    exact = functional.linear(inputs.float(), weight.float(), bias.float())
    compare = {"rtol": DTYPES[dtype], "atol": DTYPES[dtype], "check_dtype": False}
    with torch.no_grad():
        torch.testing.assert_close(linear.linear(inputs, weight, bias), exact, **compare)
        activated = linear.linear_activation(inputs, weight, bias, activation)
        torch.testing.assert_close(activated, linear.ACTIVATIONS[activation](exact), **compare)
        added = linear.linear_add(inputs, weight, bias, other)
        torch.testing.assert_close(added, exact + other.float(), **compare)
    assert activated.dtype == added.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", linear.ACTIVATIONS)
def test_computes_what_its_parts_do(dtype: torch.dtype, activation: str) -> None:
    assert_as_parts(dtype, activation)


def _absent(*arguments: object) -> Tensor:
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


def _wrong(inputs: Tensor, weight: Tensor, bias: Tensor, *others: object) -> Tensor:
    return functional.linear(inputs, weight, -bias)


@pytest.mark.parametrize("operator", [_absent, _wrong])
@pytest.mark.parametrize("name", ["_linear_pointwise", "_linear_pointwise_add"])
def test_without_operators_that_do_as_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, operator: Callable[..., Tensor]
) -> None:
    monkeypatch.setattr(linear, name, operator)
    assert_as_parts(torch.bfloat16, "gelu")


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_flow(dtype: torch.dtype) -> None:
    inputs, weight, bias, other = (tensor.detach().requires_grad_() for tensor in make(dtype))
    activated = linear.linear_activation(linear.linear_add(inputs, weight, bias, other), weight.T, bias[:1], "gelu")
    activated.sum().backward()
    assert all(tensor.grad is not None for tensor in (inputs, weight, bias, other))
