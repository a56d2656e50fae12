"""Linear layers fused with the operation that follows, where torch can: in bf16 on the CPU, without gradients.

There a layer's bias, activation and addition cost a pass over memory each, and with AMX, whose products are ten times
as fast, as much time as half of the products. oneDNN does them while a product's results are still in registers;
torch's compiler uses the same operators. They are not public, so that they are tried out first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "swish": functional.silu,
}
# What oneDNN computes together with a product; GELU by tanh is slower there than on its own.
_FUSED = {"gelu": ("gelu", "none"), "relu": ("relu", "")}


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``inputs @ weight.T + bias``: ``[rows, width], [outputs, width], [outputs] -> [rows, outputs]``."""
    if _is_fused(inputs):
        return _linear_pointwise(inputs, weight, bias, "none", "")
    return functional.linear(inputs, weight, bias)


def linear_activation(inputs: Tensor, weight: Tensor, bias: Tensor, name: str) -> Tensor:
    """Apply one of ``ACTIVATIONS`` to ``linear``."""
    if name in _FUSED and _is_fused(inputs):
        return _linear_pointwise(inputs, weight, bias, *_FUSED[name])
    return ACTIVATIONS[name](functional.linear(inputs, weight, bias))


def linear_add(inputs: Tensor, weight: Tensor, bias: Tensor, other: Tensor) -> Tensor:
    """Return ``linear`` plus ``other``, ``[rows, outputs]``."""
    if _is_fused(inputs):
        return _linear_pointwise_add(inputs, weight, bias, other)
    return functional.linear(inputs, weight, bias) + other


def _is_fused(inputs: Tensor) -> bool:
    return inputs.is_cpu and inputs.dtype == torch.bfloat16 and not torch.is_grad_enabled() and _is_usable()


def _linear_pointwise(inputs: Tensor, weight: Tensor, bias: Tensor, name: str, algorithm: str) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, name, [], algorithm)
    return result


def _linear_pointwise_add(inputs: Tensor, weight: Tensor, bias: Tensor, other: Tensor) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(inputs, other, weight, bias, "add")
    return result


@lru_cache(maxsize=1)
def _is_usable() -> bool:
    """Return whether this torch has the operators, and they compute the same as their parts."""
    numbers = torch.linspace(-2, 2, 64, dtype=torch.bfloat16)
    inputs, bias = numbers.view(4, 16), numbers[:16]
    weight, other = numbers.view(16, 4).repeat(1, 4), numbers.view(4, 16).flip(0)
    product = functional.linear(inputs.float(), weight.float(), bias.float())
    expected = [product, *(ACTIVATIONS[name](product) for name in _FUSED), product + other.float()]
    try:
        computed = [
            _linear_pointwise(inputs, weight, bias, "none", ""),
            *(_linear_pointwise(inputs, weight, bias, *fused) for fused in _FUSED.values()),
            _linear_pointwise_add(inputs, weight, bias, other),
        ]
    except (AttributeError, RuntimeError, TypeError):  # no oneDNN, or operators that are called otherwise
        return False
    # Two roundings to bf16 at most.
    return all(torch.allclose(a.float(), b, rtol=0.02, atol=0.02) for a, b in zip(computed, expected, strict=True))
