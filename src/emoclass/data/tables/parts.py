"""The one way in: tables and streams of records from files, standard input, or a directory of parts."""

from pathlib import Path

from emoclass.data.tables.formats import SUFFIXES, format_of
from emoclass.errors import DataError

PARTS = ("train", "val", "test")
WHOLE = "all"
_STEMS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "dev": "val", "test": "test"}


# Ends the name of an account of changes, which lies beside the table that was fixed.
CHANGES = ".changes.csv"


def part_of(name: str | Path) -> str | None:
    """Return the part that a file's name stands for: train, val or test."""
    return _STEMS.get(Path(name).name.lower().split(".")[0])


def find_parts(directory: str | Path) -> dict[str, Path]:
    """Return the train, val and test file of a directory, as far as they exist.

    Raises:
        DataError: no train file, two files for one part, or a directory that cannot be read.
    """
    found: dict[str, Path] = {}
    try:
        paths = sorted(Path(directory).iterdir())
    except OSError as error:
        raise DataError(f"{directory}: cannot be read as a directory: {error.strerror or error}") from error
    for path in paths:
        part = None if path.name.endswith(CHANGES) else part_of(path)
        if part is None or format_of(path.name)[0] is None or path.is_dir():
            continue
        if part in found:
            raise DataError(f"{directory}: both {found[part].name} and {path.name} could be the {part} part: keep one")
        found[part] = path
    if "train" not in found:
        known = ", ".join(SUFFIXES)
        raise DataError(f"{directory}: has no train file ({known}): pass a directory written by emoclass split")
    return {part: found[part] for part in PARTS if part in found}


def part_paths(source: str | Path, only: tuple[str, ...] = PARTS) -> dict[str, str | Path]:
    """Return a file as ``{"all": path}``, or the paths of a directory's parts.

    Raises:
        DataError: none of ``only`` is there.
    """
    if not Path(source).is_dir():
        return {WHOLE: source}
    paths: dict[str, str | Path] = {part: path for part, path in find_parts(source).items() if part in only}
    if not paths:
        raise DataError(f"{source}: has no {' or '.join(only)} file: add it, or pass a table file")
    return paths
