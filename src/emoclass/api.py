"""The Python API: what the commands do, as functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emoclass.config import TrainConfig, TruncationConfig
from emoclass.data.cleaning import CleanData
from emoclass.data.preparation import DataOptions, prepare_training_data
from emoclass.errors import ConfigError, ModelError
from emoclass.evaluation.report import Evaluation, evaluate_classifier
from emoclass.inference.predictor import Classifier, load
from emoclass.store import layout
from emoclass.store.checkpoints import find_model
from emoclass.training.run import RunEvent, TrainResult, run_training

__all__ = ["evaluate", "load", "predict_text", "train"]


def train(
    data: str | Path,
    *,
    val: str | Path | None = None,
    test: str | Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "auto",
    cache_memory: int | None = None,
    cache_disk: int | None = None,
    options: DataOptions | None = None,
    ratios: tuple[float, float, float] = (80, 10, 10),
    on_event: Callable[[RunEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    **recipe: Any,
) -> TrainResult:
    """Trains a classifier and saves it; the newest is the default of ``load`` and ``evaluate``.

    Args:
        data: A .csv, .tsv, .jsonl or .parquet file, ``-``, or a directory with train, val and test files.
        val: A file that is the validation part.
        test: A file that is the test part.
        name: Name of the new model.
        overwrite: Whether a model of that name may be replaced.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: Of the frozen layers: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        cache_memory: Bytes of memory that activations may take; by default half of what is free.
        cache_disk: Bytes that all activation files may take; by default half of what is free, at most 20 GB.
        options: How to read the files.
        ratios: Shares of train, validation and test where they are not given.
        on_event: Called with whatever happens.
        should_stop: Asked after every step; what is best so far is then saved.
        **recipe: Fields of ``TrainConfig``, with ``max_length`` and ``head_tokens`` of its truncation.

    Raises:
        EmoclassError: Of some kind, with what to do about it.
    """
    limits = {key: recipe.pop(key) for key in ("max_length", "head_tokens") if key in recipe}
    if limits:
        recipe["truncation"] = TruncationConfig(**limits)
    try:
        config = TrainConfig(**recipe)
    except TypeError as error:
        raise ConfigError(f"train: {error}") from None
    parts = prepare_training_data(
        data, val=val, test=test, options=options or DataOptions(), ratios=ratios, seed=config.seed
    )
    return run_training(
        parts,
        config,
        name=name,
        overwrite=overwrite,
        device=device,
        precision=precision,
        cache_memory=cache_memory,
        cache_disk=cache_disk,
        on_event=on_event,
        should_stop=should_stop,
    )


def evaluate(
    data: str | Path,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    options: DataOptions | None = None,
    on_texts: Callable[[int], None] = lambda texts: None,
) -> Evaluation:
    """Scores a trained classifier on labelled data: a file, or the test part of a split directory.

    Raises:
        EmoclassError: Of some kind, with what to do about it.
    """
    stored = find_model(model)
    labelled = read_evaluation_data(data, options or DataOptions())
    classifier = load(stored.directory, device=device, precision=precision)
    hashes = stored.directory / layout.TRAINING_HASHES
    try:
        training_hashes = np.load(hashes, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{hashes}: cannot be read: {error}") from None
    return evaluate_classifier(classifier, labelled, training_hashes=training_hashes, on_texts=on_texts)


def read_evaluation_data(data: str | Path, options: DataOptions) -> CleanData:
    """Reads and cleans a file, or the test part of a split directory."""
    (table,) = options.read_parts(data, ("test",)).values()
    return options.clean(table)


def predict_text(text: str, *, model: str | Path | None = None) -> tuple[str, float]:
    """The most probable label of one text, and its probability. To predict many texts, ``load`` once.

    Raises:
        ModelError: There is no trained model, or it is damaged.
    """
    classifier: Classifier = load(model)
    return classifier.predict_text(text)
