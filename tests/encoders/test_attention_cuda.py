"""What attention needs on a GPU, tested with stand-ins; ``make cuda`` tests it on a GPU."""

import inspect
from types import SimpleNamespace

import pytest
import torch

from emoclass.encoders.bert import attention
from emoclass.runtime import to_device


def on_gpu(dtype: torch.dtype) -> SimpleNamespace:
    return SimpleNamespace(is_cuda=True, dtype=dtype, device=torch.device("cuda"))


def test_cudnn_computes_no_attention_in_training() -> None:
    """It builds an execution plan for each new shape, and nearly every batch has one."""
    with attention._without_cudnn(on_gpu(torch.bfloat16)):
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.flash_sdp_enabled()
        assert torch.backends.cuda.mem_efficient_sdp_enabled()
        assert torch.backends.cuda.math_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_torchs_variable_length_kernel_accepts_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (9, 0))
    kernel = attention._varlen_kernel(on_gpu(torch.bfloat16), 64)
    if kernel is None:
        pytest.skip("this torch has none")
    bound = inspect.signature(kernel).bind("query", "key", "value", "bounds", "bounds", 7, 7)
    assert bound.arguments["max_q"] == bound.arguments["max_k"] == 7
    assert list(bound.arguments)[3:5] == ["cu_seq_q", "cu_seq_k"]
    assert attention._varlen_kernel(on_gpu(torch.float32), 64) is None
    assert attention._varlen_kernel(on_gpu(torch.bfloat16), 4) is None
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (7, 5))
    assert attention._varlen_kernel(on_gpu(torch.float16), 64) is None


def test_copies_to_a_gpu_do_not_wait_for_it() -> None:
    calls = []
    pinned = SimpleNamespace(to=lambda *args, **options: calls.append((args, options)))
    to_device(SimpleNamespace(pin_memory=lambda: pinned), torch.device("cuda", 0))
    assert calls == [((torch.device("cuda", 0),), {"non_blocking": True})]
    here = torch.arange(3)
    assert to_device(here, torch.device("cpu")) is here


def test_on_a_gpu_attention_has_one_group() -> None:
    lengths = [40, 11, 10, 3]
    assert [group.lengths for group in attention._groups(lengths, torch.device("cuda"))] == [lengths]
    assert len(attention._groups(lengths, torch.device("cpu"))) == 3
