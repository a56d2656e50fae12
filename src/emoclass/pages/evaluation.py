"""The HTML report of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emoclass.evaluation.block_scoring import KEPT_MISTAKES
from emoclass.evaluation.calibration import ReliabilityBin
from emoclass.evaluation.metrics import ClassScores, Metrics
from emoclass.evaluation.multilabel_metrics import LabelScores
from emoclass.evaluation.report import Evaluation
from emoclass.pages.rendering import BLUE, INK, ORANGE, Figure, plot, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A matrix of more classes is no longer read, and bars of more classes are no longer told apart.
_MATRIX_CLASSES, _BARS = 60, 60
# Bins with fewer texts are drawn as points without a line.
_FEW_TEXTS = 10


def render_evaluation(
    evaluation: Evaluation,
    *,
    model: str,
    metadata: Sequence[tuple[str, str]],
    history: Sequence[Mapping[str, Any]],
) -> str:
    """Return the page.

    Args:
        evaluation: The evaluation.
        model: Name of the model.
        metadata: Names and values to show in the page header.
        history: The epochs of the training run, as in ``history.jsonl``.

    Raises:
        ConfigError: jinja2 or matplotlib is not installed.
    """
    metrics = evaluation.metrics
    return render(
        "evaluation.html.j2",
        evaluation=evaluation,
        metrics=metrics,
        model=model,
        metadata=metadata,
        confusion=_confusion(metrics) if len(metrics.per_class) <= _MATRIX_CLASSES else [],
        figures=lambda: [*_figures(evaluation), *training_figures(history)],
        mistakes=evaluation.mistakes[:KEPT_MISTAKES],
        wrong=int((~evaluation.rows.correct).sum()),
    )


def _confusion(metrics: Metrics) -> list[list[tuple[int, float]]]:
    """Return number and share of each cell of the matrix."""
    matrices = zip(metrics.confusion_matrix, metrics.confusion_matrix_normalized, strict=True)
    return [list(zip(counts, shares, strict=True)) for counts, shares in matrices]


def _figures(evaluation: Evaluation) -> list[Figure]:
    metrics, calibration = evaluation.metrics, evaluation.calibration
    points = evaluation.coverage[:: max(1, len(evaluation.coverage) // 4)]
    return [
        Figure(
            "F1 per class",
            "Bars: " + ", ".join(f"{c.label} {c.f1:.2f}" for c in metrics.per_class[:_BARS]),
            plot_f1(metrics.per_class),
        ),
        Figure(
            "Reliability",
            "Accuracy against confidence; on the diagonal they are equal. Expected calibration error "
            f"{calibration.ece_before:.3f} before and {calibration.ece:.3f} after temperature scaling.",
            plot(lambda axes: _draw_reliability(axes, evaluation)),
        ),
        Figure(
            "Coverage",
            "Accuracy of the most confident predictions, by the share of texts that they cover: "
            + ", ".join(f"{p.accuracy:.3f} at {p.coverage:.0%}" for p in points),
            plot(lambda axes: _draw_coverage(axes, evaluation)),
        ),
    ]


def training_figures(history: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return the plot of a training run, if it has epochs."""
    if not history:
        return []
    name, field = ("macro F1", "macro_f1") if "val_micro_f1" in history[0] else ("accuracy", "accuracy")
    scores = ", ".join(f"epoch {epoch['epoch']} validation {name} {epoch[f'val_{field}']:.3f}" for epoch in history)
    figure = plot(lambda axes: _draw_history(axes, history, name, field))
    return [Figure("Training", f"Loss and {name} per epoch: {scores}", figure)]


def plot_f1(scores: Sequence[ClassScores] | Sequence[LabelScores]) -> str:
    """Return a bar for the F1 of each class, of many the first, as SVG."""
    scores = scores[:_BARS]

    def draw(axes: Axes) -> None:
        positions = range(len(scores))[::-1]
        axes.barh(positions, [each.f1 for each in scores], color=BLUE, height=0.7)
        axes.set_yticks(positions, [_short(each.label) for each in scores])
        axes.set_xlim(0, 1)
        axes.set_xlabel("F1")

    return plot(draw, height=0.6 + 0.3 * len(scores))


def _draw_reliability(axes: Axes, evaluation: Evaluation) -> None:
    calibration = evaluation.calibration
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--")
    series = ((calibration.bins_before, ORANGE, "before"), (calibration.bins, BLUE, "after temperature scaling"))
    for bins, colour, name in series:
        draw_bins(axes, bins, colour, name)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    axes.legend(frameon=False, labelcolor=INK)


def draw_bins(axes: Axes, bins: Sequence[ReliabilityBin], colour: str, name: str) -> None:
    """Draw accuracy against confidence."""
    # The accuracy of a few texts is noisy: small bins get small points.
    largest = max(b.texts for b in bins)
    sizes = [12 + 60 * b.texts / largest for b in bins]
    axes.scatter([b.confidence for b in bins], [b.accuracy for b in bins], sizes, color=colour, alpha=0.8)
    enough = [b for b in bins if b.texts >= _FEW_TEXTS]
    axes.plot([b.confidence for b in enough], [b.accuracy for b in enough], color=colour, label=name)


def _draw_coverage(axes: Axes, evaluation: Evaluation) -> None:
    axes.plot([p.coverage for p in evaluation.coverage], [p.accuracy for p in evaluation.coverage], color=BLUE)
    axes.set(xlim=(0, 1), xlabel="coverage", ylabel="accuracy")


def _draw_history(axes: Axes, history: Sequence[Mapping[str, Any]], name: str, field: str) -> None:
    epochs = [epoch["epoch"] for epoch in history]
    for part, colour in (("train", ORANGE), ("val", BLUE)):
        axes.plot(epochs, [e[f"{part}_loss"] for e in history], color=colour, marker="o", label=f"{part} loss")
        if f"{part}_{field}" in history[0]:
            scores = [e[f"{part}_{field}"] for e in history]
            axes.plot(epochs, scores, color=colour, marker="s", linestyle=":", label=f"{part} {name}")
    axes.set_xticks(epochs)
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=INK)


def _short(label: str) -> str:
    return label if len(label) <= 24 else label[:23] + "…"
