"""What is known before the work: whether an output can be written, and whether it would replace an input."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from emoclass.errors import ConfigError
from emoclass.files import errors_named, require_room


def is_same_file(output: str | Path | int, source: str | Path) -> bool:
    """Return whether an output, or an open descriptor, is the regular file that a source names."""
    with suppress(OSError, ValueError):
        status = os.stat(source)  # noqa: PTH116 - a descriptor is no path
        return stat.S_ISREG(status.st_mode) and os.path.samestat(os.stat(output), status)  # noqa: PTH116
    return False


def require_other(option: str, path: str | Path | None, sources: Iterable[str | Path]) -> None:
    """Check that an output does not replace an input, of which it does not hold everything.

    Raises:
        ConfigError: It would.
    """
    if path is not None and any(is_same_file(path, source) for source in sources):
        raise ConfigError(f"{option} {path} would replace the data: name another file")


def require_outputs(*paths: str | Path | None) -> None:
    """Check that ``output_file`` could write these files, without touching what is there.

    Raises:
        OSError: It could not; the error has the name that was given.
    """
    for path in paths:
        if path is not None:
            _require_output(path)


def _require_output(path: str | Path) -> None:
    target = Path(path)
    with errors_named(str(path)):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory; name a file")
        place = Path(os.path.realpath(target)).parent
        if (not target.exists() or target.is_file()) and not place.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"there is no directory {place}; make it first")
        if not target.exists() or target.is_file():
            require_room(place)
