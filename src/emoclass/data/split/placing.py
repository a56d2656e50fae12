"""A first split for each group: where it disturbs the class shares least, and so that no split lacks a class."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

from emoclass.data.columns.naming import shortened
from emoclass.data.split.groups import Groups
from emoclass.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# The search for a placement with every class in every split is bounded by moves, and by groups of a class it tries.
_MOVES, _TRIED = 20_000, 200
# How often any group moves where each leaves a split without a class.
_NOISE = 0.1


class SmallClassError(DataError):
    """Classes are too small to be in every split.

    Attributes:
        names: These classes.
    """

    def __init__(self, message: str, names: Iterable[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


def place_large(groups: Groups, quotas: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place groups of several rows, the largest first, each where it disturbs the class shares least.

    Args:
        groups: The groups.
        quotas: Requested rows of each class in each split, ``int64[classes, splits]``.

    Returns:
        Split of each group, ``int64[groups]``; -1 for single rows.
    """
    import numpy as np

    split_of_group = np.full(len(groups.sizes), -1, dtype=np.int64)
    placed = np.zeros_like(quotas)
    large = np.flatnonzero(groups.large)
    for group in large[np.lexsort((groups.ranks[large], -groups.sizes[large]))].tolist():
        entries = groups.entries(group)
        labels, rows = groups.entry_label[entries], groups.entry_rows[entries, None]
        # Growth of the squared distance from the quotas, relative to them, in each split.
        growth = (rows * (2 * placed[labels] + rows) / np.maximum(quotas[labels], 0.5)).sum(axis=0)
        split = int(growth.argmin())
        split_of_group[group] = split
        placed[labels, split] += rows[:, 0]
    return split_of_group


def complete_splits(
    split_of_group: npt.NDArray[np.int64], groups: Groups, names: list[str], splits: list[str], *, seed: int
) -> None:
    """Move groups until every split has every class.

    A class that a split lacks gets there with the smallest of its groups that leaves no other split without a class.
    Where there is none, the group that leaves the fewest moves, or now and then any (WalkSAT; Selman, Kautz, Cohen
    1994).

    Args:
        split_of_group: Split of each group, ``int64[groups]``; changed in place.
        groups: The groups.
        names: Class names, for messages.
        splits: Names of the splits, for messages.
        seed: Seed of the random moves.

    Raises:
        SmallClassError: No such placement was found.
    """
    held = groups.count(split_of_group, len(splits), rows=False).tolist()
    lacking = [(label, split) for label, counts in enumerate(held) for split, count in enumerate(counts) if not count]
    groups_of, labels_of = _lookups(groups)
    rng = random.Random(seed)
    for _ in range(_MOVES):
        if not lacking:
            return
        label, split = lacking[int(rng.random() * len(lacking))]
        candidates = groups_of(label)
        lost = [sum(held[each][split_of_group[group]] == 1 for each in labels_of(group)) for group in candidates]
        group = candidates[lost.index(min(lost))]
        if min(lost) and rng.random() < _NOISE:
            group = candidates[int(rng.random() * len(candidates))]
        before = int(split_of_group[group])
        for each in labels_of(group):
            held[each][before] -= 1
            held[each][split] += 1
        lacking = [(label, split) for label, split in lacking if not held[label][split]]
        lacking += [(each, before) for each in labels_of(group) if not held[each][before]]
        split_of_group[group] = split
    label, split = min(lacking)
    raise SmallClassError(
        f"{splits[split]} gets no text of {shortened(names[label])}, whose texts belong together with those of other"
        " classes: add rows of this class, merge it with another or remove it",
        [names[label]],
    )


def _lookups(groups: Groups) -> tuple[Callable[[int], list[int]], Callable[[int], list[int]]]:
    """Return functions for the groups of a class, smallest first and at most some, and for the classes of a group."""
    import numpy as np

    @cache
    def groups_of(label: int) -> list[int]:
        members = groups.entry_group[groups.entry_label == label]
        chosen: list[int] = members[np.lexsort((groups.ranks[members], groups.sizes[members]))][:_TRIED].tolist()
        return chosen

    @cache
    def labels_of(group: int) -> list[int]:
        labels: list[int] = groups.entry_label[groups.entries(group)].tolist()
        return labels

    return groups_of, labels_of
