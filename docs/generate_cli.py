"""Writes docs/cli.md from the help texts of the app: ``python docs/generate_cli.py``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("cli.md")
WIDTH = "88"
INTRODUCTION = """\
# Command line

This page is made from the commands' own help by `python docs/generate_cli.py`.

Results go to standard output, everything else (progress, notes, warnings) to standard error; progress bars are shown
only where standard error is a terminal. `--json` prints one JSON document instead of tables.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | an error; one line on standard error says what is wrong and what to do |
| 2 | wrong usage |
| 130 | stopped by Ctrl-C, SIGTERM or SIGHUP; `train` has saved the best epoch so far, if there was one |

| environment variable | meaning |
|---|---|
| `EMOCLASS_HOME` | where `models/`, `runs/` (unfinished trainings) and `cache/` are, not in your own directories |
| `EMOCLASS_DEBUG=1` | errors show their traceback |
| `HF_HUB_OFFLINE=1` | the hub is not asked; models come from its cache, a directory or the package |
| `HF_TOKEN` | the token for `models push` and private models; `hf auth login` stores one |
| `NO_COLOR` | no colours |
"""


def render() -> str:
    """Return the content of the page."""
    # Set before rich looks: the page must not depend on the terminal that makes it.
    os.environ.update({"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "NO_COLOR": "1", "TERM": "dumb"})
    import typer.main

    from emoclass.cli import app

    sections = [INTRODUCTION]
    for path in _paths(typer.main.get_command(app), ()):
        if path[:1] and len(path) <= 2:
            sections.append(f"{'#' * (len(path) + 1)} emoclass {' '.join(path)}\n\n```text\n{_help(path)}\n```\n")
    return "\n".join(sections)


def _paths(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    children = getattr(command, "commands", {})
    return [path, *(p for name, child in children.items() for p in _paths(child, (*path, name)))]


def _help(path: tuple[str, ...]) -> str:
    from typer.testing import CliRunner

    from emoclass.cli import app

    text = CliRunner().invoke(app, [*path, "--help"], prog_name="emoclass").output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "\n".join(line.rstrip() for line in plain.strip("\n").splitlines())


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
