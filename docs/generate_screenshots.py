"""Writes screenshots of the HTML pages to docs/images: ``python docs/generate_screenshots.py``; needs Chromium.

The pages are those of a small model and its data, the sentences in examples/emotions.csv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
TABLE = Path(__file__).parents[1] / "examples" / "emotions.csv"
# Width and height of a window, in pixels.
WINDOW = (1000, 1150)


def main() -> None:
    """Make the pages and photograph the top of each."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("docs/generate_screenshots.py needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / TABLE.name).write_bytes(TABLE.read_bytes())
        for command in (
            f"split {TABLE.name} --output-dir parts",
            "train parts --base-model minilm --recipe fast --name emotions",
            "eval parts --report evaluation.html",
            f"inspect-data {TABLE.name} --report inspection.html",
        ):
            words = [sys.executable, "-m", "emoclass", *command.split(), "--quiet"]
            environment = {**os.environ, "EMOCLASS_HOME": "home"}
            subprocess.run(words, cwd=home, env=environment, check=True, stdout=subprocess.DEVNULL)
        for page in ("evaluation", "inspection"):
            picture = IMAGES / f"{page}.png"
            size = ",".join(map(str, WINDOW))
            options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size}"]
            subprocess.run(
                [browser, *options, f"--screenshot={picture}", f"file://{home}/{page}.html"],
                check=True,
                capture_output=True,
            )


if __name__ == "__main__":
    main()
