"""Reports of training and evaluation as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from emoclass.cli import _console as console
from emoclass.cli._progress import epoch_table, trial_table
from emoclass.config import RECIPES
from emoclass.evaluation.comparison import Comparison
from emoclass.evaluation.metrics import ClassScores, Metrics
from emoclass.evaluation.report import Evaluation
from emoclass.training.events import TrialDone
from emoclass.training.train import TrainResult
from emoclass.training.tuning import Tuning

CLASS_ORDERS = ("model", "name", "support", "precision", "recall", "f1")
_SHOWN_PAIRS = 5
_SHOWN_TEXT = 200


def print_training(result: TrainResult) -> None:
    """Epochs, the test report, and where the model is."""
    out = console.results()
    if result.tuning is not None:
        _print_tuning(result.tuning)
    console.print_table(out, epoch_table(list(result.history), result.best_epoch))
    if result.averaged is not None:
        mean, kept = result.averaged, result.history[result.best_epoch - 1]
        out.print(
            f"weights of {mean.seeds} trainings averaged: val accuracy {mean.val_accuracy:.4f}, macro F1 "
            f"{mean.val_macro_f1:.4f}; of the first alone {kept.val_accuracy:.4f} and {kept.val_macro_f1:.4f}",
            soft_wrap=True,
        )
    if result.test is not None:
        print_evaluation(result.test)
    if result.still_learning:
        console.note(f"the model was still learning when training ended; try {_ways_to_learn_more(result)}")
    counts = result.parameters
    out.print(f"{counts.trainable:,} of {counts.total:,} parameters learned ({counts.share:.2%})", soft_wrap=True)
    name = result.model.manifest.name
    out.print(Text(f"model {name}: {console.clean_text(str(result.model.directory))}"), soft_wrap=True)


def _ways_to_learn_more(result: TrainResult) -> str:
    recipe = result.model.manifest.recipe
    ways = ["more --epochs"]
    if recipe.unfreeze not in ("encoder", "all"):
        is_slow = recipe.learning_rate < RECIPES["fast"]["learning_rate"]
        ways.insert(0, "--recipe fast or best" if is_slow else "--recipe best")
    if result.tuning is None:
        ways.append("--tune 20")
    return ", ".join(ways[:-1]) + f" or {ways[-1]}" if ways[1:] else ways[0]


def print_evaluation(
    evaluation: Evaluation, *, sort: str = "model", target_accuracy: float | None = None, errors: int = 0
) -> None:
    """The whole report on standard output; what qualifies it on the other.

    Args:
        evaluation: What to show.
        sort: Order of the classes, one of ``CLASS_ORDERS``.
        target_accuracy: Accuracy for which the least confidence is named.
        errors: How many of the worst mistakes to show.
    """
    out, metrics = console.results(), evaluation.metrics
    console.print_table(out, _summary(evaluation))
    if evaluation.baselines:
        console.print_table(out, _baselines(evaluation))
    console.print_table(out, _per_class(metrics, sort))
    matrices = [_confusion(metrics, normalized=False), _confusion(metrics, normalized=True)]
    if all(out.measure(matrix).maximum <= out.width for matrix in matrices):
        for matrix in matrices:
            console.print_table(out, matrix)
    else:
        out.print(f"The confusion matrix of {len(metrics.per_class)} classes does not fit here; --json has it.")
    if evaluation.most_confused:
        console.print_table(out, _most_confused(evaluation))
    console.print_table(out, _by_length(evaluation))
    console.print_table(out, _calibration(evaluation))
    if target_accuracy is not None:
        out.print(_target(evaluation, target_accuracy), soft_wrap=True)
    if errors:
        console.print_table(out, _errors(evaluation, errors))
    _print_qualifications(evaluation)


def _print_tuning(tuning: Tuning) -> None:
    out, search, gain = console.results(), tuning.search, tuning.gain
    done = [
        (t.settings, TrialDone(t.number, t.score, t.best_epoch, t.seconds, t.state + "*" * (t in search.frontier)))
        for t in search.trials
    ]
    console.print_table(out, trial_table(done, search.best.number, "Trials (*: none is both better and faster)"))
    if search.importance:
        rows = [[name.replace("_", " "), f"{share:.0%}"] for name, share in search.importance.items()]
        console.print_table(out, console.table("What made the difference", ["setting", "importance"], rows))
    verdict = "beyond chance" if gain.significant else "not beyond chance"
    out.print(
        f"{'test' if tuning.part == 'test' else 'validation'} {gain.metric.replace('macro_f1', 'macro F1')}: "
        f"{gain.first:.4f} with the first settings, {gain.second:.4f} with the best; "
        f"gain {gain.second - gain.first:+.4f} "
        f"(95 %: {gain.interval.lower:+.4f} to {gain.interval.upper:+.4f}), {verdict}",
        soft_wrap=True,
    )
    if tuning.part == "val":
        console.note("there is no test part: the best settings were chosen on the same rows; the gain is optimistic")


def print_comparison(comparison: Comparison) -> None:
    """Models side by side, and each against the first."""
    out = console.results()
    table = console.table(
        f"{comparison.source}: {comparison.rows} rows that all models can score",
        ["model", "accuracy", "95 %", "macro F1", "95 %", "ECE", "against the first"],
        [
            [
                each.name,
                f"{each.accuracy:.4f}",
                f"{each.intervals['accuracy'].lower:.3f}–{each.intervals['accuracy'].upper:.3f}",
                f"{each.macro_f1:.4f}",
                f"{each.intervals['macro_f1'].lower:.3f}–{each.intervals['macro_f1'].upper:.3f}",
                f"{each.ece:.3f}",
                "" if each.test is None else _verdict(each.test.p_value, each.test.only_second - each.test.only_first),
            ]
            for each in comparison.models
        ],
    )
    console.print_table(out, table)


def _verdict(p_value: float, gain: int) -> str:
    if p_value >= 0.05:
        return f"no clear difference (p = {p_value:.2f})"
    return f"{'better' if gain > 0 else 'worse'} (p {_p(p_value)})"


def _p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def _summary(evaluation: Evaluation) -> Table:
    m, intervals = evaluation.metrics, evaluation.intervals
    low, high = intervals["accuracy"].lower, intervals["accuracy"].upper
    macro = intervals["macro_f1"]
    return console.table(
        f"{evaluation.source}: {m.rows} {'row' if m.rows == 1 else 'rows'}, accuracy {m.accuracy:.4f}"
        f" (95 %: {low:.3f}–{high:.3f}), loss {m.loss:.4f}",
        ["average over classes", "precision", "recall", "F1", "95 %"],
        [
            [
                "macro",
                *_figures(m.macro_precision, m.macro_recall, m.macro_f1),
                f"{macro.lower:.3f}–{macro.upper:.3f}",
            ],
            ["weighted", *_figures(m.weighted_precision, m.weighted_recall, m.weighted_f1), ""],
        ],
    )


def _baselines(evaluation: Evaluation) -> Table:
    rows = [
        [
            each.name,
            *_figures(each.accuracy, each.macro_f1),
            _verdict(each.test.p_value, each.test.only_first - each.test.only_second),
        ]
        for each in evaluation.baselines
    ]
    metrics = evaluation.metrics
    rows.append(["this model", *_figures(metrics.accuracy, metrics.macro_f1), ""])
    return console.table("Against simpler classifiers", ["", "accuracy", "macro F1", "this model is"], rows)


def _per_class(metrics: Metrics, sort: str) -> Table:
    return console.table(
        "Classes",
        ["class", "precision", "recall", "F1", "support", "predicted"],
        [[c.label, *_figures(c.precision, c.recall, c.f1), c.support, c.predicted] for c in _sorted(metrics, sort)],
    )


def _sorted(metrics: Metrics, sort: str) -> Sequence[ClassScores]:
    if sort == "model":
        return metrics.per_class
    if sort == "name":
        return sorted(metrics.per_class, key=lambda scores: scores.label)
    return sorted(metrics.per_class, key=lambda scores: -getattr(scores, sort))


def _confusion(metrics: Metrics, *, normalized: bool) -> Table:
    """Columns are numbered, for names of many classes fit no terminal; the darker a cell, the larger its share."""
    shares = metrics.confusion_matrix_normalized
    rows = [
        [
            Text(
                "·" if not count else f"{100 * share:.0f}" if normalized else str(count),
                style=_heat(share, right=row == column),
            )
            for column, (count, share) in enumerate(zip(counts, shares[row], strict=True))
        ]
        for row, counts in enumerate(metrics.confusion_matrix)
    ]
    return console.table(
        f"Confusion matrix{', % of the true class' if normalized else ''} (rows: true, columns: predicted)",
        ["", *(str(number) for number in range(1, len(rows) + 1))],
        [
            [f"{number} {scores.label}", *row]
            for number, (scores, row) in enumerate(zip(metrics.per_class, rows, strict=True), start=1)
        ],
    )


def _heat(share: float, *, right: bool) -> str:
    if share < 0.005:
        return ""
    # From the terminal's dark ground to green on the diagonal and red beside it; the text stays readable on both.
    strength = min(1.0, 0.25 + share)
    red, green, blue = (0, 130, 60) if right else (190, 40, 40)
    return f"white on rgb({round(red * strength)},{round(green * strength)},{round(blue * strength)})"


def _most_confused(evaluation: Evaluation) -> Table:
    pairs = evaluation.most_confused[:_SHOWN_PAIRS]
    rows = [[true, predicted, count] for true, predicted, count in pairs]
    return console.table("Most confused", ["true", "predicted", "rows"], rows, text_columns=2)


def _by_length(evaluation: Evaluation) -> Table:
    rows = [[each.name, each.rows, f"{each.accuracy:.4f}"] for each in evaluation.by_length]
    return console.table("By length", ["texts", "rows", "accuracy"], rows)


def _calibration(evaluation: Evaluation) -> Table:
    calibration = evaluation.calibration
    before = {each.lower: each for each in calibration.bins_before}
    after = {each.lower: each for each in calibration.bins}
    rows = []
    for lower in sorted(before.keys() | after.keys()):
        each = after.get(lower) or before[lower]
        row: list[object] = [f"{each.lower:.2f} to {each.upper:.2f}"]
        for bins in (before, after):
            found = bins.get(lower)
            row += ["", "", ""] if found is None else [found.texts, f"{found.confidence:.3f}", f"{found.accuracy:.3f}"]
        rows.append(row)
    return console.table(
        f"Confidence and accuracy: calibration error {calibration.ece_before:.4f} before, {calibration.ece:.4f} after"
        f" dividing by temperature {calibration.temperature:.3f}",
        ["confidence", "texts before", "mean", "right", "texts after", "mean", "right"],
        rows,
    )


def _target(evaluation: Evaluation, accuracy: float) -> str:
    point = evaluation.threshold_for(accuracy)
    if point is None:
        return f"No confidence reaches accuracy {accuracy:g} on these rows."
    return (
        f"--min-confidence {point.min_confidence} reaches accuracy {point.accuracy:.4f} on these rows and answers "
        f"{point.coverage:.1%} of them."
    )


def _errors(evaluation: Evaluation, count: int) -> Table:
    rows = []
    for mistake in evaluation.mistakes[:count]:
        text = mistake.text if len(mistake.text) <= _SHOWN_TEXT else mistake.text[: _SHOWN_TEXT - 1] + "…"
        true = f"{mistake.label} {mistake.label_probability:.3f}"
        rows.append([text, true, f"{mistake.prediction} {mistake.confidence:.3f}", mistake.row, f"{mistake.loss:.2f}"])
    return console.table("Worst mistakes", ["text", "true", "predicted", "row", "loss"], rows, text_columns=3)


def _figures(*values: float) -> list[str]:
    return [f"{value:.4f}" for value in values]


def _print_qualifications(evaluation: Evaluation) -> None:
    metrics = evaluation.metrics
    if not evaluation.beats_baseline:
        best = max(evaluation.baselines, key=lambda each: each.accuracy)
        console.warn(
            f"not better than {best.name} ({metrics.accuracy:.4f} against {best.accuracy:.4f}, p"
            f" {_p(best.test.p_value)}): train with --recipe fast, or best, which takes longer, or on more data"
        )
    if metrics.absent_labels:
        console.warn(f"classes without a row, left out of the macro averages: {', '.join(metrics.absent_labels)}")
    if evaluation.never_predicted:
        console.warn(f"classes that are never predicted: {', '.join(evaluation.never_predicted)}")
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
