"""Write a cleaned copy of a table and a record of all changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.cleaning.spellings import repaired, respellings
from emoclass.data.cleaning.traits import is_placeholder
from emoclass.data.columns.cells import cell_text
from emoclass.data.columns.label_kinds import unusual_kind
from emoclass.data.columns.labels import Label, each_name, names_of, shown_label
from emoclass.data.columns.naming import place_in
from emoclass.data.similarity.folding import fold_text
from emoclass.data.similarity.near import NearTexts, duplicate_groups
from emoclass.data.tables.formats import format_of
from emoclass.data.tables.rows import schema_of, write_rows
from emoclass.data.tables.split_directories import CHANGES
from emoclass.data.tables.styles import style_of
from emoclass.errors import ConfigError, DataError
from emoclass.files import new_files
from emoclass.outputs import is_same_file

if TYPE_CHECKING:
    import pandas as pd

    from emoclass.data.tables.table import Table

_LABEL = "label"


@dataclass(frozen=True)
class Change:
    """A change of one row.

    Attributes:
        row: 1-based data row of the input.
        action: ``removed`` or ``repaired``.
        reason: A reason of cleaning, ``several_labels``, ``placeholder``, ``near_duplicate``, ``damaged_encoding``
            or, if the label is repaired, ``label``.
        text: The text, or the label, before the change.
        new_text: What it is after the change; empty if the row is removed.
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
    encoding, if that can be undone, and labels likewise; gives labels that look the same one spelling. Keeps rows with
    the same text and several labels: only a person can decide which is right.

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
    spellings = _respellings(data)
    changes = sorted(_changes(table, data, spellings), key=lambda change: change.row)
    removed = {change.row for change in changes if change.action == "removed"}
    if len(removed) == len(table.frame):
        raise DataError(
            f"{table.name}: --fix {path} would remove all rows, and wrote nothing: choose one label for each"
        )
    frame = table.frame.copy(deep=False)
    repairs = [change for change in changes if change.action == "repaired"]
    for name in data.columns.texts:
        rows = [each.row for each in repairs if each.reason != _LABEL]
        frame[name] = _with_cells(frame[name], rows, _repaired_cell)
    for name in data.columns.labels if spellings else ():
        respell = partial(_respelled_cell, spellings=spellings, separator=data.columns.label_separator)
        frame[name] = _with_cells(frame[name], [each.row for each in repairs if each.reason == _LABEL], respell)
    kept = frame.iloc[[row - 1 for row in range(1, len(frame) + 1) if row not in removed]]
    listed = [(str(c.row), c.action, c.reason, *(_without_nul(text) for text in (c.text, c.new_text))) for c in changes]
    columns = ["row", "action", "reason", "text", "new_text"]
    changes_frame = pd.DataFrame(listed, columns=columns, dtype=object)
    if table.files:
        places = [place_in(table.files, c.row, int(table.lines[c.row - 1])) for c in changes]
        changes_frame.insert(1, "place", places)
    is_replaced = is_same_file(target, table.name) and table.layout["format"] == format_
    style = style_of(target, table.layout) if is_replaced else None
    with new_files(target, "the cleaned table", overwrite=overwrite) as aside:
        write_rows(aside / target.name, kept, format_, schema=schema_of(table, format_), style=style)
        write_rows(aside / record.name, changes_frame, "csv")
    return record, changes


def _with_cells(column: pd.Series, rows: Sequence[int], change: Callable[[object], object]) -> pd.Series:
    import pandas as pd

    if not rows:
        return column
    cells = column.tolist()
    for row in rows:
        cells[row - 1] = change(cells[row - 1])
    changed: pd.Series = pd.Series(cells, index=column.index, dtype=object)
    return changed


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


def _changes(table: Table, data: CleanData, spellings: Mapping[str, str]) -> Iterator[Change]:
    columns = data.columns
    cells = list(zip(*(table.frame[name].tolist() for name in columns.texts), strict=True))
    for reason, rows in data.removed.items():
        for row in rows:
            yield Change(row, "removed", reason, columns.text_of(cells[row - 1]) or "")
    kind = unusual_kind(Counter(each_name(data.labels))) if columns.task == "single" else None
    several = kind.names if kind is not None and kind.code == "several_labels" else {}
    texts = [
        text if repaired(text) == text else columns.text_of([_repaired_cell(cell) for cell in cells[row - 1]]) or text
        for row, text in zip(data.rows.tolist(), data.texts, strict=True)
    ]
    labels = _respelled_labels(table, data, spellings)
    groups = duplicate_groups(texts).tolist()
    # In a chain of near texts the last may be far from the first: compare with kept texts, not with the group.
    kept: dict[tuple[int, Label], NearTexts] = defaultdict(NearTexts)
    for position, (row, text) in enumerate(zip(data.rows.tolist(), data.texts, strict=True)):
        label, new_label = data.labels[position], labels[position]
        same = kept[groups[position], new_label]
        folded = fold_text(texts[position])
        if label in several:
            yield Change(row, "removed", "several_labels", text)
        elif is_placeholder(text):
            yield Change(row, "removed", "placeholder", text)
        elif folded in same:
            yield Change(row, "removed", "near_duplicate", text)
        else:
            same.add(folded)
            if texts[position] != text:
                yield Change(row, "repaired", "damaged_encoding", text, texts[position])
            if new_label != label:
                yield Change(row, "repaired", _LABEL, shown_label(label), shown_label(new_label))


def _respellings(data: CleanData) -> dict[str, str]:
    """Return other spellings for names in cells of the label column."""
    is_named = len(data.columns.labels) == 1 and not data.columns.class_names
    return respellings(Counter(each_name(data.labels))) if is_named else {}


def _respelled_cell(cell: object, spellings: Mapping[str, str], separator: str) -> object:
    if isinstance(cell, list):
        return [_respelled_cell(each, spellings, "") for each in cell]
    if not isinstance(cell, str):
        return cell
    pieces = cell.split(separator) if separator else [cell]
    names = [piece.strip() for piece in pieces]
    pairs = zip(pieces, names, strict=True)
    return separator.join(piece.replace(name, spellings.get(name, name)) if name else piece for piece, name in pairs)


def _respelled_labels(table: Table, data: CleanData, spellings: Mapping[str, str]) -> list[Label]:
    if not spellings:
        return data.labels
    labels = list(data.labels)
    cells = table.frame[data.columns.label].tolist()
    for position, row in enumerate(data.rows.tolist()):
        if any(name in spellings for name in names_of(labels[position])):
            cell = _respelled_cell(cells[row - 1], spellings, data.columns.label_separator)
            labels[position] = data.columns.read_label([cell]) or labels[position]
    return labels


def _without_nul(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _repaired_cell(cell: object) -> object:
    text = cell_text(cell)
    new = None if text is None else repaired(text)
    return cell if new == text else new
