"""Writes docs/images/recipes.svg from the table "Recipes by size" in docs/experiments.md: ``make docs``."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PICTURE = DOCS / "images" / "recipes.svg"
HEADING = "## Recipes by size"
COLOURS = {"small": "#2e7d32", "best": "#3f51b5", "fast": "#ff8f00", "TF-IDF": "#9e9e9e"}

TICKS = {300: "300", 1_000: "1k", 3_000: "3k", 10_000: "10k", 30_000: "30k"}


def measurements() -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Return the number of texts and the accuracy, by data set and recipe."""
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    section = page[page.index(HEADING) :].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    header, found = rows[0], defaultdict[str, Any](lambda: defaultdict(list))
    for row in rows[2:]:
        for name in COLOURS:
            if match := re.match(r"\.\d+", row[header.index(name)]):
                found[row[0]][name].append((int(row[1].replace(",", "")), float(match[0])))
    return found


def main(picture: Path = PICTURE) -> None:
    """Draw a panel for each data set."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # The same bytes each time, and text that can be searched.
    matplotlib.rcParams.update({"svg.hashsalt": "emoclass", "svg.fonttype": "none", "font.size": 10})
    found = measurements()
    figure, panels = pyplot.subplots(1, len(found), figsize=(3.2 * len(found), 3.2), layout="constrained")
    for panel, (data, recipes) in zip(panels, found.items(), strict=True):
        for name, colour in COLOURS.items():
            texts, accuracies = zip(*recipes[name], strict=True)
            panel.plot(texts, accuracies, color=colour, marker="o", markersize=4, label=name)
        panel.set(title=data, xscale="log", xlabel="training texts")
        most = max(texts for points in recipes.values() for texts, _ in points)
        shown = {number: name for number, name in TICKS.items() if number <= most}
        panel.set_xticks(list(shown), labels=list(shown.values()))
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("test accuracy")
    panels[-1].legend(frameon=False, loc="lower right")
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
