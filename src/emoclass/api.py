"""The Python API: what the commands do, as functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.config import TrainConfig, TruncationConfig
from emoclass.data.cleaning import CleanData
from emoclass.data.inspection import Inspection
from emoclass.data.label_noise import Suspect
from emoclass.data.preparation import DataOptions, prepare_training_data
from emoclass.data.record_writing import record_writer
from emoclass.data.sources import format_of
from emoclass.errors import ConfigError, ModelError
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.report import Evaluation, evaluate_classifier
from emoclass.inference.output import output_file
from emoclass.inference.predictor import Classifier, load
from emoclass.pages.evaluation import render_evaluation
from emoclass.pages.inspection import render_inspection
from emoclass.store import layout
from emoclass.store.checkpoints import StoredModel, find_model, read_model
from emoclass.training.events import RunEvent
from emoclass.training.run import TrainResult, run_training

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
    resume: bool = False,
    patience: int | None = None,
    max_minutes: float | None = None,
    tune: int | None = None,
    recipe: str = "reference",
    on_event: Callable[[RunEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    **settings: Any,
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
        resume: Whether to go on with the same training where an earlier run ended too early, if one did.
        patience: End after so many epochs without a better one.
        max_minutes: Stop after so many minutes of training; what is best so far is then saved.
        tune: Search for better settings in so many trials; those that are given stay as they are.
        recipe: ``reference``, ``fast`` or ``best``.
        on_event: Called with whatever happens.
        should_stop: Asked after every step; what is best so far is then saved.
        **settings: Other fields of ``TrainConfig``, with ``max_length`` and ``head_tokens`` of its truncation.

    Raises:
        EmoclassError: Of some kind, with what to do about it.
    """
    limits = {key: settings.pop(key) for key in ("max_length", "head_tokens") if key in settings}
    if limits:
        settings["truncation"] = TruncationConfig(**limits)
    config = TrainConfig.named(recipe, **settings)
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
        resume=resume,
        patience=patience,
        max_minutes=max_minutes,
        tune=tune,
        fixed=settings,
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
    (result,) = evaluate_models(
        data, models=[model], device=device, precision=precision, options=options, on_texts=on_texts
    )
    return result.evaluation


@dataclass(frozen=True)
class Evaluated:
    """A stored model, how it did, and its epochs."""

    model: StoredModel
    evaluation: Evaluation
    history: list[dict[str, Any]]


def evaluate_models(
    data: str | Path,
    *,
    models: Sequence[str | Path | None],
    device: str = "auto",
    precision: str = "auto",
    options: DataOptions | None = None,
    on_texts: Callable[[int], None] = lambda texts: None,
) -> list[Evaluated]:
    """Scores several trained classifiers on the same data, one after the other; see ``evaluate``."""
    stored = [find_model(model) for model in models]
    labelled = read_evaluation_data(data, options or DataOptions())

    def read(
        model: StoredModel,
    ) -> tuple[StoredModel, Classifier, npt.NDArray[np.int64], Baseline | None, list[dict[str, Any]]]:
        classifier = load(model.directory, device=device, precision=precision)
        baseline = Baseline.load(model.directory, layout.BASELINE, len(classifier.labels))
        return model, classifier, _training_hashes(model), baseline, _history(model)

    results = []
    for each in stored:
        model, classifier, hashes, baseline, history = read_model(each, read)
        evaluation = evaluate_classifier(
            classifier,
            labelled,
            training_hashes=hashes,
            baseline=baseline,
            temperature=model.manifest.calibration["temperature"],
            on_texts=on_texts,
        )
        results.append(Evaluated(model, evaluation, history))
    return results


def _training_hashes(stored: StoredModel) -> npt.NDArray[np.int64]:
    path = stored.directory / layout.TRAINING_HASHES
    try:
        hashes: npt.NDArray[np.int64] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None
    return hashes


def _history(stored: StoredModel) -> list[dict[str, Any]]:
    lines = (stored.directory / layout.HISTORY).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def write_report(result: Evaluated, path: str | Path) -> None:
    """Writes an evaluation as one page of HTML that needs nothing else.

    Raises:
        ConfigError: The packages of ``emoclass[report]`` are not installed.
        OSError: The file cannot be written.
    """
    manifest = result.model.manifest
    facts = [
        ("base model", manifest.base_model["name"]),
        ("trained", manifest.created_at[:10]),
        ("training texts", f"{manifest.data['rows']['train']:,}"),
    ]
    page = render_evaluation(result.evaluation, model=manifest.name, facts=facts, history=result.history)
    with output_file(path) as file:
        file.write(page.encode("utf-8", "replace"))


def write_inspection(
    inspection: Inspection, path: str | Path, *, suspects: Mapping[str, Sequence[Suspect]] | None = None
) -> None:
    """Writes an inspection of data as one page of HTML that needs nothing else.

    Raises:
        ConfigError: The packages of ``emoclass[report]`` are not installed.
        OSError: The file cannot be written.
    """
    page = render_inspection(inspection, suspects=suspects)
    with output_file(path) as file:
        file.write(page.encode("utf-8", "replace"))


def write_predictions(result: Evaluated, path: str | Path) -> None:
    """Writes row, text, label, prediction, confidence and loss of each scored row, in the format of the name.

    Raises:
        ConfigError: The name tells no format.
        OSError: The file cannot be written.
    """
    format_ = format_of(str(path))[0]
    if format_ is None:
        raise ConfigError(f"{path}: the name does not tell the format; use .csv, .tsv, .jsonl or .parquet")
    rows, labels = result.evaluation.rows, result.evaluation.labels
    columns = {
        "row": rows.numbers.tolist(),
        "text": rows.texts,
        "label": [labels[i] for i in rows.true],
        "prediction": [labels[i] for i in rows.predicted],
        "confidence": rows.probabilities.max(axis=1).round(6).astype(float).round(6).tolist(),
        "loss": rows.losses.round(6).tolist(),
    }
    with output_file(path) as file:
        writer = record_writer(file, format_)
        writer.write(list(columns), zip(*columns.values(), strict=True))
        writer.close()


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
