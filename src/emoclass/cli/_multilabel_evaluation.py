"""Evaluations and comparisons of any number of labels as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from emoclass.cli import _console as console
from emoclass.cli._evaluation import print_comparison, print_evaluation
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
from emoclass.data.columns.labels import meant
from emoclass.data.columns.naming import counted
from emoclass.evaluation.comparison import Comparison
from emoclass.evaluation.multilabel_calibration import CALIBRATED_ROWS
from emoclass.evaluation.multilabel_comparison import MultiLabelComparison
from emoclass.evaluation.multilabel_report import (
    AnyEvaluation,
    LabelBaselineResult,
    MultiLabelEvaluation,
)
from emoclass.evaluation.report import Evaluation

_BAR_WIDTH = 8
_SCORES = {"micro_f1": "micro F1", "macro_f1": "macro F1"}


def print_any_evaluation(
    evaluation: AnyEvaluation,
    *,
    sort: str = "model",
    target_accuracy: float | None = None,
    errors: int = 0,
    details: bool = False,
    stronger: Sequence[str] = (),
) -> None:
    """Print the report of either kind of model; see ``print_evaluation``."""
    if isinstance(evaluation, Evaluation):
        print_evaluation(
            evaluation, sort=sort, target_accuracy=target_accuracy, errors=errors, details=details, stronger=stronger
        )
        return
    if details:
        _print_details(evaluation, sort)
    else:
        _print_brief(evaluation, sort)
    if errors:
        console.print_table(console.results(), _mistakes(evaluation, errors))
    _print_warnings(evaluation, stronger)


def print_any_comparison(comparison: Comparison | MultiLabelComparison) -> None:
    """Print the scores of several models, each compared with the first."""
    if isinstance(comparison, Comparison):
        print_comparison(comparison)
        return
    first = comparison.models[0]
    rows = [
        [
            model.name,
            f"{model.micro_f1:.4f}",
            shown_interval(model.intervals["micro_f1"]),
            f"{model.macro_f1:.4f}",
            shown_interval(model.intervals["macro_f1"]),
            "" if model.tests is None else verdict(model.tests["macro_f1"], model.macro_f1 - first.macro_f1),
        ]
        for model in comparison.models
    ]
    labels = counted(len(comparison.labels), "label")
    title = f"{comparison.source}: {comparison.rows} rows, {labels} that all models know"
    columns = ["model", "micro F1", "95 %", "macro F1", "95 %", "macro F1 against the first"]
    console.print_table(console.results(), console.table(title, columns, rows))


def _print_brief(evaluation: MultiLabelEvaluation, sort: str) -> None:
    """Print a line for each label, and the scores of all."""
    out, m, intervals = console.results(), evaluation.metrics, evaluation.intervals
    out.print(
        Text(
            f"{console.clean_text(evaluation.source)}: {counted(m.rows, 'row')}, micro F1 {m.micro_f1:.4f}"
            f" (95 %: {shown_interval(intervals['micro_f1'])}), macro F1 {m.macro_f1:.4f}"
            f" ({shown_interval(intervals['macro_f1'])}), all labels right {m.subset_accuracy:.4f}",
            style="bold",
        ),
        soft_wrap=True,
    )
    if best := evaluation.best_baseline:
        scores = f"micro F1 {best.micro_f1:.4f}, macro F1 {best.macro_f1:.4f}"
        out.print(f"{best.name}: {scores}; this model: {_verdicts(evaluation, best)}", soft_wrap=True)
    console.print_table(out, _label_bars(evaluation, sort))
    if evaluation.most_confused:
        pairs = [f"{missed} → {wrong} {count}" for missed, wrong, count in evaluation.most_confused[:SHOWN_PAIRS]]
        out.print(Text(console.clean_text(f"missed → predicted: {', '.join(pairs)}")), soft_wrap=True)
    more = more_classes(m.per_label)
    out.print(f"{more}{_calibration_line(evaluation)}; --details shows more", soft_wrap=True)


def _print_details(evaluation: MultiLabelEvaluation, sort: str) -> None:
    out = console.results()
    m, intervals = evaluation.metrics, evaluation.intervals
    console.print_table(out, _averages(evaluation))
    out.print(
        f"all labels right (subset accuracy) {m.subset_accuracy:.4f} (95 %:"
        f" {shown_interval(intervals['subset_accuracy'])}), Hamming loss {m.hamming_loss:.4f}, label ranking average"
        f" precision {m.lrap:.4f}, loss {m.loss:.4f}",
        soft_wrap=True,
    )
    if evaluation.baselines:
        console.print_table(out, _baselines(evaluation))
    console.print_table(out, _per_label(evaluation, sort))
    console.print_table(out, _probabilities(evaluation, sort))
    if evaluation.most_confused:
        rows = [list(pair) for pair in evaluation.most_confused[:SHOWN_PAIRS]]
        console.print_table(out, console.table("Most confused", ["missed", "predicted", "rows"], rows, text_columns=2))
    lengths = [
        [each.name, each.rows, *shown_scores(each.micro_f1, each.subset_accuracy)] for each in evaluation.by_length
    ]
    console.print_table(out, console.table("By length", ["texts", "rows", "micro F1", "all labels right"], lengths))
    console.print_table(out, _reliability(evaluation))


def _verdicts(evaluation: MultiLabelEvaluation, best: LabelBaselineResult) -> str:
    gains = {name: getattr(evaluation.metrics, name) - getattr(best, name) for name in _SCORES}
    return ", ".join(f"{shown} {verdict(best.tests[name], gains[name])}" for name, shown in _SCORES.items())


def _calibration_line(evaluation: MultiLabelEvaluation) -> str:
    calibration = evaluation.calibration
    if calibration.mean is None or calibration.mean_before is None:
        return f"no label has {CALIBRATED_ROWS} rows, to measure its calibration error"
    labels = counted(calibration.labels, "label")
    return (
        f"mean calibration error {calibration.mean:.4f}, {calibration.mean_before:.4f} before Platt scaling"
        f" ({labels} with {CALIBRATED_ROWS} rows or more)"
    )


def _label_bars(evaluation: MultiLabelEvaluation, sort: str) -> Table:
    rows = [
        [
            each.label,
            score_bar(each.f1, _BAR_WIDTH),
            *shown_scores(each.f1, each.precision, each.recall),
            f"{each.threshold:.3f}",
            each.support,
        ]
        for each in shown_classes(in_order(evaluation.metrics.per_label, sort))
    ]
    columns = ["label", "F1", "", "precision", "recall", "threshold", "rows"]
    return console.table("", columns, rows, text_columns=2)


def _averages(evaluation: MultiLabelEvaluation) -> Table:
    m, intervals = evaluation.metrics, evaluation.intervals
    micro = [*shown_scores(m.micro_precision, m.micro_recall, m.micro_f1), shown_interval(intervals["micro_f1"])]
    macro = [*shown_scores(m.macro_precision, m.macro_recall, m.macro_f1), shown_interval(intervals["macro_f1"])]
    rows = [
        ["micro", *micro],
        ["macro", *macro],
        ["weighted", "", "", f"{m.weighted_f1:.4f}", ""],
        ["samples", "", "", f"{m.samples_f1:.4f}", ""],
    ]
    title = f"{evaluation.source}: {counted(m.rows, 'row')}"
    return console.table(title, ["average", "precision", "recall", "F1", "95 %"], rows)


def _baselines(evaluation: MultiLabelEvaluation) -> Table:
    rows = [
        [
            each.name,
            f"{each.subset_accuracy:.4f}",
            f"{each.micro_f1:.4f}",
            shown_p(each.tests["micro_f1"]).removeprefix("p ").removeprefix("= "),
            f"{each.macro_f1:.4f}",
            shown_p(each.tests["macro_f1"]).removeprefix("p ").removeprefix("= "),
        ]
        for each in evaluation.baselines
    ]
    m = evaluation.metrics
    rows.append(["this model", f"{m.subset_accuracy:.4f}", f"{m.micro_f1:.4f}", "", f"{m.macro_f1:.4f}", ""])
    return console.table("Baselines", ["", "all right", "micro F1", "p", "macro F1", "p"], rows)


def _per_label(evaluation: MultiLabelEvaluation, sort: str) -> Table:
    intervals = dict(zip(evaluation.labels, evaluation.label_intervals, strict=True))
    rows = []
    for each in in_order(evaluation.metrics.per_label, sort):
        interval = intervals[each.label]
        scores = [f"{value:.3f}" for value in (each.precision, each.recall, each.f1)]
        rows.append(
            [each.label, *scores, "" if interval is None else shown_interval(interval), each.support, each.predicted]
        )
    columns = ["label", "precision", "recall", "F1", "95 %", "rows", "predicted"]
    return console.table("Labels", columns, rows)


def _probabilities(evaluation: MultiLabelEvaluation, sort: str) -> Table:
    calibration = evaluation.calibration
    pairs = zip(calibration.errors, calibration.errors_before, strict=True)
    errors = dict(zip(evaluation.labels, pairs, strict=True))
    rows = [
        [each.label, *shown_scores(each.threshold, each.average_precision, *errors[each.label])]
        for each in in_order(evaluation.metrics.per_label, sort)
    ]
    columns = ["label", "threshold", "average precision", "calibration error", "before"]
    return console.table(f"Probabilities: {_calibration_line(evaluation)}", columns, rows)


def _reliability(evaluation: MultiLabelEvaluation) -> Table:
    rows = [
        [f"{each.lower:.2f} to {each.upper:.2f}", each.texts, f"{each.confidence:.3f}", f"{each.accuracy:.3f}"]
        for each in evaluation.calibration.bins
    ]
    return console.table(
        "Probabilities of all labels", ["probability", "texts and labels", "mean", "share with the label"], rows
    )


def _mistakes(evaluation: MultiLabelEvaluation, count: int) -> Table:
    rows = []
    for mistake in evaluation.mistakes[:count]:
        true, predicted = (
            ", ".join(f"{label} {mistake.probabilities[label]:.3f}" for label in labels)
            for labels in (mistake.labels, mistake.predictions)
        )
        rows.append([shown_text(mistake.text), true, predicted, mistake.row, f"{mistake.loss:.2f}"])
    return console.table("Worst mistakes", ["text", "true", "predicted", "row", "loss"], rows, text_columns=3)


def _print_warnings(evaluation: MultiLabelEvaluation, stronger: Sequence[str]) -> None:
    best, unknown = evaluation.best_baseline, evaluation.unknown_labels
    if best is not None and not evaluation.beats_baseline:
        test = best.tests["macro_f1"]
        relation = "significantly worse than" if test.significant else "not significantly better than"
        console.warn(
            f"{relation} {best.name} (macro F1 {evaluation.metrics.macro_f1:.4f} against {best.macro_f1:.4f}, "
            f"{shown_p(test)}): train with {' or '.join([*stronger, 'more data'])}"
        )
    if unknown:
        rows, label = counted(evaluation.unknown_rows, "row"), "label" if len(unknown) == 1 else "labels"
        console.warn(
            f"{rows} scored without some labels: the model does not know the {label} "
            f"{listed_counts(unknown)}{meant(list(unknown), evaluation.labels)}"
        )
    unseen = evaluation.micro_f1_unseen
    print_rows_notes(evaluation, "labels", None if unseen is None else f"micro F1 on the others {unseen:.4f}")
