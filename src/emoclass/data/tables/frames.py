"""Tables that a program has in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from emoclass.data.columns.naming import brief, quoted
from emoclass.data.tables.records import Record, RecordStream
from emoclass.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# A file or a directory by its path, or a table in memory.
TableSource: TypeAlias = Union[str, Path, "pd.DataFrame"]
# What messages call a table in memory.
FRAME = "data-frame"


def source_name(source: TableSource) -> str:
    """Return what messages call an input."""
    return str(source) if isinstance(source, str | Path) else FRAME


class FrameReader(RecordStream):
    """Iterates once over the rows of a data frame; a ``RecordReader`` in all it offers. The frame is not changed.

    Args:
        frame: The frame; its index is ignored, and missing values are null.
        name: What messages call it.

    Raises:
        DataError: It is no data frame, or has several columns of one name.
    """

    format = "frame"
    encoding: str | None = None
    delimiter: str | None = None
    schema: Any = None

    def __init__(self, frame: Any, name: str = FRAME) -> None:
        import pandas as pd

        if not isinstance(frame, pd.DataFrame):
            kind = type(frame)
            if hasattr(frame, "to_pandas"):
                library = kind.__module__.partition(".")[0]
                raise DataError(f"{name}: {library} {kind.__name__} is not read: pass its to_pandas()")
            raise DataError(f"{name}: {kind.__name__} is no table: pass a path or a pandas DataFrame")
        self.name = name
        self.columns = [str(column) for column in frame.columns]
        if again := next((column for column in self.columns if self.columns.count(column) > 1), None):
            raise DataError(f"{name}: has several columns {quoted(brief(again))}: rename or drop one")
        self.total_rows: int | None = len(frame)
        self.notes: list[str] = []
        self.layout: dict[str, Any] = {"format": self.format}
        self._hash = hashlib.sha256(repr(self.columns).encode("utf-8", "surrogatepass"))
        self._records: Generator[Record, None, None] = self._read(frame)

    def close(self) -> None:
        """Release the frame."""
        self._records.close()

    def sha256(self) -> str:
        """Return the hex digest of the cells; call it after the last record."""
        return self._hash.hexdigest()

    def _read(self, frame: pd.DataFrame) -> Generator[Record, None, None]:
        cells = [_cells(frame.iloc[:, number]) for number in range(len(self.columns))]
        for number, values in enumerate(zip(*cells, strict=True), start=1):
            self._hash.update(repr(values).encode("utf-8", "surrogatepass"))
            yield Record(number, 0, list(values))


def _cells(column: pd.Series[Any]) -> list[object]:
    cells = zip(column.tolist(), column.isna().tolist(), strict=True)
    return [None if missing else _plain(cell) for cell, missing in cells]


def _plain(cell: Any) -> object:
    """Return collections of any kind as lists; sets in the same order in every process."""
    if isinstance(cell, set | frozenset):
        return sorted(cell, key=str)
    if isinstance(cell, tuple):
        return list(cell)
    return cell.tolist() if hasattr(cell, "tolist") else cell
