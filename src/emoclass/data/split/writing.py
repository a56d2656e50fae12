"""Write a split directory, whole or not at all."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.cells import cell_name
from emoclass.data.columns.labels import Label, LabelSet, each_name, sorted_names
from emoclass.data.columns.naming import listed, quoted
from emoclass.data.similarity.near import duplicate_groups, merge_groups
from emoclass.data.split.splitting import DEFAULT_RATIOS, Ratios, largest_deviation, split_rows
from emoclass.data.tables.formats import written_format
from emoclass.data.tables.rows import schema_of, write_rows
from emoclass.errors import DataError
from emoclass.files import free_directory, new_directory
from emoclass.fingerprint import file_sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emoclass.data.tables.table import Table

SPLIT_FILE = "split.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How to split.

    Attributes:
        ratios: Ratios of train, val and test.
        seed: Seed of the split; the same seed and input give the same bytes.
        group_column: A column whose equal values stay together, such as users or threads.
        keep_duplicates: Whether texts that are the same or nearly so may be separated.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``; that of the table, or csv, if ``None``.
        overwrite: Whether an earlier split in the directory is replaced.
    """

    ratios: Ratios = DEFAULT_RATIOS
    seed: int
    group_column: str | None = None
    keep_duplicates: bool = False
    format: str | None = None
    overwrite: bool = False


def write_split(
    directory: str | Path, table: "Table", data: CleanData, options: SplitOptions, *, version: str
) -> dict[str, Any]:
    """Split the cleaned rows and write them with all columns, in UTF-8, uncompressed.

    Args:
        directory: A new or empty directory; missing parents are made.
        table: The table that ``data`` was cleaned from.
        data: The rows to split.
        options: How to split.
        version: Version of emoclass, for split.json.

    Returns:
        The content of split.json.

    Raises:
        DataError: The directory is not empty, a class is too small, or writing failed; nothing is left behind.
    """
    where = f"{table.name}: column {quoted(data.columns.label)}: "
    LabelSet.from_labels(data.labels, task=data.columns.task, where=where)

    target, replaceable = free_target(directory, overwrite=options.overwrite)
    groups = _groups(table, data, options)
    column = options.group_column
    unit = "different texts" if column is None else f"groups of --group-column {quoted(column)}"
    splits = split_rows(data, ratios=options.ratios, seed=options.seed, groups=groups, unit=unit)
    format = options.format or written_format(table.format)
    record = {
        "format_version": FORMAT_VERSION,
        "emoclass_version": version,
        **_origin(table, data),
        **_division(data, options, groups, splits),
        "removed": data.removed_counts,
        "conflicts": len(data.conflicts),
        "parts": {},
    }
    schema = schema_of(table, format)
    with new_directory(target, "the split", name=directory, replaceable=replaceable) as aside:
        for split, rows in splits.items():
            file = aside / f"{split}.{format}"
            write_rows(file, table.frame.iloc[data.rows[rows] - 1], format, schema=schema)
            classes = _sorted_counts([data.labels[row] for row in rows])
            part = {"file": file.name, "rows": len(rows), "sha256": file_sha256(file), "classes": classes}
            record["parts"][split] = part
        content = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        # Bytes of a file name that are not UTF-8 become JSON escapes.
        (aside / SPLIT_FILE).write_bytes(content.encode("utf-8", "backslashreplace"))
    return record


def free_target(directory: str | Path, *, overwrite: bool) -> tuple[Path, Callable[[Path], bool]]:
    """Return the whole path of a directory for a split, and what says whether it may be replaced.

    Raises:
        DataError: It is not free, or cannot be written.
    """

    def replaceable(place: Path) -> bool:
        return overwrite and _is_split(place)

    return free_directory(directory, "the split", replaceable=replaceable, overwritable=_is_split), replaceable


def _is_split(directory: Path) -> bool:
    """Return whether a directory holds a split and nothing else."""
    names = {path.name for path in directory.iterdir()}
    return SPLIT_FILE in names and {name.split(".")[0] for name in names} <= {"train", "val", "test", "split"}


def _origin(table: "Table", data: CleanData) -> dict[str, Any]:
    return {
        "input": {"name": table.name, "sha256": table.sha256, "rows": data.total_rows},
        "columns": data.columns.to_dict(),
    }


def _division(
    data: CleanData, options: SplitOptions, groups: "NDArray[np.int64]", splits: "dict[str, NDArray[np.int64]]"
) -> dict[str, Any]:
    import numpy as np

    sizes = np.bincount(groups)
    deviation, name, split = largest_deviation(data.labels, splits, options.ratios)
    return {
        "seed": options.seed,
        "ratios": list(options.ratios),
        "grouping": {
            "near_duplicates": not options.keep_duplicates,
            "group_column": options.group_column,
            "groups": int((sizes > 1).sum()),
            "rows_in_groups": int(sizes[sizes > 1].sum()),
        },
        "largest_deviation": {"deviation": round(deviation, 6), "class": name, "part": split},
    }


def _groups(table: "Table", data: CleanData, options: SplitOptions) -> "NDArray[np.int64]":
    """Return the group of each kept row, ``int64[rows]``."""
    import numpy as np

    same = np.arange(len(data)) if options.keep_duplicates else duplicate_groups(data.texts)
    column = options.group_column
    if column is None:
        return same
    if column not in table.frame.columns:
        raise DataError(
            f"{table.name}: no column {quoted(column)} for --group-column; the columns are"
            f" {listed(table.frame.columns)}: pass one of these"
        )
    values = [cell_name(value) for value in table.frame[column].iloc[data.rows - 1].tolist()]
    # A row without a value is a group of its own.
    keys = [("row", str(row)) if not value else ("value", value) for row, value in enumerate(values)]
    numbers: dict[tuple[str, str], int] = {}
    return merge_groups(same, np.array([numbers.setdefault(key, len(numbers)) for key in keys]))


def _sorted_counts(labels: list[Label]) -> dict[str, int]:
    counts = Counter(each_name(labels))
    return {label: counts[label] for label in sorted_names(counts)}
