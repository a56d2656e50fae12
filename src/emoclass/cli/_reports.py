"""Reports of training and evaluation as tables."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from emoclass.cli import _console as console
from emoclass.cli._progress import epoch_table
from emoclass.evaluation.metrics import Metrics
from emoclass.evaluation.report import Evaluation
from emoclass.training.run import TrainResult


def print_training(result: TrainResult) -> None:
    """Epochs, the test report, and where the model is."""
    out = console.results()
    console.print_table(out, epoch_table(list(result.history), result.best_epoch))
    if result.test is not None:
        print_evaluation(result.test)
    counts = result.parameters
    out.print(f"{counts.trainable:,} of {counts.total:,} parameters learned ({counts.share:.2%})", soft_wrap=True)
    name = result.model.manifest.name
    out.print(Text(f"model {name}: {console.clean_text(str(result.model.directory))}"), soft_wrap=True)


def print_evaluation(evaluation: Evaluation) -> None:
    """Scores, the per-class table and the confusion matrix on standard output; what qualifies them on the other."""
    out, metrics = console.results(), evaluation.metrics
    console.print_table(out, _summary(evaluation))
    console.print_table(out, _per_class(metrics))
    console.print_table(out, _confusion(metrics, normalized=False))
    console.print_table(out, _confusion(metrics, normalized=True))
    _print_qualifications(evaluation)


def _summary(evaluation: Evaluation) -> Table:
    m = evaluation.metrics
    return console.table(
        f"{evaluation.source}: {m.rows} rows, accuracy {m.accuracy:.4f}, loss {m.loss:.4f}",
        ["average over classes", "precision", "recall", "F1"],
        [
            ["macro", *_figures(m.macro_precision, m.macro_recall, m.macro_f1)],
            ["weighted", *_figures(m.weighted_precision, m.weighted_recall, m.weighted_f1)],
        ],
    )


def _per_class(metrics: Metrics) -> Table:
    return console.table(
        "Classes",
        ["class", "precision", "recall", "F1", "support", "predicted"],
        [[c.label, *_figures(c.precision, c.recall, c.f1), c.support, c.predicted] for c in metrics.per_class],
    )


def _confusion(metrics: Metrics, *, normalized: bool) -> Table:
    """Columns are numbered, for names of many classes fit no terminal."""
    if normalized:
        rows = [[f"{share:.0%}".removesuffix("%") for share in row] for row in metrics.confusion_matrix_normalized]
    else:
        rows = [[str(count) for count in row] for row in metrics.confusion_matrix]
    return console.table(
        f"Confusion matrix{', % of the true class' if normalized else ''} (rows: true, columns: predicted)",
        ["", *(str(number) for number in range(1, len(rows) + 1))],
        [
            [f"{number} {scores.label}", *("·" if cell == "0" else cell for cell in row)]
            for number, (scores, row) in enumerate(zip(metrics.per_class, rows, strict=True), start=1)
        ],
    )


def _figures(*values: float) -> list[str]:
    return [f"{value:.4f}" for value in values]


def _print_qualifications(evaluation: Evaluation) -> None:
    metrics = evaluation.metrics
    if metrics.absent_labels:
        console.warn(f"classes without a row, left out of the macro averages: {', '.join(metrics.absent_labels)}")
    never = [c.label for c in metrics.per_class if c.support and not c.predicted]
    if never:
        console.warn(f"classes that are never predicted: {', '.join(never)}")
    for label, rows in evaluation.unknown_labels.items():
        console.warn(f"{rows} rows have the label {label!r}, which the model does not know; they are left out")
    for reason, rows in evaluation.removed_rows.items():
        if rows:
            console.note(f"{rows} rows of {evaluation.source} removed: {reason.replace('_', ' ')}")
    if evaluation.truncated:
        console.note(f"{evaluation.truncated} texts are longer than the limit; their head and tail are read")
    if evaluation.seen_in_training:
        without = (
            "" if evaluation.accuracy_unseen is None else f"; accuracy without them {evaluation.accuracy_unseen:.4f}"
        )
        console.warn(f"{evaluation.seen_in_training} of these texts stood in the model's training data{without}")
