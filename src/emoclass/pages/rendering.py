"""Templates and plots; they need the packages of ``emoclass[report]``."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoclass import runtime

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A placeholder for the page's text colour, light or dark: plots replace it with currentColor.
INK = "#010203"
BLUE, ORANGE = "#3b82c4", "#d9822b"


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        title: Heading.
        description: The content in words, for screen readers.
        svg: The plot as SVG.
    """

    title: str
    description: str
    svg: str


def render(template: str, *, figures: Callable[[], list[Figure]], **values: Any) -> str:
    """Render a template of this package; all values are escaped.

    Args:
        template: File name of the template.
        figures: Function that draws the plots.
        **values: Variables of the template.

    Raises:
        ConfigError: jinja2 or matplotlib is not installed.
    """
    require_packages()
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("emoclass.pages", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(figures=figures(), **values)


def require_packages() -> None:
    """Check that reports can be rendered, before the work that they report on.

    Raises:
        ConfigError: jinja2 or matplotlib is not installed.
    """
    runtime.require_packages("--report", "report", "jinja2", "matplotlib")


def plot(draw: Callable[[Axes], None], *, height: float = 3.2) -> str:
    """Return a plot as SVG in the page's colours; ``height`` is in inches."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    colours = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK
    )
    settings = {
        **colours,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.parse_math": False,
    }
    with rc_context(settings), warnings.catch_warnings():  # type: ignore[arg-type]
        # Glyphs that matplotlib's font lacks are rendered with the fonts of the page.
        warnings.filterwarnings("ignore", r"Glyph .* missing|Matplotlib currently does not support")
        canvas = Canvas(figsize=(5.6, height), layout="constrained")
        axes = canvas.subplots()
        axes.grid(alpha=0.15)
        axes.set_axisbelow(True)
        draw(axes)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor")
