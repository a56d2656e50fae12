"""Find repeated texts: within a table, with different labels, and in several tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.labels import Label, shown_label
from emoclass.data.inspection.results import Duplicates, Leak, Repetition
from emoclass.data.similarity.near import folded_and_near_groups

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SHOWN = 5
_SHOWN_ROWS = 6


@dataclass(frozen=True, eq=False)
class _Part:
    """A table with the group of each row: equal when folded, and nearly the same, ``int64[rows]`` each."""

    data: CleanData
    exact: npt.NDArray[np.int64]
    near: npt.NDArray[np.int64]


def find_duplicates(parts: Mapping[str, CleanData]) -> tuple[dict[str, Duplicates], tuple[Leak, ...]]:
    """Return the repeated texts within each table and the leaks between tables."""
    import numpy as np

    texts = [text for data in parts.values() for text in data.texts]
    borders = np.cumsum([len(data) for data in parts.values()])[:-1]
    exact, near = (np.split(groups, borders) for groups in folded_and_near_groups(texts))
    grouped = {name: _Part(data, exact[i], near[i]) for i, (name, data) in enumerate(parts.items())}
    names = list(parts)
    leaks = [
        leak
        for position, name in enumerate(names)
        for other in names[:position]
        if (leak := _leak(name, grouped[name], other, grouped[other])) is not None
    ]
    return {name: _within(part) for name, part in grouped.items()}, tuple(leaks)


def _within(part: _Part) -> Duplicates:
    import numpy as np

    folded = len(set(part.data.texts)) - len(np.unique(part.exact))
    near = len(np.unique(part.exact)) - len(np.unique(part.near))
    groups = sorted(_members(part.near), key=len, reverse=True)
    nearly = [members for members in groups if len(np.unique(part.exact[members])) > 1]
    texts, labels = part.data.texts, part.data.labels
    conflicts = [
        _labels_first(labels, members)
        for members in groups
        if len({labels[i] for i in members}) > 1 and len({texts[i] for i in members}) > 1
    ]
    return Duplicates(
        folded=folded,
        near=near,
        near_examples=tuple(_repetition(part.data, members) for members in nearly[:_SHOWN]),
        near_conflicts=len(conflicts),
        near_conflict_examples=tuple(_repetition(part.data, members) for members in conflicts[:_SHOWN]),
    )


def _members(groups: npt.NDArray[np.int64]) -> list[list[int]]:
    """Return the positions of the rows of each group of several rows."""
    import numpy as np

    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return [members.tolist() for members in np.split(order, starts[1:]) if len(members) > 1]


def _labels_first(labels: Sequence[Label], members: Sequence[int]) -> list[int]:
    """Return the first row of each label, then the other rows."""
    first = {labels[i]: i for i in reversed(members)}
    return sorted(members, key=lambda i: first[labels[i]] != i)


def _repetition(data: CleanData, members: Sequence[int]) -> Repetition:
    shown = members[:_SHOWN_ROWS]
    return Repetition(
        texts=tuple(data.texts[i] for i in shown),
        labels=tuple(shown_label(data.labels[i]) for i in shown),
        rows=tuple(int(data.rows[i]) for i in shown),
        lines=data.lines_of(shown),
        size=len(members),
    )


def _leak(name: str, part: _Part, other_name: str, other: _Part) -> Leak | None:
    import numpy as np

    exact = np.isin(part.exact, other.exact)
    near = np.isin(part.near, other.near) & ~exact
    if not (exact | near).any():
        return None
    shown = [*np.flatnonzero(near)[: _SHOWN - 2].tolist(), *np.flatnonzero(exact)[:2].tolist()]
    examples = []
    for row in shown:
        groups, mine = (other.exact, part.exact[row]) if exact[row] else (other.near, part.near[row])
        examples.append((part.data.texts[row], other.data.texts[int(np.flatnonzero(groups == mine)[0])]))
    rows, more = int(exact.sum()), int(near.sum())
    return Leak(name, other_name, rows, more, (rows + more) / len(part.exact), tuple(examples))
