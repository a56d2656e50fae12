"""Which recipe ``auto`` stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from emoclass.config import Task, TrainConfig

# The reference recipe was made for trainings of about 10,000 steps (docs/experiments.md).
_REFERENCE_STEPS = 8_000
# An epoch of 128 texts, of 3,200 and of 8,000.
_FEW_BATCHES, _SMALL_BATCHES, _BEST_BATCHES = 4, 100, 250
# With several labels a text: an epoch of 512 texts.
_SMALL_BATCHES_OF_SEVERAL = 16


def chosen_recipe(
    texts: int,
    *,
    task: Task = "single",
    on_gpu: bool,
    settings: Mapping[str, Any],
    from_trained: bool = False,
) -> tuple[str, str]:
    """Return the recipe that ``auto`` stands for, and why; docs/experiments.md has the measurements.

    Args:
        texts: Number of training texts.
        task: Whether a text has one label, or any number of them.
        on_gpu: Whether a GPU computes.
        settings: Explicit settings.
        from_trained: Whether the base model is one that emoclass has trained.
    """
    batches = math.ceil(texts / settings.get("batch_size", TrainConfig.batch_size))
    if task == "single" and TrainConfig.epochs * batches >= _REFERENCE_STEPS:
        return "reference", f"{texts:,} texts are as many as it was made for"
    if settings.get("unfreeze", "auto") in (0, 1):
        return "fast", "it is the one for a single trainable layer"
    if from_trained and batches <= _FEW_BATCHES:
        return "fast", f"{texts:,} texts are few, and the layers of a trained model know emotions"
    if task == "multi" and batches > _SMALL_BATCHES_OF_SEVERAL:
        return "fast", "with several labels a text, training the last layer is as good as training all"
    if batches <= _SMALL_BATCHES:
        return "small", f"{texts:,} texts are few, and training all layers on them is cheap"
    if on_gpu:
        return "best", "on a GPU, training all layers is cheap"
    if batches <= _BEST_BATCHES:
        return "best", f"with {texts:,} texts, training all layers is worth the time"
    return "fast", f"with {texts:,} texts on a CPU, training the last layer is nearly as good and several times faster"
