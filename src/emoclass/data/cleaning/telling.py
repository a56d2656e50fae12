"""What to tell of the rows that cleaning removed, and of texts that are doubtful."""

from __future__ import annotations

from collections.abc import Mapping

from emoclass.data.columns.naming import counted


def removed_lines(removed: Mapping[str, int], source: str | None = None) -> list[str]:
    """Return a line for each reason for which rows were removed, of a source if it is to be named."""
    of = "" if source is None else f" of {source}"
    reasons = {reason.replace("_", " "): rows for reason, rows in removed.items() if rows}
    return [f"{counted(rows, 'row')}{of} removed: {reason}" for reason, rows in reasons.items()]


def doubt_lines(conflicts: int, leaked: Mapping[str, int] | None = None) -> list[str]:
    """Return a line on texts with several labels, and for each other set one on its texts that are trained on, too.

    Args:
        conflicts: Number of texts with two or more labels.
        leaked: Number of texts of each set that are also in the training set.
    """
    lines = [f"{counted(conflicts, 'text')} with conflicting labels (see inspect-data)"] if conflicts else []
    for split, rows in (leaked or {}).items():
        if rows:
            of = f"of the {split} set also"
            lines.append(f"{counted(rows, f'text {of} appears', f'texts {of} appear')} in the training set")
    return lines
