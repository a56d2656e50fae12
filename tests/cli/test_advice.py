"""What is advised after a training is what it has not done."""

from dataclasses import replace
from typing import Any

import pytest

from emoclass.cli._advice import stronger_settings
from emoclass.config import TrainConfig
from emoclass.recipes import chosen_recipe
from emoclass.store.layout import Manifest


def trained(recipe: str, *, texts: int, device: str = "cpu", precision: str = "fp32", **settings: Any) -> Manifest:
    """A model that was trained so."""
    config = TrainConfig.named(recipe, **settings)
    return Manifest(
        name="m", created_at="", labels=("a", "b"), base_model={}, recipe=config, truncation=config.truncation,
        parameters={}, metrics={}, calibration={}, data={"rows": {"train": texts}},
        versions={"device": device, "precision": precision},
    )  # fmt: skip


@pytest.mark.parametrize("texts", [1_000, 20_000, 1_000_000])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_the_automatic_recipe_is_not_advised_after_it_was_used(texts: int, device: str) -> None:
    name, _ = chosen_recipe(texts, on_gpu=device != "cpu", settings={})
    assert "--recipe auto" not in stronger_settings(trained(name, texts=texts, device=device))


@pytest.mark.parametrize("recipe", ["fast", "small", "best"])
@pytest.mark.parametrize("texts", [1_000, 20_000, 1_000_000])
def test_no_recipe_is_advised_after_it_was_used(recipe: str, texts: int) -> None:
    assert f"--recipe {recipe}" not in stronger_settings(trained(recipe, texts=texts))


def test_the_layers_are_advised_where_the_best_recipe_trained_few() -> None:
    assert stronger_settings(trained("best", texts=1_000, unfreeze=1)) == ["--unfreeze encoder"]


@pytest.mark.parametrize("compared", ["probes", "tuning"])
def test_nothing_is_advised_that_the_training_compared(compared: str) -> None:
    manifest = replace(trained("fast", texts=1_000), metrics={compared: [{"unfreeze": 1}]})
    assert stronger_settings(manifest) == []


def test_with_several_labels_only_the_automatic_recipe_is_advised() -> None:
    def advice(recipe: str, texts: int) -> list[str]:
        return stronger_settings(replace(trained(recipe, texts=texts), task="multi"))

    assert advice("fast", 20_000) == []
    assert advice("reference", 20_000) == advice("fast", 300) == ["--recipe auto"]


def test_no_more_layers_are_advised_where_the_precision_cannot_train_them() -> None:
    assert stronger_settings(trained("fast", texts=1_000, device="cuda:0", precision="fp16")) == []
