"""Options of reading, and what reads with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoclass.data.columns.choosing import Wanted
from emoclass.data.columns.chosen import Columns
from emoclass.data.tables.records import RecordReader, open_records
from emoclass.data.tables.split_directories import SPLITS, split_paths
from emoclass.data.tables.table import Table, read_table


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Options of reading tables.

    Attributes:
        text_column: Name of the text column, or several, whose cells are joined in this order; chosen by name or
            content if ``None``.
        text_separator: What stands between the cells of several text columns; a space if ``None``.
        label_column: Name of the label column; chosen by name or content if ``None``.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``; by the suffix if ``None``.
        encoding: Encoding of text files; that of a byte order mark or UTF-8 if ``None``.
        delimiter: Field separator of CSV; found in the header if ``None``.
        trained: The columns that a model was trained with: where none is named, they are used if a table has them.
        on_rows: Called with the number of rows just read.
    """

    text_column: str | Sequence[str] | None = None
    text_separator: str | None = None
    label_column: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    trained: Columns | None = None
    on_rows: Callable[[int], None] = lambda rows: None

    @property
    def wanted(self) -> Wanted:
        """What these options say about the columns."""
        names = self.text_column or ()
        return Wanted(
            texts=(names,) if isinstance(names, str) else tuple(names),
            separator=self.text_separator,
            label=self.label_column,
            trained=self.trained,
        )

    def open(self, source: str | Path, **more: Any) -> RecordReader:
        """Open one table; further options are those of ``open_records``."""
        return open_records(source, format=self.format, encoding=self.encoding, delimiter=self.delimiter, **more)

    def read(self, source: str | Path) -> Table:
        """Read one table."""
        return read_table(self.open(source), on_rows=self.on_rows)

    def read_splits(self, source: str | Path, only: tuple[str, ...] = SPLITS) -> dict[str, Table]:
        """Read a file as ``{"all": table}``, or the given splits of a split directory by name."""
        return {part: self.read(path) for part, path in split_paths(source, only).items()}

    def choose_columns(self, table: Table) -> Columns:
        """Choose the text and the label columns of a table."""
        return table.choose_columns(self.wanted)
