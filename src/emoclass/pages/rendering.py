"""Templates and plots; the packages for them are an extra."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emoclass import runtime

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Lines and letters get this colour, which then becomes the page's own, light or dark.
INK = "#010203"
BLUE, ORANGE = "#3b82c4", "#d9822b"


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


def render(template: str, *, figures: Callable[[], list[Figure]], **values: Any) -> str:
    """A page from a template of this package; all values are escaped.

    Args:
        template: Its file name.
        figures: Makes the plots.
        **values: What the template shows.

    Raises:
        ConfigError: The packages for it are not installed.
    """
    require_packages()
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("emoclass.pages", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(figures=figures(), **values)


def require_packages() -> None:
    """Refuses before the work rather than after it.

    Raises:
        ConfigError: The packages for pages are not installed.
    """
    runtime.require_packages("--report", "report", "jinja2", "matplotlib")


def plot(draw: Callable[[Axes], None], *, height: float = 3.2) -> str:
    """A plot as SVG in the page's own colours, ``height`` in inches."""
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
        # The page's fonts have the letters that are missing here.
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
