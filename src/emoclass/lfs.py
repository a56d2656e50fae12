"""Recognize Git LFS pointers: small text files in place of the files that a clone without git-lfs lacks."""

from pathlib import Path

POINTER = "version https://git-lfs.github.com/spec/"
ADVICE = "is a Git LFS pointer, not the file itself: fetch it with git lfs pull"


def is_pointer(path: Path) -> bool:
    """Return whether a file is a pointer; a file that cannot be read is none."""
    try:
        with path.open("rb") as file:
            return file.read(len(POINTER)) == POINTER.encode()
    except OSError:
        return False


def explain(path: Path, problem: str) -> str:
    """Return the message for a file that cannot be used: that it is a pointer, or the given problem."""
    return f"{path}: {ADVICE if is_pointer(path) else problem}"
