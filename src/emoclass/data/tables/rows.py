"""Write the rows of a table to one new file."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.data.tables.styles import Style
from emoclass.data.tables.writing import arrow_schema, record_writer
from emoclass.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from emoclass.data.tables.table import Table

_BATCH_ROWS = 4096


def write_rows(
    path: Path, frame: "pd.DataFrame", format: str, *, schema: Any = None, style: Style | None = None
) -> None:
    """Write a new file: text in UTF-8 with line feeds, csv and tsv with a header, unless there is a ``style``.

    Args:
        path: The new file.
        frame: Its rows.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        schema: Schema of the input, a ``pyarrow.Schema``; see ``schema_of`` and ``record_writer``.
        style: How text is written; see ``record_writer``.

    Raises:
        DataError: The format cannot store a value.
        OSError: The file cannot be written.
    """
    try:
        with path.open("xb") as file:
            writer = record_writer(file, format, schema=schema, style=style)
            writer.write(list(frame.columns), [])  # the header, also without rows
            rows = zip(*(frame[column].tolist() for column in frame.columns), strict=True)
            while batch := list(islice(rows, _BATCH_ROWS)):
                if format in ("csv", "tsv") and any(isinstance(v, str) and "\0" in v for row in batch for v in row):
                    raise DataError(
                        f"a field holds a NUL character, which emoclass does not read in {format}: use jsonl or parquet"
                    )
                writer.write(list(frame.columns), batch)
            writer.close()
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def schema_of(table: "Table", format: str) -> Any:
    """Return the ``pyarrow.Schema`` for files with some of a table's rows: its own, or inferred from all its values.

    Returns:
        ``None`` if neither the table nor the format of the files has types.

    Raises:
        DataError: The values of a column have no common type.
    """
    if format != "parquet" or table.schema is not None:
        return table.schema
    rows = list(table.frame.itertuples(index=False, name=None))
    return arrow_schema(list(table.frame.columns), rows, {})
