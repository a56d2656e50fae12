"""Tables that a program has in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from emoclass.data.columns.naming import brief, quoted
from emoclass.data.tables.table import Table
from emoclass.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def table_of_frame(frame: pd.DataFrame, name: str) -> Table:
    """Return a data frame of pandas as a table; the frame is not changed.

    Args:
        frame: The frame; its index is ignored, and missing values are null.
        name: What messages call it.

    Raises:
        DataError: It has no rows, or several columns of one name.
    """
    import numpy as np
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{name}: {type(frame).__name__} is no table: pass a path or a pandas DataFrame")
    if not len(frame):
        raise DataError(f"{name}: has no data rows: add some")
    names = [str(column) for column in frame.columns]
    if again := next((column for column in names if names.count(column) > 1), None):
        raise DataError(f"{name}: has several columns {quoted(brief(again))}: rename or drop one")
    columns = {column: _cells(frame.iloc[:, number]) for number, column in enumerate(names)}
    digest = hashlib.sha256()
    for column, cells in columns.items():
        digest.update(repr((column, cells)).encode("utf-8", "surrogatepass"))
    return Table(
        name=name,
        frame=pd.DataFrame(columns, dtype=object),
        lines=np.zeros(len(frame), dtype=np.int64),
        format="frame",
        sha256=digest.hexdigest(),
    )


def _cells(column: pd.Series[Any]) -> list[object]:
    cells = zip(column.tolist(), column.isna().tolist(), strict=True)
    return [None if missing else cell.tolist() if hasattr(cell, "tolist") else cell for cell, missing in cells]
