"""Writes a split as a directory of part files that appears whole or not at all."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.cells import cell_label
from emoclass.data.columns.labels import LabelSet, sorted_names
from emoclass.data.columns.naming import listed, quoted
from emoclass.data.similarity.near import duplicate_groups, merge_groups
from emoclass.data.split.splitting import DEFAULT_RATIOS, Ratios, largest_deviation, split_indices
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


@dataclass(frozen=True)
class SplitResult:
    """What was written, and from what; ``to_dict`` is the content of split.json.

    Attributes:
        directory: where the files are.
        files: file name of each part.
        counts: rows of each class in each part.
        input_name: the input as it was given.
        input_sha256: hex digest of its stored bytes.
        text_column: name of the text column.
        label_column: name of the label column.
        total_rows: data rows of the input.
        removed: removed rows by reason.
        conflicts: texts that stand with several labels.
        ratios: train, val and test.
        seed: decides which text goes where.
        grouping: what was kept together: ``near_duplicates``, ``group_column``, ``groups`` of several rows and
            ``rows_in_groups``.
        largest_deviation: of the share of a class in a part from the ratio: ``deviation``, ``class`` and ``part``.
        sha256: hex digest of each part's file.
        version: of emoclass.
    """

    directory: Path
    files: dict[str, str]
    counts: dict[str, dict[str, int]]
    input_name: str
    input_sha256: str
    text_column: str
    label_column: str
    total_rows: int
    removed: dict[str, int]
    conflicts: int
    ratios: Ratios
    seed: int
    grouping: dict[str, Any]
    largest_deviation: dict[str, Any]
    sha256: dict[str, str]
    version: str

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each part."""
        return {part: sum(classes.values()) for part, classes in self.counts.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the directory: the same split is the same file anywhere."""
        return {
            "format_version": FORMAT_VERSION,
            "emoclass_version": self.version,
            "input": {"name": self.input_name, "sha256": self.input_sha256, "rows": self.total_rows},
            "columns": {"text": self.text_column, "label": self.label_column},
            "seed": self.seed,
            "ratios": list(self.ratios),
            "grouping": self.grouping,
            "largest_deviation": self.largest_deviation,
            "removed": self.removed,
            "conflicts": self.conflicts,
            "parts": {
                part: {
                    "file": self.files[part],
                    "rows": self.rows[part],
                    "sha256": self.sha256.get(part),
                    "classes": classes,
                }
                for part, classes in self.counts.items()
            },
        }


def write_split(
    directory: str | Path,
    table: "Table",
    data: CleanData,
    *,
    ratios: Ratios = DEFAULT_RATIOS,
    seed: int,
    version: str,
    group_column: str | None = None,
    keep_duplicates: bool = False,
    format: str | None = None,
) -> SplitResult:
    """Split the cleaned rows and write them with all columns, in UTF-8, uncompressed.

    Args:
        directory: new, or empty; parents are made.
        table: what ``data`` was cleaned from.
        data: the rows to split.
        ratios: of train, val and test.
        seed: the same seed on the same input gives the same bytes.
        version: of emoclass, for the record.
        group_column: a column whose equal values stay together, such as users or threads.
        keep_duplicates: whether texts that are the same, or nearly so, may be divided.
        format: csv, tsv, jsonl or parquet; the table's when not given.

    Raises:
        DataError: the directory is not empty, a class is too small, writing failed; nothing is left behind.
    """
    import numpy as np

    LabelSet.from_labels(data.labels, where=f"{table.name}: column {quoted(data.columns.label)}: ")
    target = free_directory(directory, "the split")
    groups = _groups(table, data, group_column, keep_duplicates)
    unit = "different texts" if group_column is None else f"groups of --group-column {quoted(group_column)}"
    parts = split_indices(data.texts, data.labels, ratios=ratios, seed=seed, groups=groups, unit=unit)
    sizes = np.bincount(groups)
    deviation, name, part = largest_deviation(data.labels, parts, ratios)
    format = format or table.format
    result = SplitResult(
        directory=Path(directory),
        files={part: f"{part}.{format}" for part in parts},
        counts={part: _sorted_counts([data.labels[row] for row in rows]) for part, rows in parts.items()},
        input_name=table.name,
        input_sha256=table.sha256,
        text_column=data.columns.text,
        label_column=data.columns.label,
        total_rows=data.total_rows,
        removed=data.removed_counts,
        conflicts=len(data.conflicts),
        ratios=ratios,
        seed=seed,
        grouping={
            "near_duplicates": not keep_duplicates,
            "group_column": group_column,
            "groups": int((sizes > 1).sum()),
            "rows_in_groups": int(sizes[sizes > 1].sum()),
        },
        largest_deviation={"deviation": round(deviation, 6), "class": name, "part": part},
        sha256={},
        version=version,
    )
    frames = {part: table.frame.iloc[data.rows[rows] - 1] for part, rows in parts.items()}
    schema = schema_of(table, format)
    with new_directory(target, "the split", name=directory) as aside:
        for part, frame in frames.items():
            write_rows(aside / result.files[part], frame, format, schema=schema)
            result.sha256[part] = file_sha256(aside / result.files[part])
        record = json.dumps(result.to_dict(), ensure_ascii=False, indent=2) + "\n"
        # Bytes of a file name that are not UTF-8 become JSON's escapes.
        (aside / SPLIT_FILE).write_bytes(record.encode("utf-8", "backslashreplace"))
    return result


def _groups(table: "Table", data: CleanData, group_column: str | None, keep_duplicates: bool) -> "NDArray[np.int64]":
    import numpy as np

    same = np.arange(len(data)) if keep_duplicates else duplicate_groups(data.texts)
    if group_column is None:
        return same
    if group_column not in table.frame.columns:
        raise DataError(
            f"{table.name}: no column {quoted(group_column)} for --group-column; the columns are"
            f" {listed(table.frame.columns)}"
        )
    values = [cell_label(value) for value in table.frame[group_column].iloc[data.rows - 1].tolist()]
    # A row without a value is a group of its own.
    keys = [("row", str(row)) if not value else ("value", value) for row, value in enumerate(values)]
    numbers: dict[tuple[str, str], int] = {}
    return merge_groups(same, np.array([numbers.setdefault(key, len(numbers)) for key in keys]))


def _sorted_counts(labels: list[str]) -> dict[str, int]:
    counts = Counter(labels)
    return {label: counts[label] for label in sorted_names(counts)}
