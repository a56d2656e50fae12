"""How tables are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoclass.data.columns.choosing import Columns
from emoclass.data.tables.records import RecordReader, open_records
from emoclass.data.tables.split_directories import SPLITS, split_paths
from emoclass.data.tables.table import Table, read_table


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How tables are read.

    Attributes:
        text_column: Name of the text column, or ``None`` to find it.
        label_column: Name of the label column, or ``None`` to find it.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``, or ``None`` to go by the name.
        encoding: Encoding of text files, or ``None`` for UTF-8.
        delimiter: Field separator of CSV, or ``None`` to go by the header.
        on_rows: Told how many more rows are read.
    """

    text_column: str | None = None
    label_column: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    on_rows: Callable[[int], None] = lambda rows: None

    def open(self, source: str | Path, **more: Any) -> RecordReader:
        """Open one table; more options are those of ``open_records``."""
        return open_records(source, format=self.format, encoding=self.encoding, delimiter=self.delimiter, **more)

    def read(self, source: str | Path) -> Table:
        """Read one table."""
        return read_table(self.open(source), on_rows=self.on_rows)

    def read_splits(self, source: str | Path, only: tuple[str, ...] = SPLITS) -> dict[str, Table]:
        """Read a table as ``{"all": table}``, or these splits of a split directory, by name."""
        return {part: self.read(path) for part, path in split_paths(source, only).items()}

    def choose_columns(self, table: Table) -> Columns:
        """Choose the text and the label column of a table."""
        return table.choose_columns(text_column=self.text_column, label_column=self.label_column)
