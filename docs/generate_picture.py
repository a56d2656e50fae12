"""Writes docs/images/terminal.svg, a picture of a training and a prediction: ``python docs/generate_picture.py``.

The commands run as they are shown, on the sentences in examples/emotions.csv, with a home directory of their own.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

PICTURE = Path(__file__).parent / "images" / "terminal.svg"
TABLE = Path(__file__).parents[1] / "examples" / "emotions.csv"
# Of the terminal, and of the picture, in which lines do not wrap.
COLUMNS, WIDTH = 80, 94
COMMANDS = (
    "emoclass train emotions.csv --base-model minilm --recipe fast --name first",
    'emoclass predict "Nobody has called since I moved here."',
)


def transcript() -> str:
    """Return the commands behind a prompt, each followed by what it prints to standard output, with colours."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / TABLE.name).write_bytes(TABLE.read_bytes())
        environment = {**os.environ, "EMOCLASS_HOME": "models", "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
        environment.pop("NO_COLOR", None)
        parts = []
        for command in COMMANDS:
            words = [sys.executable, "-m", *shlex.split(command)]
            done = subprocess.run(
                words, cwd=home, env=environment, capture_output=True, encoding="utf-8", check=True, timeout=600
            )
            parts.append(f"$ {command}\n{done.stdout}")
    return "".join(parts).rstrip("\n").replace("models/models/", "~/.local/share/emoclass/models/")


def plain(text: str) -> str:
    """Return what stays the same on every machine: words and frames, without colours, numbers, bars and labels."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line for line in text.splitlines() if not line.startswith(("most confused", "TF-IDF"))]
    bare = (re.sub(r"[━─┃│┏┓┗┛┡┩┳╇└┘┴\s]+", " ", re.sub(r"\d+|█+", "", line)).strip() for line in lines)
    return "\n".join(filter(None, bare))


def render(text: str) -> str:
    """Return the picture of a transcript."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    console = Console(width=WIDTH, record=True, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in text.splitlines():
        console.print(Text(line, style="bold") if line.startswith("$ ") else Text.from_ansi(line), soft_wrap=True)
    return console.export_svg(title="emoclass", theme=MONOKAI, unique_id="emoclass")


def shown() -> str:
    """Return the text in the picture as it is."""
    import html

    svg = PICTURE.read_text(encoding="utf-8")
    rows: dict[str, str] = {}
    for y, text in re.findall(r'<text[^>]* y="([^"]+)"[^>]*>([^<]*)</text>', svg):
        rows[y] = rows.get(y, "") + html.unescape(text).replace("\xa0", " ")
    return "\n".join(list(rows.values())[1:])  # below the title


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(render(transcript()), encoding="utf-8")
