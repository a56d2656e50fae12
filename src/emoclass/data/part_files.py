"""Rows of a table into one new file."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.data.record_writing import record_writer
from emoclass.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_BATCH_ROWS = 4096


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
    try:
        with path.open("xb") as file:
            writer = record_writer(file, format, schema=_schema(whole) if format == "parquet" else None)
            writer.write(list(frame.columns), [])  # a header, even without rows
            rows = zip(*(frame[column].tolist() for column in frame.columns), strict=True)
            while batch := list(islice(rows, _BATCH_ROWS)):
                writer.write(list(frame.columns), batch)
            writer.close()
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def _schema(whole: "pd.DataFrame") -> Any:
    import pyarrow as pa

    fields = []
    for column in whole.columns:
        try:
            fields.append((column, pa.array(whole[column].tolist()).type))
        except (pa.ArrowException, OverflowError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"column {column!r} cannot be stored as parquet: {reason}: use csv or jsonl") from error
    return pa.schema(fields)
