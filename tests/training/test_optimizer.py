"""Layers that compute in bfloat16 learn what float32 ones learn, and their weights keep float32."""

from dataclasses import replace

import torch
from torch.nn import functional

from emoclass.config import TrainConfig
from emoclass.model.encoder import EncoderConfig, PackedBert
from emoclass.model.freezing import freeze
from emoclass.training.loop import LoopState
from tests.conftest import TINY, random_tensors

CONFIG = replace(
    EncoderConfig(**{**TINY, "classifier_dropout": 0.0}), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
)
LENGTHS = [9, 9, 7, 4]


def _step(dtype: torch.dtype, unfreeze: int, learning_rate: float) -> tuple[PackedBert, dict[str, torch.Tensor]]:
    """The model after one step, and its gradients."""
    model = PackedBert(CONFIG, 3)
    model.load_state_dict(random_tensors(model))
    freeze(model, unfreeze)
    recipe = TrainConfig(learning_rate=learning_rate, warmup_ratio=0.0, max_grad_norm=1e9)
    state = LoopState(model, 4, recipe, dtype)
    hidden = torch.randn(sum(LENGTHS), CONFIG.hidden_size, generator=torch.Generator().manual_seed(1)).to(dtype)
    logits = model.suffix(hidden, LENGTHS, CONFIG.num_hidden_layers - unfreeze, state.working.layers)
    state.optimizer.step(functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])))
    return model, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_in_bfloat16_point_where_those_in_float32_point() -> None:
    for unfreeze in (1, 2):
        _, exact = _step(torch.float32, unfreeze, 1e-3)
        _, rounded = _step(torch.bfloat16, unfreeze, 1e-3)
        assert exact.keys() == rounded.keys()
        for name, gradient in exact.items():
            assert rounded[name].dtype == torch.float32
            if gradient.norm() > 1e-6:  # that of the key bias is zero
                cosine = functional.cosine_similarity(rounded[name].flatten(), gradient.flatten(), dim=0)
                assert cosine > 0.98, name


def test_steps_too_small_for_bfloat16_are_not_lost() -> None:
    before = random_tensors(PackedBert(CONFIG, 3))
    model, gradients = _step(torch.bfloat16, 1, 1e-6)
    for name, parameter in model.named_parameters():
        if name in gradients and gradients[name].norm() > 1e-6:
            assert not torch.equal(parameter, before[name]), name
            torch.testing.assert_close(parameter.detach(), before[name], rtol=1e-4, atol=1e-5)
