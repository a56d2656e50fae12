"""The report as one page of HTML that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoclass.errors import ConfigError
from emoclass.evaluation.report import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MISTAKES = 500
_FEW = 10
# Lines and letters get this colour, which then becomes the page's own, light or dark.
_INK = "#010203"
_BLUE, _ORANGE = "#3b82c4", "#d9822b"


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        title: Its heading.
        description: What it shows, in words.
        svg: The plot.
    """

    title: str
    description: str
    svg: str


def render_page(evaluation: Evaluation, *, model: str, facts: Sequence[tuple[str, str]], history: Any) -> str:
    """The report of one evaluation.

    Args:
        evaluation: What to show.
        model: Name of the model.
        facts: Names and values of what else the reader should know.
        history: Epochs of the training, as in ``history.jsonl``.

    Raises:
        ConfigError: The packages for it are not installed.
    """
    try:
        import matplotlib  # noqa: F401
        from jinja2 import Environment, PackageLoader
    except ImportError as error:
        raise ConfigError(f'--report needs more packages ({error.name}): pip install "emoclass[report]"') from None
    environment = Environment(
        loader=PackageLoader("emoclass.evaluation", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    metrics = evaluation.metrics
    confusion = [
        [(count, share) for count, share in zip(counts, shares, strict=True)]
        for counts, shares in zip(metrics.confusion_matrix, metrics.confusion_matrix_normalized, strict=True)
    ]
    return environment.get_template("page.html.j2").render(
        evaluation=evaluation,
        metrics=metrics,
        model=model,
        facts=facts,
        confusion=confusion,
        figures=_figures(evaluation, history),
        mistakes=evaluation.worst_mistakes(_MISTAKES),
        wrong=int((~evaluation.rows.correct).sum()),
    )


def _figures(evaluation: Evaluation, history: Any) -> list[Figure]:
    metrics, calibration = evaluation.metrics, evaluation.calibration
    figures = [
        Figure(
            "F1 of each class",
            "Bars: " + ", ".join(f"{c.label} {c.f1:.2f}" for c in metrics.per_class),
            _plot(lambda axes: _draw_classes(axes, evaluation), height=0.6 + 0.3 * len(metrics.per_class)),
        ),
        Figure(
            "Reliability",
            f"Accuracy against confidence; on the diagonal they are equal. Calibration error "
            f"{calibration.ece_before:.3f} before and {calibration.ece:.3f} after calibration.",
            _plot(lambda axes: _draw_reliability(axes, evaluation)),
        ),
        Figure(
            "Coverage",
            "Accuracy of the answers when only the most confident ones are given: "
            + ", ".join(
                f"{p.accuracy:.3f} at {p.coverage:.0%}"
                for p in evaluation.coverage[:: max(1, len(evaluation.coverage) // 4)]
            ),
            _plot(lambda axes: _draw_coverage(axes, evaluation)),
        ),
    ]
    if history:
        figures.append(
            Figure(
                "Training",
                "Loss and accuracy of each epoch: "
                + ", ".join(f"epoch {e['epoch']} validation accuracy {e['val_accuracy']:.3f}" for e in history),
                _plot(lambda axes: _draw_history(axes, history)),
            )
        )
    return figures


def _draw_classes(axes: Axes, evaluation: Evaluation) -> None:
    scores = evaluation.metrics.per_class[::-1]
    positions = range(len(scores))
    axes.barh(positions, [c.f1 for c in scores], color=_BLUE, height=0.7)
    axes.set_yticks(positions, [_short(c.label) for c in scores])
    axes.set_xlim(0, 1)
    axes.set_xlabel("F1")


def _draw_reliability(axes: Axes, evaluation: Evaluation) -> None:
    calibration = evaluation.calibration
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle="--")
    series = ((calibration.bins_before, _ORANGE, "before"), (calibration.bins, _BLUE, "after calibration"))
    for bins, colour, name in series:
        # A few texts say little: they are drawn small, and no line leads to them.
        most = max(b.texts for b in bins)
        sizes = [12 + 60 * b.texts / most for b in bins]
        axes.scatter([b.confidence for b in bins], [b.accuracy for b in bins], sizes, color=colour, alpha=0.8)
        enough = [b for b in bins if b.texts >= _FEW]
        axes.plot([b.confidence for b in enough], [b.accuracy for b in enough], color=colour, label=name)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    axes.legend(frameon=False, labelcolor=_INK)


def _draw_coverage(axes: Axes, evaluation: Evaluation) -> None:
    axes.plot([p.coverage for p in evaluation.coverage], [p.accuracy for p in evaluation.coverage], color=_BLUE)
    axes.set(xlim=(0, 1), xlabel="share of texts answered", ylabel="accuracy")


def _draw_history(axes: Axes, history: Any) -> None:
    epochs = [epoch["epoch"] for epoch in history]
    for name, colour in (("train", _ORANGE), ("val", _BLUE)):
        axes.plot(epochs, [e[f"{name}_loss"] for e in history], color=colour, marker="o", label=f"{name} loss")
        accuracies = [e[f"{name}_accuracy"] for e in history]
        axes.plot(epochs, accuracies, color=colour, marker="s", linestyle=":", label=f"{name} accuracy")
    axes.set_xticks(epochs)
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=_INK)


def _short(label: str) -> str:
    return label if len(label) <= 24 else label[:23] + "…"


def _plot(draw: Callable[[Axes], None], *, height: float = 3.2) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    colours = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), _INK
    )
    settings = {
        **colours,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,
    }
    with rc_context(settings):  # type: ignore[arg-type]
        canvas = Canvas(figsize=(5.6, height), layout="constrained")
        axes = canvas.subplots()
        axes.grid(alpha=0.15)
        axes.set_axisbelow(True)
        draw(axes)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")
