"""A cleaned copy of a table, and an account of everything that was changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.cleaning.traits import is_damaged, is_placeholder
from emoclass.data.columns.cells import cell_text
from emoclass.data.similarity.folding import fold_text
from emoclass.data.similarity.near import NearTexts, duplicate_groups
from emoclass.data.tables.formats import format_of
from emoclass.data.tables.rows import schema_of, write_rows
from emoclass.data.tables.split_directories import CHANGES
from emoclass.errors import ConfigError
from emoclass.files import new_files

if TYPE_CHECKING:
    from emoclass.data.tables.table import Table


@dataclass(frozen=True)
class Change:
    """What was done to one row.

    Attributes:
        row: 1-based data row of the input.
        action: ``removed`` or ``repaired``.
        reason: why: a reason of cleaning, ``placeholder``, ``near_duplicate`` or ``damaged_encoding``.
        text: as it was.
        new_text: as it is now; empty if the row is gone.
    """

    row: int
    action: str
    reason: str
    text: str
    new_text: str = ""


def fix_table(table: Table, data: CleanData, path: str | Path) -> tuple[Path, list[Change]]:
    """Write the cleaned table to a new file, and what was changed to another beside it.

    Rows without text or label go, repetitions, placeholders, and rows whose text is nearly that of an earlier row that
    stays and has the same label. Texts damaged by a wrong encoding are repaired where that can be undone. Rows with the
    same text and several labels stay: only a person knows which is right.

    Args:
        table: the input.
        data: what cleaning kept of it.
        path: a new file; its name tells the format.

    Returns:
        Where the changes are written, and the changes, by row.

    Raises:
        ConfigError: see ``check_target``.
        DataError: a file cannot be written; neither is there then.
    """
    import pandas as pd

    target, account, format_ = check_target(path)
    changes = sorted(_changes(table, data), key=lambda change: change.row)
    gone = {change.row for change in changes if change.action == "removed"}
    frame = table.frame.copy(deep=False)
    texts = frame[data.columns.text].tolist()
    for change in changes:
        if change.action == "repaired":
            texts[change.row - 1] = change.new_text
    frame[data.columns.text] = pd.Series(texts, index=frame.index, dtype=object)
    kept = frame.iloc[[row - 1 for row in range(1, len(frame) + 1) if row not in gone]]
    rows = [(str(c.row), c.action, c.reason, *(_without_nul(text) for text in (c.text, c.new_text))) for c in changes]
    columns = ["row", "action", "reason", "text", "new_text"]
    account_frame = pd.DataFrame(rows, columns=columns, dtype=object)
    with new_files(target, "the cleaned table") as aside:
        write_rows(aside / target.name, kept, format_, schema=schema_of(table, format_))
        write_rows(aside / account.name, account_frame, "csv")
    return account, changes


def check_target(path: str | Path) -> tuple[Path, Path, str]:
    """Return the file for the cleaned table, the one for the changes, and the format of the former.

    Raises:
        ConfigError: the name tells no format, or a file is there already.
    """
    target = Path(path)
    format_, compressed = format_of(target.name)
    if format_ is None or compressed:
        raise ConfigError(f"--fix {path}: the name does not tell the format; use .csv, .tsv, .jsonl or .parquet")
    account = target.with_name(target.stem + CHANGES)
    for each in (target, account):
        if each.exists():
            raise ConfigError(f"--fix {path}: {each} is there already; name a new file")
    return target, account, format_


def _changes(table: Table, data: CleanData) -> Iterator[Change]:
    texts = table.frame[data.columns.text].tolist()
    for reason, rows in data.removed.items():
        for row in rows:
            yield Change(row, "removed", reason, cell_text(texts[row - 1]) or "")
    repaired = [_repair(text) for text in data.texts]
    groups = duplicate_groups(repaired).tolist()
    # Of a chain of texts, each near the one before it, the last may be far from the first.
    kept: dict[tuple[int, str], NearTexts] = defaultdict(NearTexts)
    for position, (row, text) in enumerate(zip(data.rows.tolist(), data.texts, strict=True)):
        same = kept[groups[position], data.labels[position]]
        folded = fold_text(repaired[position])
        if is_placeholder(text):
            yield Change(row, "removed", "placeholder", text)
        elif folded in same:
            yield Change(row, "removed", "near_duplicate", text)
        else:
            same.add(folded)
            if repaired[position] != text:
                yield Change(row, "repaired", "damaged_encoding", text, repaired[position])


def _without_nul(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _repair(text: str) -> str:
    if not is_damaged(text):
        return text
    from ftfy import fix_encoding

    return fix_encoding(text)
