"""Evaluation of saved models on labelled data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from emoclass.config import Task
from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.options import DataOptions
from emoclass.data.tables.formats import check_output_name, format_of
from emoclass.data.tables.frames import TableSource
from emoclass.data.tables.split_directories import split_paths
from emoclass.data.tables.writing import record_writer
from emoclass.errors import ConfigError
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.block_scoring import KEPT_MISTAKES
from emoclass.evaluation.multilabel_baseline import MultiLabelBaseline
from emoclass.evaluation.multilabel_report import AnyEvaluation, evaluate_multilabel
from emoclass.evaluation.multilabel_scoring import MultiLabelScoring
from emoclass.evaluation.report import evaluate as run_evaluation
from emoclass.evaluation.scoring import Scoring
from emoclass.files import output_file
from emoclass.inference.classifiers import MultiLabelClassifier
from emoclass.inference.predictor import load_model
from emoclass.inference.thresholds import Thresholds
from emoclass.store import layout
from emoclass.store.checkpoints import find_model, model_notes, read_model
from emoclass.store.reading import StoredModel, training_hashes

AnyScoring = Scoring | MultiLabelScoring


@dataclass(frozen=True)
class Evaluated:
    """A saved model and its evaluation.

    Attributes:
        model: The saved model.
        evaluation: Its evaluation.
        history: The epochs of its training run, as in ``history.jsonl``.
    """

    model: StoredModel
    evaluation: AnyEvaluation
    history: list[dict[str, Any]]


def evaluate_models(
    data: TableSource,
    *,
    models: Sequence[str | Path | StoredModel | None],
    device: str = "auto",
    precision: str = "auto",
    options: DataOptions | None = None,
    kept_mistakes: int = KEPT_MISTAKES,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  # frozen
    predictions: str | Path | None = None,
    on_rows: Callable[[int, int | None], None] = lambda rows, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[Evaluated]:
    """Evaluate several saved models on the same data, which is read once; see ``emoclass.api.evaluate``.

    Raises:
        ConfigError: ``predictions`` is set with several models, some predict one label a text and others any number,
            or ``thresholds`` do not go with them.
    """
    if predictions is not None and len(models) > 1:
        raise ConfigError("predictions can be written for a single model only; evaluate the models one by one")
    stored = [find_model(model) for model in models]
    task = _common_task(stored, options)
    for each in stored:
        thresholds.of(each.manifest.labels, task)
    load_scoring = partial(
        _load_scoring, device=device, precision=precision, kept_mistakes=kept_mistakes, thresholds=thresholds
    )
    with ExitStack() as stack:
        options = options or DataOptions()
        reading = replace(options, trained=stored[0].manifest.columns, task=options.task or task)
        labelled = stack.enter_context(open_evaluation_data(data, reading))
        before = labelled.notes
        named = zip(models, stored, strict=True)
        about = (note for name, model in named for note in model_notes(name, model))
        for note in (*about, *before, *_other_columns(stored)):
            on_note(note)
        loaded = [read_model(model, load_scoring) for model in stored]
        scorings = [scoring for _, scoring, _ in loaded]
        if predictions is not None:
            for scoring in scorings:
                scoring.on_scored = stack.enter_context(_prediction_writer(predictions, scoring))
        evaluations = _evaluate(scorings, labelled, on_rows)
        for note in labelled.notes[len(before) :]:
            on_note(note)
    return [
        Evaluated(model, evaluation, history)
        for (model, _, history), evaluation in zip(loaded, evaluations, strict=True)
    ]


def _common_task(models: Sequence[StoredModel], options: DataOptions | None) -> Task:
    """Return whether the models predict one label a text or any number."""
    first, *others = models
    task = first.manifest.task
    if other := next((each for each in others if each.manifest.task != task), None):
        several, one = (first, other) if task == "multi" else (other, first)
        raise ConfigError(
            f"{several.manifest.name} predicts any number of labels a text and {one.manifest.name} one: "
            "evaluate them one by one"
        )
    if options is not None and options.task == "multi" and task == "single":
        raise ConfigError(f"--task multi: {first.manifest.name} predicts one label a text; leave it out")
    return task


def _other_columns(models: Sequence[StoredModel]) -> Iterator[str]:
    """Note the models that were trained with other text columns than the first, by which the data is read."""
    first = models[0].manifest.columns
    for model in models[1:]:
        own = model.manifest.columns
        if first and own and (first.texts, first.separator) != (own.texts, own.separator):
            yield f"{model.manifest.name} was trained with text column {own.text!r}, but is compared like the first one"


def _load_scoring(
    model: StoredModel, *, device: str, precision: str, kept_mistakes: int, thresholds: Thresholds
) -> tuple[StoredModel, AnyScoring, list[dict[str, Any]]]:
    """Load a model with everything that its evaluation needs."""
    loaded = load_model(model, device=device, precision=precision, engine="torch", verify=True)
    classifier = loaded.at(thresholds)
    common: dict[str, Any] = {"training_hashes": training_hashes(model), "kept_mistakes": kept_mistakes}
    stem, count = layout.BASELINE, len(classifier.labels)
    scoring: AnyScoring
    if isinstance(classifier, MultiLabelClassifier):
        baseline = MultiLabelBaseline.load(model.directory, stem, count)
        fitted = model.manifest.calibration
        calibration = (np.array(fitted["slopes"]), np.array(fitted["offsets"]))
        scoring = MultiLabelScoring(classifier, baseline=baseline, calibration=calibration, **common)
    else:
        scoring = Scoring(
            classifier,
            baseline=Baseline.load(model.directory, stem, count),
            temperature=model.manifest.calibration["temperature"],
            **common,
        )
    return model, scoring, _history(model)


def _evaluate(
    scorings: Sequence[AnyScoring], data: LabelledReader, on_rows: Callable[[int, int | None], None]
) -> Sequence[AnyEvaluation]:
    if isinstance(scorings[0], MultiLabelScoring):
        return evaluate_multilabel(cast("Sequence[MultiLabelScoring]", scorings), data, on_rows=on_rows)
    return run_evaluation(cast("Sequence[Scoring]", scorings), data, on_rows=on_rows)


def _history(stored: StoredModel) -> list[dict[str, Any]]:
    lines = (stored.directory / layout.HISTORY).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@contextmanager
def _prediction_writer(path: str | Path, scoring: AnyScoring) -> Iterator[Callable[[Sequence[str], Any], None]]:
    """Write the columns of each scored row, in the format of the file name."""
    check_output_name("--predictions", str(path))
    format_ = format_of(str(path))[0]
    if format_ is None:
        raise ConfigError(f"{path}: the file name does not tell the format; use .csv, .tsv, .jsonl or .parquet")
    with output_file(path) as file:
        writer = record_writer(file, format_)

        def write(texts: Sequence[str], rows: Any) -> None:
            columns = scoring.columns(texts, rows, lists=format_ == "jsonl")
            writer.write(list(columns), zip(*columns.values(), strict=True))

        try:
            yield write
        finally:
            writer.close()


def open_evaluation_data(data: TableSource, options: DataOptions) -> LabelledReader:
    """Open a table, or the test set of a split directory, to read and clean it block by block."""
    (files,) = split_paths(data, ("test",)).values()
    return LabelledReader(files, options)
