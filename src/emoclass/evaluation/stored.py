"""Evaluation of saved models on labelled data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.options import DataOptions
from emoclass.data.tables.formats import check_output_name, format_of
from emoclass.data.tables.split_directories import split_paths
from emoclass.data.tables.writing import record_writer
from emoclass.errors import ConfigError
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.report import Evaluation
from emoclass.evaluation.report import evaluate as run_evaluation
from emoclass.evaluation.scoring import KEPT_MISTAKES, Rows, Scoring
from emoclass.files import output_file
from emoclass.inference.predictor import load
from emoclass.store import layout
from emoclass.store.checkpoints import StoredModel, find_model, read_model, starter_notes, training_hashes


@dataclass(frozen=True)
class Evaluated:
    """A saved model and its evaluation.

    Attributes:
        model: The saved model.
        evaluation: Its evaluation.
        history: The epochs of its training run, as in ``history.jsonl``.
    """

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
    """Evaluate several saved models on the same data, which is read once; see ``emoclass.api.evaluate``.

    Raises:
        ConfigError: ``predictions`` is set with several models.
    """
    if predictions is not None and len(models) > 1:
        raise ConfigError("predictions can be written for a single model only; evaluate the models one by one")
    stored = [find_model(model) for model in models]
    load_scoring = partial(_load_scoring, device=device, precision=precision, kept_mistakes=kept_mistakes)
    with ExitStack() as stack:
        reading = replace(options or DataOptions(), trained=stored[0].manifest.columns)
        labelled = stack.enter_context(open_evaluation_data(data, reading))
        before = labelled.notes
        for note in (*starter_notes(models[0], stored[0]), *before, *_other_columns(stored)):
            on_note(note)
        loaded = [read_model(model, load_scoring) for model in stored]
        scorings = [scoring for _, scoring, _ in loaded]
        if predictions is not None:
            for scoring in scorings:
                scoring.on_scored = stack.enter_context(_prediction_writer(predictions, scoring.labels))
        evaluations = run_evaluation(scorings, labelled, on_rows=on_rows)
        for note in labelled.notes[len(before) :]:
            on_note(note)
    return [
        Evaluated(model, evaluation, history)
        for (model, _, history), evaluation in zip(loaded, evaluations, strict=True)
    ]


def _other_columns(models: Sequence[StoredModel]) -> Iterator[str]:
    """Note the models that were trained with other text columns than the first, by which the data is read."""
    first = models[0].manifest.columns
    for model in models[1:]:
        own = model.manifest.columns
        if first and own and (first.texts, first.separator) != (own.texts, own.separator):
            yield f"{model.manifest.name} was trained with text column {own.text!r}, but is compared like the first one"


def _load_scoring(
    model: StoredModel, *, device: str, precision: str, kept_mistakes: int
) -> tuple[StoredModel, Scoring, list[dict[str, Any]]]:
    """Load a model with everything that its evaluation needs."""
    classifier = load(model.directory, device=device, precision=precision, engine="torch", verify=True)
    scoring = Scoring(
        classifier,
        training_hashes=training_hashes(model),
        baseline=Baseline.load(model.directory, layout.BASELINE, len(classifier.labels)),
        temperature=model.manifest.calibration["temperature"],
        kept_mistakes=kept_mistakes,
    )
    return model, scoring, _history(model)


def _history(stored: StoredModel) -> list[dict[str, Any]]:
    lines = (stored.directory / layout.HISTORY).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@contextmanager
def _prediction_writer(path: str | Path, labels: Sequence[str]) -> Iterator[Callable[[Sequence[str], Rows], None]]:
    """Write row, text, label, prediction, confidence and loss of each scored row, in the format of the file name."""
    check_output_name("--predictions", str(path))
    format_ = format_of(str(path))[0]
    if format_ is None:
        raise ConfigError(f"{path}: the file name does not tell the format; use .csv, .tsv, .jsonl or .parquet")
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
    """Open a file, or the test set of a split directory, to read and clean it block by block."""
    (files,) = split_paths(data, ("test",)).values()
    return LabelledReader(files, options)
