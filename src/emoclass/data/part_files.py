"""Writes a table in one of the formats that the reader knows, the same bytes for the same rows."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from emoclass.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def write_rows(path: Path, frame: "pd.DataFrame", format: str, *, whole: "pd.DataFrame") -> None:
    """Write a new file: csv and tsv with a header line, all text in UTF-8 with line feeds.

    Args:
        path: of the new file.
        frame: its rows.
        format: csv, tsv, jsonl or parquet.
        whole: the table that the rows are of, which gives all parts the same parquet types.

    Raises:
        DataError: the values cannot be stored as parquet.
        OSError: the file cannot be written.
    """
    if format == "parquet":
        _write_parquet(path, frame, whole)
    elif format == "jsonl":
        _write_jsonl(path, frame)
    else:
        _write_delimited(path, frame, "\t" if format == "tsv" else ",")


def _write_delimited(path: Path, frame: "pd.DataFrame", delimiter: str) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        minimal = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        quoting = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in (list(frame.columns), *_rows(frame)):
            # The csv module quotes a lone carriage return only when its line ends hold one.
            has_return = any(isinstance(value, str) and "\r" in value for value in row)
            (quoting if has_return else minimal).writerow(row)


def _write_jsonl(path: Path, frame: "pd.DataFrame") -> None:
    columns = list(frame.columns)
    with path.open("x", encoding="utf-8", newline="\n") as file:
        for row in _rows(frame):
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _write_parquet(path: Path, frame: "pd.DataFrame", whole: "pd.DataFrame") -> None:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    try:
        types = {column: pa.array(whole[column].tolist()).type for column in whole.columns}
        columns = {column: pa.array(frame[column].tolist(), type) for column, type in types.items()}
        write_table(pa.table(columns), path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise DataError(f"{path.name}: cannot be stored as parquet: {error}: use a CSV file as the input") from error


def _rows(frame: "pd.DataFrame") -> Iterator[tuple[object, ...]]:
    return zip(*(frame[column].tolist() for column in frame.columns), strict=True)
