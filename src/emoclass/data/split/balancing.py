"""Local search: groups move or swap places until the class shares are as close to the ratios as that gets."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from emoclass.data.split.groups import Groups

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# The search is bounded by counts, never by time: the same seed gives the same splits on a slower machine.
_STARTS = 8
# Numbers that one step may compute (swaps x classes x splits), and all steps together.
_STEP_NUMBERS, _ALL_NUMBERS = 1 << 20, 1 << 27
# How much the mean squared deviation counts beside the largest deviation.
_MEAN_WEIGHT = 0.1


def balance(
    split_of_group: npt.NDArray[np.int64], groups: Groups, targets: npt.NDArray[np.float64], *, seed: int
) -> npt.NDArray[np.int64]:
    """Lower the largest deviation of a class share by moves and swaps of groups of several rows.

    Steepest descent from the given placement, then from random changes of the best one. Single rows count as fill:
    they go where the groups leave room. A class never leaves a split.

    Args:
        split_of_group: Split of each group, ``int64[groups]``.
        groups: The groups.
        targets: Requested rows of each class in each split, ``float64[classes, splits]``.
        seed: Seed of the random changes.

    Returns:
        The new split of each group, ``int64[groups]``; that of single rows is unchanged.
    """
    import numpy as np

    search, rng = _Search(groups, targets), random.Random(seed)
    best, best_cost = split_of_group, search.cost_of(split_of_group)
    for start in range(_STARTS):
        if best_cost == 0:
            break
        trial = best.copy()
        chosen = search.candidates(trial)
        has_all = len(chosen) == np.count_nonzero(groups.large)
        if start and has_all:
            _shuffle_some(trial, chosen, targets.shape[1], rng)
        cost = search.descend(trial, chosen)
        if cost < best_cost:
            best, best_cost = trial, cost
        elif not has_all:
            break  # the next start would try the same groups
    return best


def _shuffle_some(
    split_of_group: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64], splits: int, rng: random.Random
) -> None:
    """Put about a third of the chosen groups into random splits."""
    for group in chosen.tolist():
        split = int(rng.random() * 3 * splits)
        if split < splits:
            split_of_group[group] = split


class _Search:
    """Steepest descent over moves and swaps."""

    def __init__(self, groups: Groups, targets: npt.NDArray[np.float64]) -> None:
        self._groups, self._targets = groups, targets
        self._totals = targets.sum(axis=1, keepdims=True)
        self._numbers = _ALL_NUMBERS

    def cost_of(self, split_of_group: npt.NDArray[np.int64]) -> float:
        """Return the cost of a placement."""
        return float(self._costs(*self._counts(split_of_group)))

    def candidates(self, split_of_group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the groups that may move, in an order that the rows' order does not change.

        All groups of several rows, if they are few; else the smallest of the classes that deviate most.
        """
        import numpy as np

        groups = self._groups
        large = np.flatnonzero(groups.large)
        most = math.isqrt(2 * _STEP_NUMBERS // self._targets.size)
        if len(large) <= most:
            return large[np.argsort(groups.ranks[large])]
        rows, _ = self._counts(split_of_group)
        deviation = np.zeros(len(groups.sizes))
        of_class = self._deviations(rows).max(axis=1)
        np.maximum.at(deviation, groups.entry_group, of_class[groups.entry_label])
        order = np.lexsort((groups.ranks[large], groups.sizes[large], -deviation[large]))
        return large[order[:most]]

    def descend(self, split_of_group: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]) -> float:
        """Make the best swap as long as one lowers the cost; change the placement in place and return its cost."""
        import numpy as np

        splits = self._targets.shape[1]
        rows, held = self._counts(split_of_group)
        cost = float(self._costs(rows, held))
        # An empty group in each split makes every move a swap.
        sizes = np.concatenate([self._groups.dense(chosen), np.zeros((splits, self._groups.classes), dtype=np.int64)])
        where = np.concatenate([split_of_group[chosen], np.arange(splits)])
        while cost > 0:
            where[len(chosen) :] = np.arange(splits)
            first, second = np.triu_indices(len(chosen), m=len(where), k=1)
            differ = where[first] != where[second]
            first, second = first[differ], second[differ]
            self._numbers -= len(first) * self._targets.size
            if not len(first) or self._numbers < 0:
                break
            place = np.eye(splits, dtype=np.int64)[where]
            moved = (place[second] - place[first])[:, None, :]
            more_rows = (sizes[first] - sizes[second])[:, :, None] * moved
            more_held = ((sizes[first] > 0).astype(np.int64) - (sizes[second] > 0))[:, :, None] * moved
            costs = self._costs(rows + more_rows, held + more_held)
            best = int(costs.argmin())
            if costs[best] >= cost:
                break
            cost, rows, held = float(costs[best]), rows + more_rows[best], held + more_held[best]
            where[[first[best], second[best]]] = where[[second[best], first[best]]]
        split_of_group[chosen] = where[: len(chosen)]
        return cost

    def _counts(self, split_of_group: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Count rows and groups of each class in each split without single rows, ``int64[classes, splits]`` each."""
        import numpy as np

        placed = np.where(self._groups.large, split_of_group, -1)
        splits = self._targets.shape[1]
        return self._groups.count(placed, splits, rows=True), self._groups.count(placed, splits, rows=False)

    def _deviations(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return how far class shares deviate once single rows fill up what is missing, ``[..., classes, splits]``."""
        import numpy as np

        gaps = rows - self._targets
        excess = np.maximum(gaps, 0).sum(axis=-1, keepdims=True)
        unfilled = excess / np.maximum(self._groups.singles[:, None] + excess, 1e-9)
        deviations: npt.NDArray[np.float64] = np.abs(np.where(gaps < 0, gaps * unfilled, gaps)) / self._totals
        return deviations

    def _costs(self, rows: npt.NDArray[np.int64], held: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Add up the largest deviation, a little of the mean squared one, and 2 for each class that a split lacks."""
        import numpy as np

        deviations = self._deviations(rows)
        missing = np.maximum((held == 0).sum(axis=-1) - self._groups.singles, 0).sum(axis=-1)
        costs = deviations.max(axis=(-2, -1)) + _MEAN_WEIGHT * (deviations**2).mean(axis=(-2, -1))
        # The last digits of a sum may differ between machines.
        rounded: npt.NDArray[np.float64] = np.round(2 * missing + costs, 9)
        return rounded
