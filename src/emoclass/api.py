"""The Python API: what the commands do, as functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.config import TrainConfig, TruncationConfig
from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.inspection.label_noise import Suspect
from emoclass.data.inspection.results import Inspection
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.data.tables.formats import format_of
from emoclass.data.tables.parts import part_paths
from emoclass.data.tables.writing import record_writer
from emoclass.errors import ConfigError, ModelError
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.report import Evaluation
from emoclass.evaluation.report import evaluate as run_evaluation
from emoclass.evaluation.scoring import KEPT_MISTAKES, Rows, Scoring
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
    settings = {key: value for key, value in settings.items() if value is not None}
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
    kept_mistakes: int = KEPT_MISTAKES,
    predictions: str | Path | None = None,
    on_rows: Callable[[int, int | None], None] = lambda rows, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Evaluation:
    """Scores a trained classifier on labelled data: a file, or the test part of a split directory.

    The data is read once and never held as a whole.

    Args:
        data: A .csv, .tsv, .jsonl or .parquet file, ``-``, or a directory with a test file.
        model: Name or directory of the model; by default the newest.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: Of all layers but the last: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        options: How to read the file.
        kept_mistakes: How many of the worst mistakes are kept with their texts.
        predictions: A file for row, text, label, prediction, confidence and loss of each scored row, in the format
            of its name; it appears when it is complete.
        on_rows: Called with the number of data rows just done, and of all of them where that is known.
        on_note: Takes what was decided about the data without being asked.

    Raises:
        EmoclassError: Of some kind, with what to do about it.
    """
    (result,) = evaluate_models(
        data,
        models=[model],
        device=device,
        precision=precision,
        options=options,
        kept_mistakes=kept_mistakes,
        predictions=predictions,
        on_rows=on_rows,
        on_note=on_note,
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
    kept_mistakes: int = KEPT_MISTAKES,
    predictions: str | Path | None = None,
    on_rows: Callable[[int, int | None], None] = lambda rows, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[Evaluated]:
    """Scores several trained classifiers on the same data, side by side; see ``evaluate``.

    Raises:
        ConfigError: ``predictions`` is given with several models.
    """
    if predictions is not None and len(models) > 1:
        raise ConfigError("predictions are written of one model; evaluate the models one by one for them")
    stored = [find_model(model) for model in models]
    with ExitStack() as stack:
        labelled = stack.enter_context(open_evaluation_data(data, options or DataOptions()))
        for note in labelled.notes:
            on_note(note)

        def read(model: StoredModel) -> tuple[StoredModel, Scoring, list[dict[str, Any]]]:
            classifier = load(model.directory, device=device, precision=precision)
            scoring = Scoring(
                classifier,
                training_hashes=_training_hashes(model),
                baseline=Baseline.load(model.directory, layout.BASELINE, len(classifier.labels)),
                temperature=model.manifest.calibration["temperature"],
                kept_mistakes=kept_mistakes,
            )
            return model, scoring, _history(model)

        loaded = [read_model(each, read) for each in stored]
        scorings = [scoring for _, scoring, _ in loaded]
        if predictions is not None:
            for scoring in scorings:
                scoring.on_scored = stack.enter_context(_prediction_writer(predictions, scoring.classifier.labels))
        evaluations = run_evaluation(scorings, labelled, on_rows=on_rows)
    return [
        Evaluated(model, evaluation, history)
        for (model, _, history), evaluation in zip(loaded, evaluations, strict=True)
    ]


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


@contextmanager
def _prediction_writer(path: str | Path, labels: Sequence[str]) -> Iterator[Callable[[Sequence[str], Rows], None]]:
    """Writes row, text, label, prediction, confidence and loss of each scored row, in the format of the name."""
    format_ = format_of(str(path))[0]
    if format_ is None:
        raise ConfigError(f"{path}: the name does not tell the format; use .csv, .tsv, .jsonl or .parquet")
    with output_file(path) as file:
        writer = record_writer(file, format_)

        def write(texts: Sequence[str], rows: Rows) -> None:
            columns = {
                "row": rows.numbers.tolist(),
                "text": texts,
                "label": [labels[i] for i in rows.true.tolist()],
                "prediction": [labels[i] for i in rows.predicted.tolist()],
                "confidence": rows.confidences.astype(np.float64).round(6).tolist(),
                "loss": rows.losses.round(6).tolist(),
            }
            writer.write(list(columns), zip(*columns.values(), strict=True))

        try:
            yield write
        finally:
            writer.close()


def open_evaluation_data(data: str | Path, options: DataOptions) -> LabelledReader:
    """Opens a file, or the test part of a split directory, to be read and cleaned a block at a time."""
    (path,) = part_paths(data, ("test",)).values()
    return LabelledReader(path, options)


def predict_text(text: str, *, model: str | Path | None = None) -> tuple[str, float]:
    """The most probable label of one text, and its probability. To predict many texts, ``load`` once.

    Raises:
        ModelError: There is no trained model, or it is damaged.
    """
    classifier: Classifier = load(model)
    return classifier.predict_text(text)
