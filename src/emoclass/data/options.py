"""Options of reading, and what reads with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from emoclass.config import TASKS, Task
from emoclass.data.columns.choosing import Wanted
from emoclass.data.columns.chosen import Columns
from emoclass.data.tables.frames import FRAME, FrameReader, TableSource
from emoclass.data.tables.joined import JoinedReader
from emoclass.data.tables.options import ReadOptions
from emoclass.data.tables.records import RecordReader, open_records
from emoclass.data.tables.row_errors import RowErrors
from emoclass.data.tables.sources import require_source
from emoclass.data.tables.split_directories import SPLITS, SplitFiles, split_paths
from emoclass.data.tables.table import Table, TableReader, read_table
from emoclass.errors import ConfigError

# One column of a table or several; a data frame may have numbers for names.
ColumnNames: TypeAlias = str | int | Sequence[str | int]


@dataclass(frozen=True, kw_only=True)
class DataOptions(ReadOptions):
    """Options of reading tables.

    Attributes:
        text_column: Name of the text column, or several, whose cells are joined in this order; chosen by name or
            content if ``None``.
        text_separator: What stands between the cells of several text columns; a space if ``None``.
        label_column: Name of the label column, or names or patterns of several with a label each; chosen by name or
            content if ``None``.
        label_separator: What stands between several labels in a cell; found in the cells if ``None``.
        task: Whether each text has one label or any number; decided by the labels if ``None``.
        min_class_rows: Rows of the smallest class of a training table to keep; 0 keeps all.
        merge_into: The class that smaller ones become; they are left out if ``None``.
        skip_errors: Whether rows that cannot be read are left out, with a note; else they are an error.
        trained: The columns that a model was trained with: where none is named, they are used if a table has them.
        on_rows: Called with the number of rows just read.
    """

    text_column: ColumnNames | None = None
    text_separator: str | None = None
    label_column: ColumnNames | None = None
    label_separator: str | None = None
    task: Task | None = None
    min_class_rows: int = 0
    merge_into: str | None = None
    skip_errors: bool = False
    trained: Columns | None = None
    on_rows: Callable[[int], None] = lambda rows: None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task not in (None, *TASKS):
            raise ConfigError(f"--task {self.task} is not known; use {' or '.join(TASKS)}")

    @property
    def wanted(self) -> Wanted:
        """What these options say about the columns."""
        return Wanted(
            texts=_names(self.text_column),
            separator=self.text_separator,
            label_columns=_names(self.label_column),
            label_separator=self.label_separator,
            task=self.task,
            trained=self.trained,
        )

    def words(self) -> list[str]:
        """Return what a command needs to read a table likewise: its options of reading as words."""
        values = {
            "--format": self.format,
            "--encoding": self.encoding,
            "--delimiter": "tab" if self.delimiter == "\t" else self.delimiter,
            "--quoting": self.quoting,
            "--on-error": "skip" if self.skip_errors else None,
        }
        header = [] if self.header is None else ["--header" if self.header else "--no-header"]
        return [word for name, value in values.items() if value is not None for word in (name, value)] + header

    @staticmethod
    def require(*sources: TableSource) -> None:
        """Check that inputs exist and may be read, and directories hold all files, before the first of them is read."""
        for source in sources:
            if not isinstance(source, str | Path):
                continue
            require_source(source)
            if Path(source).is_dir():
                split_paths(source, SPLITS)

    def open(self, source: str | Path, **more: Any) -> RecordReader:
        """Open one file; further options are those of ``open_records``."""
        return open_records(source, self, wait=True, **more)

    def open_split(self, files: SplitFiles, **more: Any) -> TableReader:
        """Open the file of a split, or its shards as one table; further options are those of ``open_records``."""
        reader: TableReader
        if not files.paths:
            reader = FrameReader(files.frame, files.name)
        elif len(files.paths) == 1:
            reader = self.open(files.paths[0], **more)
        else:
            reader = JoinedReader(files.name, files.paths, partial(self.open, **more))
        reader.notes[:0] = files.notes
        return reader

    def read(self, source: TableSource, name: str = FRAME) -> Table:
        """Read one table; a data frame gets the name."""
        return self._read(SplitFiles.of(source, name))

    def read_splits(self, source: TableSource, only: tuple[str, ...] = SPLITS) -> dict[str, Table]:
        """Read one table as ``{"all": table}``, or the given splits of a directory by name; see ``split_paths``."""
        return {split: self._read(files) for split, files in split_paths(source, only).items()}

    def _read(self, files: SplitFiles) -> Table:
        errors = RowErrors(skip=self.skip_errors)
        return read_table(self.open_split(files, on_error=errors), errors=errors, on_rows=self.on_rows)

    def choose_columns(self, table: Table) -> Columns:
        """Choose the text and the label columns of a table."""
        return table.choose_columns(self.wanted)


def _names(given: ColumnNames | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (str(given),) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(map(str, given))
