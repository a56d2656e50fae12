"""A first split for groups of rows with any number of labels: iterative stratification over labels and their pairs.

Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-label Data"; with pairs as further labels, as in
Szymański and Kajdanowicz 2017, "A Network Perspective on Stratification of Multi-Label Data". The packages that have
either (iterative-stratification, scikit-multilearn) split single rows, not groups of them.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from emoclass.data.split.groups import Groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt


def place_iteratively(groups: Groups, ratios: Sequence[float]) -> npt.NDArray[np.int64]:
    """Place groups label by label, that with the fewest groups left first, each where its label is missing most.

    Args:
        groups: The groups; their last label is one that all rows have.
        ratios: Ratio of each split.

    Returns:
        Split of each group, ``int64[groups]``.
    """
    import numpy as np

    of_group, rows, members = _with_pairs(groups)
    total = np.zeros(len(members), dtype=np.int64)
    for group, labels in enumerate(of_group):
        total[labels] += rows[group]
    missing = np.outer(total, ratios)
    everything = groups.classes - 1
    waiting = np.array([len(each) for each in members], dtype=np.int64)
    split_of_group = np.full(len(of_group), -1, dtype=np.int64)
    while waiting.any():
        label = int(np.where(waiting > 0, waiting, len(of_group) + 1).argmin())
        for group in members[label]:
            if split_of_group[group] >= 0:
                continue
            split = _most_missing(missing[label], missing[everything])
            split_of_group[group] = split
            missing[of_group[group], split] -= rows[group]
            waiting[of_group[group]] -= 1
    return split_of_group


def _most_missing(missing: npt.NDArray[np.float64], rows: npt.NDArray[np.float64]) -> int:
    """Return the split that misses most rows of a label, of several such the one that misses most rows at all."""
    import numpy as np

    return int(np.lexsort((rows, np.round(missing, 9)))[-1])


def _with_pairs(
    groups: Groups,
) -> tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[np.int64]], list[list[int]]]:
    """Return labels and pairs of each group, the rows of each, and the groups of each label and pair by rank."""
    import numpy as np

    entries = [groups.entries(group) for group in range(len(groups.sizes))]
    rows_of = [
        dict(zip(groups.entry_label[each].tolist(), groups.entry_rows[each].tolist(), strict=True)) for each in entries
    ]
    # The last label is the one of all rows.
    pairs_of = [{(i, j): min(rows[i], rows[j]) for i, j in combinations([*rows][:-1], 2)} for rows in rows_of]
    numbers = {pair: groups.classes + n for n, pair in enumerate(sorted(set().union(*pairs_of)))}
    of_group = [
        np.array([*rows, *map(numbers.__getitem__, pairs)]) for rows, pairs in zip(rows_of, pairs_of, strict=True)
    ]
    rows = [np.array([*rows.values(), *pairs.values()]) for rows, pairs in zip(rows_of, pairs_of, strict=True)]
    members: list[list[int]] = [[] for _ in range(groups.classes + len(numbers))]
    for group in np.argsort(groups.ranks).tolist():
        for label in of_group[group].tolist():
            members[label].append(group)
    return of_group, rows, members
