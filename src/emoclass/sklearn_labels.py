"""What scikit-learn calls ``y``: one label a text, or an indicator matrix of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emoclass.data.columns.cells import cell_label, is_null
from emoclass.data.columns.naming import shortened

_COLLECTIONS = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class Targets:
    """The labels of some texts.

    Attributes:
        classes: The labels, sorted, or the columns of an indicator matrix.
        is_multi: Whether a text may have any number of them.
        names: The name of the label of each text, or a list of names.
    """

    classes: npt.NDArray[Any]
    is_multi: bool
    names: list[Any]


def read_targets(y: Any) -> Targets:
    """Return the labels in ``y``.

    Raises:
        TypeError: It holds no labels.
        ValueError: Labels are missing, or would not be read as they are; a matrix holds other values than 0 and 1.
    """
    if y is None:
        raise ValueError("y is None: pass a label for each text")
    if hasattr(y, "to_pandas"):  # of pyarrow and polars
        y = y.to_pandas()
    if hasattr(y, "toarray"):  # of scipy
        y = y.toarray()
    dimensions = getattr(y, "ndim", 1)
    if isinstance(y, str | bytes | dict) or not hasattr(y, "__iter__") or not dimensions:
        raise TypeError(f"y is of the type {type(y).__name__}: pass a list with a label for each text")
    cells = _cells(y)
    widths = {len(cell) if isinstance(cell, _COLLECTIONS) else 0 for cell in cells}
    if dimensions == 2 and widths == {1}:
        cells, widths = [cell[0] for cell in cells], {0}
    _require_labels(cells)
    if widths <= {0}:
        dtype = getattr(y, "dtype", None)
        return _one_each(cells, dtype if isinstance(dtype, np.dtype) else None)
    is_matrix = len(widths) == 1 and all(map(_are_flags, cells))
    if dimensions > 1 and not is_matrix:
        raise ValueError("y with several columns is an indicator matrix: pass 0 and 1 in each column")
    if not is_matrix or widths == {1}:
        raise ValueError("y holds several labels a text: pass MultiLabelBinarizer().fit_transform(y)")
    classes = np.asarray(y.columns if isinstance(y, pd.DataFrame) else np.arange(*widths))
    names = names_of_classes(classes)
    if again := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"y has several columns {shortened(again)}: rename or drop one")
    return Targets(classes, True, [[name for name, flag in zip(names, row, strict=True) if flag] for row in cells])


def names_of_classes(classes: npt.NDArray[Any]) -> list[str]:
    """Return the names of classes, which emoclass has to read as they are.

    Raises:
        ValueError: It would not.
    """
    names = [str(name) for name in classes.tolist()]
    if "" in names:
        raise ValueError("y has a column without a name: rename it")
    for name in names:
        if (read := cell_label(name)) != name:
            raise ValueError(f"the label {name!r} would be read as {read or ''!r}: strip or rename it")
    return names


def _cells(y: Any) -> list[Any]:
    """Return what there is for each text: a label, or the row of a matrix as a list."""
    if isinstance(y, pd.DataFrame):
        y = y.to_numpy(dtype=object)
    if isinstance(y, np.ndarray):
        y = y.tolist()  # None where it is masked
    return [cell.tolist() if isinstance(cell, np.ndarray | np.generic) else cell for cell in y]


def _require_labels(cells: Sequence[Any]) -> None:
    for row, cell in enumerate(cells):
        if any(is_null(each) or each == "" for each in (cell if isinstance(cell, list | tuple) else [cell])):
            raise ValueError(f"y has missing labels, the first in y[{row}]: leave these texts out")


def _are_flags(row: Any) -> bool:
    try:
        return isinstance(row, list | tuple) and set(row) <= {0, 1}
    except TypeError:  # of what cannot be in a set
        return False


def _one_each(labels: Sequence[Any], dtype: np.dtype[Any] | None) -> Targets:
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError("y mixes strings and other labels: make all of them strings")
    classes, numbers = np.unique(np.asarray(labels, dtype=dtype), return_inverse=True)
    names = names_of_classes(classes)
    return Targets(classes, False, [names[number] for number in numbers.tolist()])
