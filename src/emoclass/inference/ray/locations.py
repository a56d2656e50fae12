"""Find the tables that paths, directories, patterns and URIs name, on disks and in object stores."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from emoclass.data.tables.formats import FORMATS, SUFFIXES, format_of
from emoclass.errors import ConfigError, DataError, one_line
from emoclass.runtime import expanded

_WILDCARDS = "*?["


@dataclass(frozen=True)
class TableFiles:
    """Files of one format in one file system.

    Attributes:
        filesystem: A ``pyarrow.fs.FileSystem``.
        paths: Paths in it, sorted.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
    """

    filesystem: Any
    paths: tuple[str, ...]
    format: str


def find_tables(sources: Sequence[str], *, format: str | None = None) -> TableFiles:
    """Find the tables that the sources name.

    Args:
        sources: Files, directories with all subdirectories, patterns whose ``*`` and ``?`` match within a name, or URIs
            of these, such as ``s3://bucket/directory``.
        format: Format of all files; by their suffixes if ``None``.

    Raises:
        ConfigError: The format is unknown.
        DataError: There is no table, or tables have several formats or are in several file systems.
    """
    if format is not None and format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
    filesystems: list[Any] = []
    paths = set[str]()
    for source in sources:
        try:
            filesystem, found = _find(source, format)
        except (OSError, ValueError) as error:  # pyarrow's errors are subclasses
            raise DataError(f"{source}: cannot be read: {one_line(error)}: check the path") from error
        if not found:
            raise DataError(f"{source}: there is no {format or 'table'} file: check the path")
        if filesystems and filesystem != filesystems[0]:
            raise DataError(f"{source}: is not in the same store as {sources[0]}: predict them separately")
        filesystems.append(filesystem)
        paths.update(found)
    kinds = {format or _kind(path) for path in sorted(paths)}
    if len(kinds) > 1:
        raise DataError(f"{', '.join(sources)}: {' and '.join(sorted(kinds))} files: name files of one format")
    return TableFiles(filesystems[0], tuple(sorted(paths)), kinds.pop())


def locate(source: str) -> tuple[Any, str]:
    """Return the ``pyarrow.fs.FileSystem`` of a path or URI, and the path in it.

    Raises:
        OSError: The store cannot be reached.
        ValueError: The kind of store is unknown.
    """
    from pyarrow.fs import FileSystem, LocalFileSystem

    if is_uri(source):
        filesystem, path = FileSystem.from_uri(source)
        return filesystem, path
    return LocalFileSystem(), expanded(source).absolute().as_posix()


def is_uri(source: str) -> bool:
    """Return whether a source is a URI rather than a local path."""
    return "://" in source


def _kind(path: str) -> str:
    if (kind := format_of(path)[0]) is None:
        raise DataError(
            f"{path}: the name does not tell the format: known are {', '.join(SUFFIXES)}; pass --input-format"
        )
    return kind


def _find(source: str, format: str | None) -> tuple[Any, list[str]]:
    from pyarrow.fs import FileSelector, FileType

    root, pattern = _split(source)
    filesystem, path = locate(root)
    if filesystem.get_file_info(path).type == FileType.File:
        return filesystem, [path]
    infos = filesystem.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    names = {posixpath.relpath(info.path, path): info.path for info in infos if info.type == FileType.File}
    if pattern is not None:
        return filesystem, [full for name, full in names.items() if _matches(name, pattern)]
    return filesystem, [full for name, full in names.items() if _is_table(name, format)]


def _split(source: str) -> tuple[str, PurePosixPath | None]:
    """Split a pattern into the directory before its first wildcard and the rest, ``None`` for an existing path."""
    wild = min((source.find(character) for character in _WILDCARDS if character in source), default=-1)
    if wild < 0 or (not is_uri(source) and expanded(source).exists()):
        return source, None
    slash = source.rfind("/", 0, wild) + 1
    return source[:slash] or ".", PurePosixPath(source[slash:])


def _matches(name: str, pattern: PurePosixPath) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) == len(pattern.parts) and path.match(str(pattern))


def _is_table(name: str, format: str | None) -> bool:
    """Return whether a file is a table; names with a leading dot or underscore are side files of other programs."""
    if any(part.startswith((".", "_")) for part in PurePosixPath(name).parts):
        return False
    kind = format_of(name)[0]
    return kind is not None if format is None else kind in (None, format)
