"""Print the release notes of a version: its section of CHANGELOG.md.

    python scripts/release_notes.py [VERSION]

Without VERSION, it is that of src/emoclass/_version.py. It needs no package but Python.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
HEADING = re.compile(r"^## \[([^\]]+)\](.*)$", re.MULTILINE)
DATE = re.compile(r" - \d{4}-\d{2}-\d{2}\s*")


class NotReleasableError(Exception):
    """Why there can be no release yet, in one line."""


def current_version(project: Path = PROJECT) -> str:
    """Return the version of the package, read without importing it."""
    text = (project / "src" / "emoclass" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if not found:
        raise NotReleasableError('src/emoclass/_version.py: there is no line like: __version__ = "1.2.3"')
    return found[1]


def sections(changelog: str) -> dict[str, tuple[str, str]]:
    """Return what follows the name in each heading, and the text below it, by the name: a version or Unreleased."""
    headings = list(HEADING.finditer(changelog))
    ends = [heading.start() for heading in headings[1:]] + [len(changelog)]
    return {
        heading[1]: (heading[2], changelog[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=False)
    }


def release_notes(changelog: str, version: str) -> str:
    """Return what a changelog says of a version.

    Raises:
        NotReleasableError: The version has no section, no date or no text, or there are unreleased changes.
    """
    found = sections(changelog)
    if version not in found:
        raise NotReleasableError(f"CHANGELOG.md: no section for {version}; add: ## [{version}] - YYYY-MM-DD")
    date, notes = found[version]
    if not DATE.fullmatch(date):
        raise NotReleasableError(f"CHANGELOG.md: {version} has no date; write: ## [{version}] - YYYY-MM-DD")
    if not notes:
        raise NotReleasableError(f"CHANGELOG.md: the section of {version} is empty; list what changed")
    if found.get("Unreleased", ("", ""))[1]:
        raise NotReleasableError(f"CHANGELOG.md: [Unreleased] is not empty; move its entries to {version}")
    return notes + "\n"


def main() -> None:
    """Print the notes, or say why there are none."""
    try:
        version = sys.argv[1] if len(sys.argv) > 1 else current_version()
        changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
        sys.stdout.write(release_notes(changelog, version))
    except NotReleasableError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
