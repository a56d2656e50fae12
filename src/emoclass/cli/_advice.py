"""What to try after a training, by what the training did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emoclass.config import RECIPES, TrainConfig
from emoclass.recipes import chosen_recipe

if TYPE_CHECKING:
    from emoclass.store.layout import Manifest
    from emoclass.training.train import TrainResult

_ALL_LAYERS = ("encoder", "all")


def stronger_settings(manifest: Manifest) -> list[str]:
    """Return the options of ``train`` that make a stronger model than this one, which was trained without them."""
    recipe, trained_on = manifest.recipe, manifest.versions
    # Probes and searches have compared more layers and the recipes. In fp16 only one layer can be trained.
    has_compared = manifest.metrics.get("probes") or manifest.metrics.get("tuning")
    if recipe.unfreeze in _ALL_LAYERS or has_compared or trained_on.get("precision") == "fp16":
        return []
    # Whoever has used the best recipe with fewer layers needs no other recipe.
    if all(getattr(recipe, name) == RECIPES["best"][name] for name in ("learning_rate", "layer_decay", "keep")):
        return ["--unfreeze encoder"]
    texts, on_gpu = manifest.data["rows"]["train"], trained_on.get("device", "").startswith("cuda")
    settings = {"batch_size": recipe.batch_size}
    name, _ = chosen_recipe(texts, task=manifest.task, on_gpu=on_gpu, settings=settings)
    automatic = TrainConfig.named(name)
    is_weaker = automatic.unfreeze == recipe.unfreeze and automatic.learning_rate <= recipe.learning_rate
    # With several labels a text, all layers gain nothing.
    best = ["--recipe best"] if manifest.task == "single" else []
    return best if is_weaker else ["--recipe auto", *best]


def more_training(result: TrainResult) -> str:
    """Return the options that would train a model further that still learned at the end, joined with "or"."""
    manifest = result.model.manifest
    options = [*stronger_settings(manifest), "more --epochs"]
    # A search decides on the layers itself, and trains each model once.
    if result.tuning is None and not result.probes and manifest.recipe.seeds == 1:
        options.append("--tune 20")
    *others, last = options
    return f"{', '.join(others)} or {last}" if others else last
