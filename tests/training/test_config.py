"""The defaults are the reference recipe; values out of range and contradictions are rejected by option name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoclass.config import RECIPES, TrainConfig, TruncationConfig
from emoclass.errors import ConfigError
from emoclass.recipes import chosen_recipe
from emoclass.training.options import RunOptions
from emoclass.training.stopping import StopSignal


def test_defaults_are_the_reference_recipe() -> None:
    assert TrainConfig().to_dict() == {
        "base_model": "bert-base-uncased",
        "truncation": {"max_length": 512, "head_tokens": None},
        "unfreeze": 1,
        "train_pooler": False,
        "epochs": 4,
        "min_steps": 0,
        "batch_size": 32,
        "learning_rate": 2e-5,
        "weight_decay": 0.01,
        "warmup_ratio": 0.1,
        "max_grad_norm": 1.0,
        "layer_decay": 1.0,
        "dropout": None,
        "label_smoothing": 0.0,
        "focal_gamma": 0.0,
        "r_drop": 0.0,
        "mixup": 0.0,
        "class_weights": "none",
        "metric": "accuracy",
        "keep": "best",
        "seed": 42,
        "seeds": 1,
    }


def test_numbers_of_numpy_and_paths_become_plain_values() -> None:
    truncation = TruncationConfig(max_length=np.int64(64), head_tokens=np.uint8(10))  # type: ignore[arg-type]
    settings: dict[str, Any] = {
        "epochs": np.int64(2), "learning_rate": np.float32(0.5), "train_pooler": np.True_, "unfreeze": np.int8(2),
        "base_model": Path("some") / "where", "truncation": truncation,
    }  # fmt: skip
    config = TrainConfig.named("reference", **settings)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert (config.train_pooler, config.learning_rate, config.base_model) == (True, 0.5, str(Path("some/where")))
    given: dict[str, Any] = {"patience": np.int64(2), "max_minutes": np.float32(0.5), "device": torch.device("cpu")}
    options = RunOptions(**given)
    assert json.dumps([options.patience, options.max_minutes, options.device]) == '[2, 0.5, "cpu"]'


@pytest.mark.parametrize("answer", [True, 1, np.True_, "yes"])
def test_a_request_to_stop_may_be_anything_true(answer: Any) -> None:
    assert bool(StopSignal(lambda: answer))
    assert StopSignal(lambda: answer).requested is True
    assert not StopSignal(lambda: None)  # type: ignore[arg-type,return-value]


def test_survives_json() -> None:
    config = TrainConfig(unfreeze="all", truncation=TruncationConfig(max_length=64, head_tokens=10), epochs=7)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"unfreeze": -1}, "--unfreeze -1"),
        ({"unfreeze": "most"}, "--unfreeze most"),
        ({"epochs": 0}, "--epochs 0"),
        ({"min_steps": -1}, "--min-steps -1"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"learning_rate": 0}, "--learning-rate 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"weight_decay": -1}, "--weight-decay -1"),
        ({"warmup_ratio": 1.5}, "--warmup-ratio 1.5"),
        ({"max_grad_norm": 0}, "--max-grad-norm 0"),
        ({"layer_decay": 0}, "--layer-decay 0"),
        ({"dropout": 1}, "--dropout 1"),
        ({"label_smoothing": 1}, "--label-smoothing 1"),
        ({"focal_gamma": 0.5}, "--focal-gamma 0.5"),
        ({"focal_gamma": float("inf")}, "--focal-gamma inf"),
        ({"r_drop": -1}, "--r-drop -1"),
        ({"mixup": -1}, "--mixup -1"),
        ({"class_weights": "auto"}, "--class-weights auto"),
        ({"metric": "f1"}, "--metric f1"),
        ({"keep": "last"}, "--keep last"),
        ({"seed": -1}, "--seed -1"),
        ({"base_model": " "}, "--base-model"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        TrainConfig(**settings)


@pytest.mark.parametrize(
    ("texts", "settings", "epochs"),
    [
        (64, {}, 3),
        (30, {}, 6),  # steps of 10, 10 and 10 texts
        (1, {}, 16),
        (30, {"min_steps": 0}, 3),
    ],
)
def test_few_texts_are_passed_over_more_often(texts: int, settings: dict[str, Any], epochs: int) -> None:
    config = TrainConfig(**{"epochs": 3, "batch_size": 10, "min_steps": 16, **settings})
    assert config.for_texts(texts).epochs == epochs
    assert config.for_texts(texts).for_texts(1) == config.for_texts(texts)


def test_epochs_that_are_given_stand() -> None:
    assert TrainConfig.named("best").for_texts(200).epochs > TrainConfig.named("best").epochs
    assert TrainConfig.named("best", epochs=2).for_texts(200).epochs == 2
    assert TrainConfig.named("best", epochs=2, min_steps=21).for_texts(200).epochs == 3


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"r_drop": 2.0, "dropout": 0.0}, ["--r-drop 2", "--dropout 0"]),
        ({"layer_decay": 0.9, "unfreeze": 1}, ["--layer-decay 0.9", "--unfreeze 1"]),
        ({"layer_decay": 0.9, "unfreeze": 0}, ["--layer-decay 0.9", "--unfreeze 0"]),
        ({"train_pooler": False, "unfreeze": "all"}, ["--no-train-pooler", "--unfreeze all"]),
    ],
)
@pytest.mark.parametrize("recipe", RECIPES)
def test_an_option_that_another_leaves_without_effect_is_refused(
    recipe: str, settings: dict[str, Any], options: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        TrainConfig.named(recipe, **settings)
    assert all(option in str(error.value) for option in options)
    for name in settings:
        TrainConfig.named(recipe, **{key: value for key, value in settings.items() if key != name})
    assert TrainConfig.from_dict(TrainConfig(**settings).to_dict()) == TrainConfig(**settings)


def test_without_dropout_a_recipe_has_no_r_drop() -> None:
    assert TrainConfig.named("fast").r_drop > 0
    assert TrainConfig.named("fast", dropout=0.0).r_drop == 0
    assert TrainConfig.named("fast", dropout=0.2).r_drop > 0


def test_a_head_longer_than_the_limit_is_refused() -> None:
    TruncationConfig(max_length=64, head_tokens=62)
    with pytest.raises(ConfigError, match="--head-tokens 64 does not fit into --max-length 64"):
        TruncationConfig(max_length=64, head_tokens=64)


def test_unknown_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown settings: learning_speed"):
        TrainConfig.from_dict({"learning_speed": 3})
    with pytest.raises(ConfigError, match="unknown settings: learning_speed"):
        TrainConfig.named("fast", learning_speed=3)
    with pytest.raises(ConfigError, match="wrong type"):
        TrainConfig.named("fast", epochs="three")


@pytest.mark.parametrize(
    ("texts", "on_gpu", "settings", "recipe"),
    [
        (40, False, {}, "small"),
        (3_200, True, {}, "small"),
        (3_201, False, {}, "best"),
        (8_001, False, {}, "fast"),
        (63_000, False, {}, "fast"),
        (63_000, True, {}, "best"),
        (64_000, False, {}, "reference"),
        (64_000, True, {}, "reference"),
        (40, False, {"unfreeze": 1}, "fast"),
        (6_400, False, {"batch_size": 64}, "small"),
    ],
)
def test_auto_chooses_a_recipe_by_steps_and_device(
    texts: int, on_gpu: bool, settings: dict[str, Any], recipe: str
) -> None:
    name, reason = chosen_recipe(texts, on_gpu=on_gpu, settings=settings)
    assert name == recipe
    assert reason


@pytest.mark.parametrize(("texts", "recipe"), [(40, "small"), (512, "small"), (513, "fast"), (1_000_000, "fast")])
@pytest.mark.parametrize("on_gpu", [False, True])
def test_auto_trains_the_last_layer_for_several_labels(texts: int, on_gpu: bool, recipe: str) -> None:
    assert chosen_recipe(texts, task="multi", on_gpu=on_gpu, settings={})[0] == recipe


def test_auto_trains_little_where_a_trained_model_meets_few_texts() -> None:
    assert [chosen_recipe(n, on_gpu=False, settings={}, from_trained=True)[0] for n in (128, 129)] == ["fast", "small"]
