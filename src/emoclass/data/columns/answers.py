"""Rows that an annotator rejected, in the files of an annotation tool."""

import shlex
from collections.abc import Callable, Iterable

from emoclass.data.columns.naming import listed

_COLUMN, _ACCEPTED, _OTHERS = "answer", "accept", frozenset({"reject", "ignore"})


def rejected_note(name: str, columns: Iterable[str], sample: Callable[[str], Iterable[object]]) -> tuple[str, ...]:
    """Return a note if a column of Prodigy's answers says that rows were rejected: they would be learned, too.

    Args:
        name: What messages call the input.
        columns: Names of the columns.
        sample: Returns a sample of a column's cells.
    """
    if _COLUMN not in columns:
        return ()
    answers = {str(cell) for cell in sample(_COLUMN) if cell is not None}
    others = sorted(answers & _OTHERS)
    if not others or answers - _OTHERS - {_ACCEPTED}:
        return ()
    return (
        f"{name}: rows of every answer are read, also {listed(others)}: to leave them out, keep those with the answer"
        f""" 'accept', for example with jq -c 'select(.answer == "accept")' {shlex.quote(name)} > accepted.jsonl""",
    )
