"""The one way in: tables and streams of records from files, standard input, or a directory of parts."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from emoclass.data.records import Record, RecordReader, open_records
from emoclass.data.sources import FORMATS, SUFFIXES, format_of
from emoclass.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "FORMATS",
    "PARTS",
    "WHOLE",
    "Record",
    "RecordReader",
    "Table",
    "find_parts",
    "open_records",
    "read_parts",
    "read_table",
]

PARTS = ("train", "val", "test")
WHOLE = "all"
NO_ROWS = "has a header but no data rows: add rows below it"
_STEMS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "dev": "val", "test": "test"}
# Small enough for the garbage collector to leave a batch alone: 40 % faster than with thousands.
_BATCH_ROWS = 256


@dataclass(frozen=True)
class Table:
    """A whole input in memory.

    Attributes:
        name: how messages call the input.
        frame: one row per record, all columns of dtype object: str for csv and tsv, Python values for jsonl
            and parquet, None for null. "NA", "null" and "nan" are ordinary texts.
        lines: int64[rows], the 1-based line where each row starts; 0 for parquet.
        format: csv, tsv, jsonl or parquet.
        encoding: of the text; None for parquet.
        sha256: hex digest of the stored bytes.
        schema: of parquet, as pyarrow has it; None for others.
        notes: what the reader decided by itself.
    """

    name: str
    frame: "pd.DataFrame"
    lines: "NDArray[np.int64]"
    format: str
    encoding: str | None = None
    sha256: str = ""
    schema: Any = None
    notes: tuple[str, ...] = ()


def read_table(
    source: str | Path,
    *,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    stdin: BinaryIO | None = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Table:
    """Read a whole input; the options are those of ``open_records``, and ``on_rows`` is told how many more are read.

    Raises:
        DataError: the input cannot be read, or has no data rows.
    """
    import numpy as np
    import pandas as pd

    with open_records(source, format=format, encoding=encoding, delimiter=delimiter, stdin=stdin) as reader:
        columns, lines = _collect(reader, on_rows)
        if not lines:
            raise DataError(f"{reader.name}: {NO_ROWS}")
        return Table(
            name=reader.name,
            frame=pd.DataFrame(dict(zip(reader.columns, columns, strict=True)), dtype=object),
            lines=np.array(lines, dtype=np.int64),
            format=reader.format,
            encoding=reader.encoding,
            sha256=reader.sha256(),
            schema=reader.schema,
            notes=tuple(reader.notes),
        )


def _collect(reader: RecordReader, on_rows: Callable[[int], None]) -> "tuple[list[list[object]], array[int]]":
    """Turn records into columns, a batch at a time, so that no row outlives its batch."""
    columns: list[list[object]] = []
    lines = array("q")
    records = iter(reader)
    while batch := list(islice(records, _BATCH_ROWS)):
        while len(columns) < len(reader.columns):
            columns.append([None] * len(lines))
        lines.extend(record.line for record in batch)
        on_rows(len(batch))
        for column, values in zip(columns, _transposed(batch, len(columns)), strict=True):
            column.extend(values)
    while len(columns) < len(reader.columns):
        columns.append([])
    return columns, lines


def _transposed(batch: list[Record], width: int) -> Iterable[tuple[object, ...]]:
    rows = [record.values for record in batch]
    if any(len(values) < width for values in rows):
        rows = [values + [None] * (width - len(values)) for values in rows]
    return zip(*rows, strict=True)


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


def read_parts(
    source: str | Path,
    *,
    only: tuple[str, ...] = PARTS,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    stdin: BinaryIO | None = None,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> dict[str, Table]:
    """Read a file as ``{"all": table}``, or a directory's parts as ``{"train": …, "val": …, "test": …}``.

    Args:
        source: a file, ``-``, or a directory written by ``split``.
        only: the parts to read of a directory, for those who need not all of them.
        format: as for ``open_records``, like the other options.
        encoding: see there.
        delimiter: see there.
        stdin: see there.
        on_rows: told how many more rows are read.

    Raises:
        DataError: a part cannot be read, or none of ``only`` is there.
    """
    return {
        part: read_table(path, format=format, encoding=encoding, delimiter=delimiter, stdin=stdin, on_rows=on_rows)
        for part, path in part_paths(source, only).items()
    }


def part_paths(source: str | Path, only: tuple[str, ...] = PARTS) -> dict[str, str | Path]:
    """Return a file as ``{"all": path}``, or the paths of a directory's parts, as ``read_parts`` reads them.

    Raises:
        DataError: none of ``only`` is there.
    """
    if not Path(source).is_dir():
        return {WHOLE: source}
    paths: dict[str, str | Path] = {part: path for part, path in find_parts(source).items() if part in only}
    if not paths:
        raise DataError(f"{source}: has no {' or '.join(only)} file: add it, or pass a table file")
    return paths
