"""``emoclass eval``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from emoclass.cli import _options as options
from emoclass.errors import ConfigError, EmoclassError
from emoclass.outputs import require_other, require_outputs

if TYPE_CHECKING:
    from emoclass.config import Task
    from emoclass.data.options import DataOptions
    from emoclass.evaluation.metrics import Metrics
    from emoclass.evaluation.multilabel_metrics import MultiLabelMetrics
    from emoclass.evaluation.stored import Evaluated

_MODELS_HELP = "Trained model; repeat the option to compare models."
_PREDICTIONS_HELP = "Write row, text, label, prediction, confidence and loss per row: csv, tsv, jsonl or parquet."
_FAIL_HELP = "Exit with status 1 if a score is below X, such as accuracy=0.9 or macro_f1=0.85; may be repeated."
_SORT_HELP = "Order of the classes: model, name, support, precision, recall or f1."


@options.reads_tables
def evaluate(
    data: options.Data,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR|USER/REPO",
            help=_MODELS_HELP,
            show_default="the newest",
            autocompletion=options.complete_models,
        ),
    ] = None,
    sort: Annotated[str, typer.Option(metavar="ORDER", help=_SORT_HELP)] = "model",
    errors: Annotated[int, typer.Option("--errors", metavar="N", help="Show the N worst mistakes by loss.")] = 0,
    target_accuracy: Annotated[
        float | None,
        typer.Option(metavar="A", help="Find the --min-confidence that reaches this accuracy."),
    ] = None,
    report: Annotated[
        str | None, typer.Option(metavar="FILE.html", help="Write the report as a self-contained HTML page.")
    ] = None,
    threshold: options.Threshold = None,
    predictions: Annotated[
        str | None, typer.Option("--predictions", "-o", metavar="FILE", help=_PREDICTIONS_HELP)
    ] = None,
    fail_under: Annotated[list[str] | None, typer.Option(metavar="SCORE=X", help=_FAIL_HELP)] = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    *,
    reading: DataOptions,
    details: options.Details = False,
    json_: options.Json = False,
) -> None:
    """Evaluate a trained model on labelled DATA: a file, or the test set of a split directory.

    With several models, each is compared with the first on the rows that all of them can score.
    """
    from emoclass.cli import _console as console
    from emoclass.cli._advice import stronger_settings
    from emoclass.cli._multilabel_evaluation import print_any_evaluation
    from emoclass.evaluation.block_scoring import KEPT_MISTAKES
    from emoclass.evaluation.stored import evaluate_models
    from emoclass.inference.thresholds import Thresholds
    from emoclass.pages.rendering import require_packages
    from emoclass.pages.writing import write_report
    from emoclass.store.checkpoints import find_model

    names: list[str | None] = list(model) if model else [None]
    # Found once: what a name on the hub means may change.
    models = [find_model(name) if name else None for name in names]
    thresholds, task = Thresholds.parse(threshold or ()), find_model(models[0]).manifest.task
    _check(sort, errors, target_accuracy, task)
    limits = [_parse_limit(limit, task) for limit in fail_under or ()]
    if len(names) > 1 and (report or predictions):
        raise ConfigError("--report and --predictions take a single --model; evaluate the models one by one")
    require_outputs(report, predictions)
    for option, path in (("--report", report), ("--predictions", predictions)):
        require_other(option, path, [data])
    if report:
        require_packages()
    if len(names) > 1 and not json_:
        _note_ignored({"--sort": sort != "model", "--errors": errors > 0, "--target-accuracy": bool(target_accuracy)})
    with console.progress_bar(console.status()) as progress:
        bar = progress.add_task("rows", total=None)

        def on_rows(rows: int, total: int | None) -> None:
            progress.update(bar, advance=rows, total=total)

        results = evaluate_models(
            data,
            models=models,
            device=device,
            precision=precision,
            options=reading,
            kept_mistakes=max(KEPT_MISTAKES, errors),
            thresholds=thresholds,
            predictions=predictions,
            on_rows=on_rows,
            on_note=console.note,
        )
    if len(results) > 1:
        _show_comparison(names, results, target_accuracy, errors, json_=json_)
    elif json_:
        console.print_json(_to_dict(results[0], target_accuracy, errors))
    else:
        print_any_evaluation(
            results[0].evaluation,
            sort=sort,
            target_accuracy=target_accuracy,
            errors=errors,
            details=details,
            stronger=stronger_settings(results[0].model.manifest),
        )
    if report:
        write_report(results[0], report)
    for each in results:
        _require(each.model.manifest.name, each.evaluation.metrics, limits)


def _check(sort: str, errors: int, target_accuracy: float | None, task: Task) -> None:
    from emoclass.cli._report_parts import CLASS_ORDERS

    if sort not in CLASS_ORDERS:
        raise ConfigError(f"--sort {sort} is not known; use {', '.join(CLASS_ORDERS)}")
    if errors < 0:
        raise ConfigError(f"--errors {errors} is negative")
    if target_accuracy is not None and not 0 < target_accuracy <= 1:
        raise ConfigError(f"--target-accuracy {target_accuracy} is not above 0 and at most 1")
    if target_accuracy is not None and task == "multi":
        raise ConfigError(
            "--target-accuracy is for models of one label a text; this one has a --threshold for each label"
        )


def _note_ignored(is_given: dict[str, bool]) -> None:
    """Note the given options that a comparison ignores."""
    from emoclass.cli import _console as console

    if ignored := [option for option, given in is_given.items() if given]:
        console.note(f"{' and '.join(ignored)} ignored with several models; use a single --model")


def _show_comparison(
    names: list[str | None], results: list[Evaluated], target_accuracy: float | None, errors: int, *, json_: bool
) -> None:
    from emoclass.cli import _console as console
    from emoclass.cli._multilabel_evaluation import print_any_comparison
    from emoclass.evaluation.multilabel_comparison import compare_any

    pairs = zip(names, results, strict=True)
    comparison = compare_any([(name or result.model.manifest.name, result.evaluation) for name, result in pairs])
    if json_:
        evaluations = [_to_dict(each, target_accuracy, errors) for each in results]
        console.print_json({"comparison": comparison.to_dict(), "evaluations": evaluations})
    else:
        print_any_comparison(comparison)


def _to_dict(result: Evaluated, target_accuracy: float | None, errors: int) -> dict[str, object]:
    from emoclass.evaluation.report import Evaluation

    evaluation = result.evaluation
    origin = result.model.origin
    place = {} if origin is None else origin.to_dict()
    document = {"model": result.model.manifest.name, **place, **evaluation.to_dict()}
    if target_accuracy is not None and isinstance(evaluation, Evaluation):
        point = evaluation.threshold_for(target_accuracy)
        document["target_accuracy"] = {
            "target": target_accuracy,
            "reached": None if point is None else dataclasses.asdict(point),
        }
    if errors:
        document["errors"] = [dataclasses.asdict(mistake) for mistake in evaluation.mistakes[:errors]]
    return document


def _parse_limit(text: str, task: Task) -> tuple[str, float]:
    from emoclass.evaluation import metrics, multilabel_metrics

    scores = metrics.SCORES if task == "single" else multilabel_metrics.SCORES
    name, _, value = text.partition("=")
    try:
        limit = float(value)
    except ValueError:
        limit = -1.0
    if name not in scores or not 0 <= limit <= 1:
        raise ConfigError(f"--fail-under {text!r} is not SCORE=X with X from 0 to 1; scores are {', '.join(scores)}")
    return name, limit


def _require(model: str, metrics: Metrics | MultiLabelMetrics, limits: list[tuple[str, float]]) -> None:
    below = [
        f"{name} {getattr(metrics, name):.4f} is below {limit:g}"
        for name, limit in limits
        if getattr(metrics, name) < limit
    ]
    if below:
        raise EmoclassError(f"{model}: {', '.join(below)}")
