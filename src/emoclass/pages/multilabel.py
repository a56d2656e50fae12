"""The HTML report of an evaluation of any number of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoclass.evaluation.block_scoring import KEPT_MISTAKES
from emoclass.evaluation.multilabel_calibration import CALIBRATED_ROWS
from emoclass.evaluation.multilabel_report import MultiLabelEvaluation
from emoclass.pages.evaluation import draw_bins, plot_f1, training_figures
from emoclass.pages.rendering import BLUE, INK, Figure, plot, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Curves of the labels with the most rows, so that a page with many labels does not grow without bounds.
_SHOWN_CURVES = 60


@dataclass(frozen=True)
class Curve:
    """Precision against recall of a label, in a square of 100 by 100 whose origin is at the top left.

    Attributes:
        label: Name of the label.
        average_precision: Its average precision.
        precision: Precision at the threshold of the label.
        recall: Recall there.
        points: The curve as the points of a polyline.
        x: Position of the threshold.
        y: Its other coordinate.
    """

    label: str
    average_precision: float
    precision: float
    recall: float
    points: str
    x: float
    y: float


def render_multilabel(
    evaluation: MultiLabelEvaluation,
    *,
    model: str,
    metadata: Sequence[tuple[str, str]],
    history: Sequence[Mapping[str, Any]],
) -> str:
    """Return the page; see ``render_evaluation``.

    Raises:
        ConfigError: jinja2 or matplotlib is not installed.
    """
    metrics = evaluation.metrics
    rows = zip(metrics.per_label, evaluation.label_intervals, evaluation.calibration.errors, strict=True)
    return render(
        "multilabel.html.j2",
        evaluation=evaluation,
        metrics=metrics,
        model=model,
        metadata=metadata,
        labels=list(rows),
        curves=_curves(evaluation),
        calibrated_rows=CALIBRATED_ROWS,
        figures=lambda: [*_figures(evaluation), *training_figures(history)],
        mistakes=evaluation.mistakes[:KEPT_MISTAKES],
        wrong=int((~evaluation.rows.exact).sum()),
    )


def _curves(evaluation: MultiLabelEvaluation) -> list[Curve]:
    scores = evaluation.metrics.per_label
    most = sorted(range(len(scores)), key=lambda label: -scores[label].support)[:_SHOWN_CURVES]
    return [
        Curve(
            each.label,
            each.average_precision,
            each.precision,
            each.recall,
            " ".join(f"{100 * p.recall:.1f},{100 - 100 * p.precision:.1f}" for p in evaluation.curve(label)),
            100 * each.recall,
            100 - 100 * each.precision,
        )
        for label, each in ((label, scores[label]) for label in sorted(most))
        if each.support
    ]


def _figures(evaluation: MultiLabelEvaluation) -> list[Figure]:
    scores, bins = evaluation.metrics.per_label, evaluation.calibration.bins

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--")
        draw_bins(axes, bins, BLUE, "")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="probability", ylabel="share with the label")

    return [
        Figure("F1 per label", "Bars: " + ", ".join(f"{c.label} {c.f1:.2f}" for c in scores), plot_f1(scores)),
        Figure(
            "Reliability",
            "Share of texts with a label against its probability, of all labels; on the diagonal they are equal.",
            plot(draw),
        ),
    ]
