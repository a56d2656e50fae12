"""Write a cleaned copy of a table and a record of all changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.cleaning.traits import is_damaged, is_placeholder
from emoclass.data.columns.cells import cell_text
from emoclass.data.columns.label_kinds import unusual_kind
from emoclass.data.columns.labels import Label, each_name
from emoclass.data.columns.naming import place_in
from emoclass.data.similarity.folding import fold_text
from emoclass.data.similarity.near import NearTexts, duplicate_groups
from emoclass.data.tables.formats import format_of
from emoclass.data.tables.rows import schema_of, write_rows
from emoclass.data.tables.split_directories import CHANGES
from emoclass.errors import ConfigError, DataError
from emoclass.files import new_files

if TYPE_CHECKING:
    from emoclass.data.tables.table import Table


@dataclass(frozen=True)
class Change:
    """A change of one row.

    Attributes:
        row: 1-based data row of the input.
        action: ``removed`` or ``repaired``.
        reason: A reason of cleaning, ``several_labels``, ``placeholder``, ``near_duplicate`` or ``damaged_encoding``.
        text: The text before the change.
        new_text: The text after the change; empty if the row is removed.
    """

    row: int
    action: str
    reason: str
    text: str
    new_text: str = ""


def fix_table(table: Table, data: CleanData, path: str | Path, *, overwrite: bool = False) -> tuple[Path, list[Change]]:
    """Write the cleaned table to a new file, and the changes to another one beside it.

    Removes rows without text or label, rows with several labels in the cell, repeated rows, placeholders, and rows
    whose text is nearly that of an earlier kept row with the same label. Repairs texts that were decoded with a wrong
    encoding, if that can be undone. Keeps rows with the same text and several labels: only a person can decide which is
    right.

    Args:
        table: The input.
        data: Its kept rows.
        path: A new file; its suffix is the format.
        overwrite: Whether to replace the files if they exist.

    Returns:
        The file of changes, and the changes by row.

    Raises:
        ConfigError: The file exists, or its suffix is unknown.
        DataError: No row is left, or a file cannot be written; then neither exists.
    """
    import pandas as pd

    target, record, format_ = check_target(path, overwrite=overwrite)
    changes = sorted(_changes(table, data), key=lambda change: change.row)
    removed = {change.row for change in changes if change.action == "removed"}
    if len(removed) == len(table.frame):
        raise DataError(
            f"{table.name}: --fix {path} would remove all rows, and wrote nothing: choose one label for each"
        )
    frame = table.frame.copy(deep=False)
    repaired = [change.row - 1 for change in changes if change.action == "repaired"]
    for name in data.columns.texts if repaired else ():
        cells = frame[name].tolist()
        for position in repaired:
            cells[position] = _repaired_cell(cells[position])
        frame[name] = pd.Series(cells, index=frame.index, dtype=object)
    kept = frame.iloc[[row - 1 for row in range(1, len(frame) + 1) if row not in removed]]
    rows = [(str(c.row), c.action, c.reason, *(_without_nul(text) for text in (c.text, c.new_text))) for c in changes]
    columns = ["row", "action", "reason", "text", "new_text"]
    changes_frame = pd.DataFrame(rows, columns=columns, dtype=object)
    if table.files:
        places = [place_in(table.files, c.row, int(table.lines[c.row - 1])) for c in changes]
        changes_frame.insert(1, "place", places)
    with new_files(target, "the cleaned table", overwrite=overwrite) as aside:
        write_rows(aside / target.name, kept, format_, schema=schema_of(table, format_))
        write_rows(aside / record.name, changes_frame, "csv")
    return record, changes


def check_target(path: str | Path, *, overwrite: bool = False) -> tuple[Path, Path, str]:
    """Return the file for the cleaned table, the file for the changes, and the format of the former.

    Raises:
        ConfigError: A file exists, or the suffix is unknown.
    """
    target = Path(path)
    format_, compressed = format_of(target.name)
    if format_ is None or compressed:
        raise ConfigError(f"--fix {path}: the name does not tell the format; use .csv, .tsv, .jsonl or .parquet")
    record = target.with_name(target.stem + CHANGES)
    for each in (target, record):
        if each.exists() and not (overwrite and each.is_file()):
            raise ConfigError(f"--fix {path}: {each} exists already: name a new file, or pass --overwrite")
    return target, record, format_


def _changes(table: Table, data: CleanData) -> Iterator[Change]:
    columns = data.columns
    cells = list(zip(*(table.frame[name].tolist() for name in columns.texts), strict=True))
    for reason, rows in data.removed.items():
        for row in rows:
            yield Change(row, "removed", reason, columns.text_of(cells[row - 1]) or "")
    kind = unusual_kind(Counter(each_name(data.labels))) if columns.task == "single" else None
    several = kind.names if kind is not None and kind.code == "several_labels" else {}
    repaired = [
        text if not is_damaged(text) else columns.text_of([_repaired_cell(cell) for cell in cells[row - 1]]) or text
        for row, text in zip(data.rows.tolist(), data.texts, strict=True)
    ]
    groups = duplicate_groups(repaired).tolist()
    # In a chain of near texts the last may be far from the first: compare with kept texts, not with the group.
    kept: dict[tuple[int, Label], NearTexts] = defaultdict(NearTexts)
    for position, (row, text) in enumerate(zip(data.rows.tolist(), data.texts, strict=True)):
        same = kept[groups[position], data.labels[position]]
        folded = fold_text(repaired[position])
        if data.labels[position] in several:
            yield Change(row, "removed", "several_labels", text)
        elif is_placeholder(text):
            yield Change(row, "removed", "placeholder", text)
        elif folded in same:
            yield Change(row, "removed", "near_duplicate", text)
        else:
            same.add(folded)
            if repaired[position] != text:
                yield Change(row, "repaired", "damaged_encoding", text, repaired[position])


def _without_nul(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _repaired_cell(cell: object) -> object:
    text = cell_text(cell)
    if text is None or not is_damaged(text):
        return cell
    from ftfy import fix_encoding

    return fix_encoding(text)
