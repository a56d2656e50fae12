"""Render an inspection as one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from emoclass.data.columns.naming import FileRows, place_in
from emoclass.data.inspection.label_noise import Suspect
from emoclass.data.inspection.results import Inspection, PartInspection
from emoclass.pages.rendering import BLUE, Figure, plot, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CLASSES = 40


def render_inspection(inspection: Inspection, *, suspects: Mapping[str, Sequence[Suspect]] | None) -> str:
    """Return the page.

    Args:
        inspection: The results to show.
        suspects: Rows of each table whose label is probably wrong; ``None`` if they were not searched for.

    Raises:
        ConfigError: jinja2 or matplotlib is not installed.
    """
    return render(
        "inspection.html.j2",
        figures=lambda: [figure for part in inspection.parts for figure in _figures(part)],
        inspection=inspection,
        files={part.part: part.files for part in inspection.parts},
        line_of=_line_of,
        suspects=suspects,
        title=", ".join(part.name for part in inspection.parts),
    )


def _line_of(files: Sequence[FileRows], row: int, line: int | None) -> str:
    return place_in(files, row, line) if files else str(line or "")


def _figures(part: PartInspection) -> list[Figure]:
    shown = part.classes[:_CLASSES]
    counts = ", ".join(f"{entry.name} {entry.count}" for entry in shown)
    unit, stats = ("tokens", part.tokens) if part.tokens else ("words", part.words)
    description = f"Half of the texts have at most {stats.p50} {unit}, 95 % at most {stats.p95}."
    lengths = plot(partial(_draw_lengths, part=part))
    figures = [Figure(f"Lengths of {part.name} in {unit}", description, lengths)]
    if not shown:
        return figures
    classes = plot(partial(_draw_classes, part=part), height=0.6 + 0.3 * len(shown))
    return [Figure(f"Classes of {part.name}", counts, classes), *figures]


def _draw_classes(axes: Axes, *, part: PartInspection) -> None:
    shown = part.classes[:_CLASSES][::-1]
    positions = range(len(shown))
    axes.barh(positions, [entry.count for entry in shown], color=BLUE, height=0.7)
    axes.set_yticks(positions, [entry.name[:24] for entry in shown])
    axes.set_xlabel("rows")


def _draw_lengths(axes: Axes, *, part: PartInspection) -> None:
    stats = part.tokens or part.words
    lefts = [number * stats.bin_width for number in range(len(stats.histogram))]
    axes.bar(lefts, stats.histogram, width=0.9 * stats.bin_width, align="edge", color=BLUE)
    axes.set_xlabel("tokens" if part.tokens else "words")
    axes.set_ylabel("texts")
