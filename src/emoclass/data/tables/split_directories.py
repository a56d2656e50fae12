"""Find the files of a split directory: train, val and test."""

from pathlib import Path

from emoclass.data.tables.formats import SUFFIXES, format_of
from emoclass.errors import DataError

SPLITS = ("train", "val", "test")
# Stands for the splits where a single table has none.
WHOLE = "all"
_STEMS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "dev": "val", "test": "test"}

# Suffix of the record of changes that inspect-data --fix writes beside a table.
CHANGES = ".changes.csv"


def split_of(name: str | Path) -> str | None:
    """Return the split that a file name stands for: train, val, test or ``None``."""
    return _STEMS.get(Path(name).name.lower().split(".")[0])


def find_splits(directory: str | Path) -> dict[str, Path]:
    """Return the train, val and test files of a directory, as far as they exist.

    Raises:
        DataError: The directory has no train file or two files for one split, or cannot be read.
    """
    found: dict[str, Path] = {}
    try:
        paths = sorted(Path(directory).iterdir())
    except OSError as error:
        raise DataError(f"{directory}: cannot be read as a directory: {error.strerror or error}") from error
    for path in paths:
        split = None if path.name.endswith(CHANGES) else split_of(path)
        if split is None or format_of(path.name)[0] is None or path.is_dir():
            continue
        if split in found:
            raise DataError(
                f"{directory}: both {found[split].name} and {path.name} could be the {split} set: keep one of them"
            )
        found[split] = path
    if "train" not in found:
        known = ", ".join(SUFFIXES)
        raise DataError(f"{directory}: has no train file ({known}): pass a directory written by emoclass split")
    return {split: found[split] for split in SPLITS if split in found}


def split_paths(source: str | Path, only: tuple[str, ...] = SPLITS) -> dict[str, str | Path]:
    """Return a file as ``{"all": path}``, or the paths of the splits of a directory by name.

    Args:
        source: A file, ``-``, or a split directory.
        only: The splits to return of a directory.

    Raises:
        DataError: The directory has none of them, or is no split directory.
    """
    if not Path(source).is_dir():
        return {WHOLE: source}
    paths: dict[str, str | Path] = {split: path for split, path in find_splits(source).items() if split in only}
    if not paths:
        raise DataError(f"{source}: has no {' or '.join(only)} file: add it, or pass a table file")
    return paths
