"""Evaluations and comparisons as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from emoclass.cli import _console as console
from emoclass.cli._report_parts import (
    SHOWN_PAIRS,
    in_order,
    listed_counts,
    more_classes,
    print_rows_notes,
    score_bar,
    shown_classes,
    shown_interval,
    shown_p,
    shown_scores,
    shown_text,
    verdict,
)
from emoclass.data.columns.label_kinds import unusual_kind
from emoclass.data.columns.labels import meant
from emoclass.data.columns.naming import counted
from emoclass.evaluation.calibration import ReliabilityBin
from emoclass.evaluation.comparison import Comparison
from emoclass.evaluation.metrics import Metrics
from emoclass.evaluation.report import Evaluation

_BAR_WIDTH = 16
# What a table puts around the cells of a column, and the least of a name that says something.
_CELL_BORDER, _LEAST_NAME = 3, 4


def print_evaluation(
    evaluation: Evaluation,
    *,
    sort: str = "model",
    target_accuracy: float | None = None,
    errors: int = 0,
    details: bool = False,
    stronger: Sequence[str] = (),
) -> None:
    """Print the report to standard output, and its notes and warnings to standard error.

    Args:
        evaluation: The evaluation.
        sort: Order of the classes, one of ``CLASS_ORDERS``.
        target_accuracy: Accuracy to find a confidence threshold for.
        errors: Number of mistakes to show.
        details: Whether to print all tables, not only what fits a screen.
        stronger: Options of ``train`` that could make the model better.
    """
    out = console.results()
    if details:
        _print_details(evaluation, sort)
    else:
        _print_brief(evaluation, sort)
    if target_accuracy is not None:
        out.print(_threshold(evaluation, target_accuracy), soft_wrap=True)
    if errors:
        console.print_table(out, _mistakes(evaluation, errors))
    _print_warnings(evaluation, stronger)


def _print_brief(evaluation: Evaluation, sort: str) -> None:
    """Print what fits a screen of 24 lines with up to ten classes."""
    out, m, intervals = console.results(), evaluation.metrics, evaluation.intervals
    out.print(
        Text(
            f"{console.clean_text(evaluation.source)}: {counted(m.rows, 'row')}, accuracy {m.accuracy:.4f}"
            f" (95 %: {shown_interval(intervals['accuracy'])}), macro F1 {m.macro_f1:.4f}"
            f" ({shown_interval(intervals['macro_f1'])})",
            style="bold",
        ),
        soft_wrap=True,
    )
    if best := evaluation.best_baseline:
        gain = best.test.only_first - best.test.only_second
        scores = f"accuracy {best.accuracy:.4f}, macro F1 {best.macro_f1:.4f}"
        found = f"this model is {verdict(best.test, gain)}" if best.test.significant else verdict(best.test, gain)
        out.print(f"{best.name}: {scores}; {found}", soft_wrap=True)
    console.print_table(out, _class_bars(m, sort))
    if evaluation.most_confused:
        pairs = [f"{true} → {predicted} {count}" for true, predicted, count in evaluation.most_confused[:SHOWN_PAIRS]]
        out.print(Text(console.clean_text(f"most confused: {', '.join(pairs)}")), soft_wrap=True)
    calibration = evaluation.calibration
    more = more_classes(m.per_class)
    out.print(f"{more}expected calibration error {calibration.ece:.4f}; --details shows more", soft_wrap=True)


def _print_details(evaluation: Evaluation, sort: str) -> None:
    out, metrics = console.results(), evaluation.metrics
    console.print_table(out, _summary(evaluation))
    if evaluation.baselines:
        console.print_table(out, _baselines(evaluation))
    console.print_table(out, _per_class(metrics, sort))
    matrices = [_confusion(metrics, out.width, normalized=False), _confusion(metrics, out.width, normalized=True)]
    if all(out.measure(matrix).maximum <= out.width for matrix in matrices):
        for matrix in matrices:
            console.print_table(out, matrix)
    else:
        out.print(f"The confusion matrix of {len(metrics.per_class)} classes is too wide to print; use --json.")
    if evaluation.most_confused:
        console.print_table(out, _most_confused(evaluation))
    console.print_table(out, _by_length(evaluation))
    console.print_table(out, _calibration(evaluation))


def print_comparison(comparison: Comparison) -> None:
    """Print the scores of several models, each compared with the first."""
    rows = [
        [
            model.name,
            f"{model.accuracy:.4f}",
            shown_interval(model.intervals["accuracy"]),
            f"{model.macro_f1:.4f}",
            shown_interval(model.intervals["macro_f1"]),
            f"{model.ece:.3f}",
            "" if model.test is None else verdict(model.test, model.test.only_second - model.test.only_first),
        ]
        for model in comparison.models
    ]
    title = f"{comparison.source}: {comparison.rows} rows that all models can score"
    columns = ["model", "accuracy", "95 %", "macro F1", "95 %", "ECE", "against the first"]
    console.print_table(console.results(), console.table(title, columns, rows))


def _summary(evaluation: Evaluation) -> Table:
    m, intervals = evaluation.metrics, evaluation.intervals
    macro = [*shown_scores(m.macro_precision, m.macro_recall, m.macro_f1), shown_interval(intervals["macro_f1"])]
    weighted = [*shown_scores(m.weighted_precision, m.weighted_recall, m.weighted_f1), ""]
    title = (
        f"{evaluation.source}: {counted(m.rows, 'row')}, accuracy {m.accuracy:.4f}"
        f" (95 %: {shown_interval(intervals['accuracy'])}), loss {m.loss:.4f}"
    )
    columns = ["average over classes", "precision", "recall", "F1", "95 %"]
    return console.table(title, columns, [["macro", *macro], ["weighted", *weighted]])


def _baselines(evaluation: Evaluation) -> Table:
    rows = [
        [
            baseline.name,
            *shown_scores(baseline.accuracy, baseline.macro_f1),
            verdict(baseline.test, baseline.test.only_first - baseline.test.only_second),
        ]
        for baseline in evaluation.baselines
    ]
    rows.append(["this model", *shown_scores(evaluation.metrics.accuracy, evaluation.metrics.macro_f1), ""])
    return console.table("Baselines", ["", "accuracy", "macro F1", "this model is"], rows)


def _per_class(metrics: Metrics, sort: str) -> Table:
    return console.table(
        "Classes",
        ["class", "precision", "recall", "F1", "support", "predicted"],
        [
            [c.label, *shown_scores(c.precision, c.recall, c.f1), c.support, c.predicted]
            for c in in_order(metrics.per_class, sort)
        ],
    )


def _class_bars(metrics: Metrics, sort: str) -> Table:
    rows = [
        [
            c.label,
            score_bar(c.f1, _BAR_WIDTH),
            *shown_scores(c.f1, c.precision, c.recall),
            c.support,
        ]
        for c in shown_classes(in_order(metrics.per_class, sort))
    ]
    return console.table("", ["class", "F1", "", "precision", "recall", "rows"], rows, text_columns=2)


def _confusion(metrics: Metrics, width: int, *, normalized: bool) -> Table:
    shares = metrics.confusion_matrix_normalized
    rows = [
        [
            Text(
                "·" if not count else f"{100 * share:.0f}" if normalized else str(count),
                style=_heat(share, correct=row == column),
            )
            for column, (count, share) in enumerate(zip(counts, shares[row], strict=True))
        ]
        for row, counts in enumerate(metrics.confusion_matrix)
    ]
    labels = [scores.label for scores in metrics.per_class]
    names = _short_names(labels, width)
    # Without room for names, columns have the numbers of the classes.
    heads = names or [str(number) for number in range(1, len(labels) + 1)]
    titles = labels if names else [f"{number} {label}" for number, label in enumerate(labels, start=1)]
    return console.table(
        f"Confusion matrix{', % of the true class' if normalized else ''} (rows: true, columns: predicted)",
        ["", *heads],
        [[title, *row] for title, row in zip(titles, rows, strict=True)],
    )


def _short_names(labels: Sequence[str], width: int) -> list[str] | None:
    """Return the names of classes cut to what fits above the columns of a matrix, ``None`` if that is too little."""
    room = (width - max(cell_len(label) for label in labels) - 4) // len(labels) - _CELL_BORDER
    if room < _LEAST_NAME:
        return None
    names = [label if cell_len(label) <= room else f"{label[: room - 1]}…" for label in labels]
    return names if len(set(names)) == len(names) else None


def _heat(share: float, *, correct: bool) -> str:
    """Return the style of a cell: green on the diagonal and red elsewhere, brighter for a larger share."""
    if share < 0.005:
        return ""
    # White text stays readable from the faintest to the brightest of these colours.
    strength = min(1.0, 0.25 + share)
    red, green, blue = (0, 130, 60) if correct else (190, 40, 40)
    return f"white on rgb({round(red * strength)},{round(green * strength)},{round(blue * strength)})"


def _most_confused(evaluation: Evaluation) -> Table:
    rows = [[true, predicted, count] for true, predicted, count in evaluation.most_confused[:SHOWN_PAIRS]]
    return console.table("Most confused", ["true", "predicted", "rows"], rows, text_columns=2)


def _by_length(evaluation: Evaluation) -> Table:
    rows = [[score.name, score.rows, f"{score.accuracy:.4f}"] for score in evaluation.by_length]
    return console.table("By length", ["texts", "rows", "accuracy"], rows)


def _calibration(evaluation: Evaluation) -> Table:
    calibration = evaluation.calibration
    before = {each.lower: each for each in calibration.bins_before}
    after = {each.lower: each for each in calibration.bins}
    rows = []
    for lower, either in sorted((before | after).items()):
        cells = (_bin_cells(bins.get(lower)) for bins in (before, after))
        rows.append([f"{either.lower:.2f} to {either.upper:.2f}", *next(cells), *next(cells)])
    return console.table(
        f"Expected calibration error {calibration.ece_before:.4f} before and {calibration.ece:.4f} after temperature"
        f" scaling (temperature {calibration.temperature:.3f})",
        ["confidence", "texts before", "mean", "accuracy", "texts after", "mean", "accuracy"],
        rows,
    )


def _bin_cells(each: ReliabilityBin | None) -> list[object]:
    return ["", "", ""] if each is None else [each.texts, f"{each.confidence:.3f}", f"{each.accuracy:.3f}"]


def _threshold(evaluation: Evaluation, accuracy: float) -> str:
    point = evaluation.threshold_for(accuracy)
    if point is None:
        return f"No confidence threshold reaches accuracy {accuracy:g} on these rows."
    return (
        f"--min-confidence {point.min_confidence} reaches accuracy {point.accuracy:.4f} on these rows, with a coverage "
        f"of {point.coverage:.1%}."
    )


def _mistakes(evaluation: Evaluation, count: int) -> Table:
    rows = []
    for mistake in evaluation.mistakes[:count]:
        text = shown_text(mistake.text)
        true = f"{mistake.label} {mistake.label_probability:.3f}"
        rows.append([text, true, f"{mistake.prediction} {mistake.confidence:.3f}", mistake.row, f"{mistake.loss:.2f}"])
    return console.table("Worst mistakes", ["text", "true", "predicted", "row", "loss"], rows, text_columns=3)


def _print_warnings(evaluation: Evaluation, stronger: Sequence[str]) -> None:
    metrics, best = evaluation.metrics, evaluation.best_baseline
    if best is not None and not evaluation.beats_baseline:
        relation = "significantly worse than" if best.test.significant else "not significantly better than"
        console.warn(
            f"{relation} {best.name} (accuracy {metrics.accuracy:.4f} against {best.accuracy:.4f}, "
            f"{shown_p(best.test)}): train with {' or '.join([*stronger, 'more data'])}"
        )
    _warn_of_unknown_labels(evaluation)
    unseen = evaluation.accuracy_unseen
    print_rows_notes(evaluation, "classes", None if unseen is None else f"accuracy on the others {unseen:.4f}")


def _warn_of_unknown_labels(evaluation: Evaluation) -> None:
    unknown = evaluation.unknown_labels
    if not unknown:
        return
    classes = [scores.label for scores in evaluation.metrics.per_class]
    kind = unusual_kind({**dict.fromkeys(classes, 1), **unknown})
    if kind is not None and kind.code == "several_labels":
        known = f": {counted(sum(unknown.get(name, 0) for name in kind.names), 'cell')} with several labels"
    else:
        known = meant(list(unknown), classes)
    rows = counted(sum(unknown.values()), "row")
    label = "label" if len(unknown) == 1 else "labels"
    console.warn(f"{rows} not scored: the model does not know the {label} {listed_counts(unknown)}{known}")
