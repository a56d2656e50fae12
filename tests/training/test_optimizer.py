"""Layers that compute in bfloat16 learn what float32 ones learn, and their weights keep float32."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from emoclass.config import CLASS_WEIGHTS, TrainConfig, Unfreeze
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.freezing import freeze, frozen_depth
from emoclass.training.loop import LoopState
from emoclass.training.losses import class_weights_of
from tests.conftest import TINY, random_tensors

CONFIG = replace(
    EncoderConfig(**{**TINY, "classifier_dropout": 0.0}), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
)
LENGTHS = [9, 9, 7, 4]


def _step(
    dtype: torch.dtype, unfreeze: Unfreeze, learning_rate: float, layer_decay: float = 1.0
) -> tuple[PackedBert, dict[str, torch.Tensor]]:
    """The model after one step, and its gradients."""
    model = PackedBert(CONFIG, 3)
    model.load_state_dict(random_tensors(model))
    freeze(model, unfreeze)
    recipe = TrainConfig(
        learning_rate=learning_rate, warmup_ratio=0.0, max_grad_norm=1e9, weight_decay=0.0, layer_decay=layer_decay
    )
    state = LoopState(model, 4, recipe, dtype)
    hidden = model.embeddings(torch.arange(sum(LENGTHS)), LENGTHS).to(dtype)
    depth = frozen_depth(model) or 0
    hidden = FrozenPrefix(model, depth, dtype)(torch.arange(sum(LENGTHS)), LENGTHS) if depth else hidden
    logits = model.classify(model.cls_hidden(hidden, LENGTHS, state.working.layers))
    state.optimizer.step([functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))])
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


def test_with_layer_decay_lower_layers_take_smaller_steps() -> None:
    before = random_tensors(PackedBert(CONFIG, 3))
    model, gradients = _step(torch.float32, "all", 1e-3, layer_decay=0.5)
    # AdamW's first step is the learning rate, wherever there is a gradient.
    steps = {
        name: float((parameter.detach() - before[name])[gradients[name].abs() > 1e-6].abs().median())
        for name, parameter in model.named_parameters()
        if name.endswith(("dense.weight", "word_embeddings.weight", "classifier.weight"))
    }
    rates = {"classifier": 1e-3, "pooler": 1e-3, "layer.1.": 1e-3, "layer.0.": 5e-4, "embeddings": 2.5e-4}
    for name, step in steps.items():
        assert step == pytest.approx(next(rate for part, rate in rates.items() if part in name), rel=0.05), name


@pytest.mark.parametrize("kind", CLASS_WEIGHTS)
def test_class_weights_lift_rare_classes_and_leave_the_size_of_the_loss(kind: str) -> None:
    labels = np.array([0] * 90 + [1] * 9 + [2])
    weights = class_weights_of(labels, 3, kind)
    sums = weights * [90, 9, 1]
    assert sums.sum() == pytest.approx(100)
    expected = {
        "none": [90, 9, 1],
        "balanced": [100 / 3] * 3,
        "sqrt": 100 * np.sqrt([90, 9, 1]) / np.sqrt([90, 9, 1]).sum(),
    }
    np.testing.assert_allclose(sums, expected[kind], rtol=1e-5)


def test_gradients_of_word_embeddings_are_whole_after_each_step() -> None:
    model = PackedBert(CONFIG, 3)
    model.load_state_dict(random_tensors(model))
    freeze(model, "all")
    state = LoopState(model, 4, TrainConfig(learning_rate=1e-3, warmup_ratio=0.0, max_grad_norm=1e9))
    weight = model.embeddings.word_embeddings.weight
    for input_ids in (torch.arange(sum(LENGTHS)), torch.arange(sum(LENGTHS)) % 7 + 20):
        rows = weight.detach()[input_ids].requires_grad_()  # each token with a row of its own
        embedded = rows + model.embeddings.token_type_embeddings.weight[0]
        places = torch.cat([torch.arange(length) for length in LENGTHS])
        embedded = model.embeddings.LayerNorm(embedded + model.embeddings.position_embeddings(places))
        labels = torch.tensor([0, 1, 2, 0])
        (by_token,) = torch.autograd.grad(
            functional.cross_entropy(model.logits_from_layer(embedded, LENGTHS, 0), labels), rows
        )
        expected = torch.zeros_like(weight).index_add_(0, input_ids, by_token)
        state.optimizer.step([functional.cross_entropy(model(input_ids, LENGTHS), labels)])
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, expected, rtol=1e-4, atol=1e-6)
