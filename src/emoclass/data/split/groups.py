"""Groups of rows that must share a split, and how many rows of each class they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from emoclass.data.similarity.folding import fold_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows of each class in each group, one entry for each class of each group.

    Attributes:
        sizes: Rows of each group, ``int64[groups]``.
        ranks: Position of each group in an order that depends on the seed and the texts alone, ``int64[groups]``.
        entry_group: Group of each entry, ascending, ``int64[entries]``.
        entry_label: Class id of each entry, ``int64[entries]``.
        entry_rows: Rows of the class in the group, ``int64[entries]``.
        classes: Number of classes.
        with_singles: Whether groups of one row have one class.
    """

    sizes: npt.NDArray[np.int64]
    ranks: npt.NDArray[np.int64]
    entry_group: npt.NDArray[np.int64]
    entry_label: npt.NDArray[np.int64]
    entry_rows: npt.NDArray[np.int64]
    classes: int
    with_singles: bool = True

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        labels: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
        groups: npt.NDArray[np.int64],
        *,
        seed: int,
        with_singles: bool = True,
    ) -> Groups:
        """Count the rows of each class in each group.

        Args:
            texts: One a row.
            labels: Rows, and the id of a class that each has, ``int64[labels]`` each.
            groups: Group of each row, ``int64[rows]``, numbered from 0 without gaps.
            seed: Seed of the ranks.
            with_singles: Whether groups of one row have one class, so that they can fill up what is missing.
        """
        import numpy as np

        of_rows, label_ids = labels
        classes = int(label_ids.max()) + 1
        keys, rows = np.unique(groups[of_rows] * classes + label_ids, return_counts=True)
        sizes = np.bincount(groups)
        ranks = _ranks(texts, groups, len(sizes), seed)
        return cls(sizes, ranks, *np.divmod(keys, classes), rows, classes, with_singles)

    @cached_property
    def large(self) -> npt.NDArray[np.bool_]:
        """Whether a group is placed as such, ``bool[groups]``; single rows of one class fill up what is missing."""
        return (self.sizes > 1) | (not self.with_singles)

    @cached_property
    def singles(self) -> npt.NDArray[np.int64]:
        """Rows of each class that are a group of their own, ``int64[classes]``."""
        import numpy as np

        return np.bincount(self.entry_label[~self.large[self.entry_group]], minlength=self.classes)

    def entries(self, group: int) -> slice:
        """Return the entries of a group."""
        return slice(*self.entry_group.searchsorted((group, group + 1)))

    def dense(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows of each class in the chosen groups, ``int64[chosen, classes]``."""
        import numpy as np

        rows = np.zeros((len(chosen), self.classes), dtype=np.int64)
        for number, group in enumerate(chosen.tolist()):
            entries = self.entries(group)
            rows[number, self.entry_label[entries]] = self.entry_rows[entries]
        return rows

    def count(self, split_of_group: npt.NDArray[np.int64], splits: int, *, rows: bool) -> npt.NDArray[np.int64]:
        """Count rows or groups of each class in each split, ``int64[classes, splits]``; -1 stands for no split."""
        import numpy as np

        where = split_of_group[self.entry_group]
        placed = where >= 0
        counts = np.zeros((self.classes, splits), dtype=np.int64)
        np.add.at(counts, (self.entry_label[placed], where[placed]), self.entry_rows[placed] if rows else 1)
        return counts


def digest(seed: int, text: str) -> bytes:
    """Return eight bytes that depend on seed and text alone, in every process and version."""
    return hashlib.blake2b(f"{seed}\n{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _ranks(texts: Iterable[str], groups: npt.NDArray[np.int64], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Rank groups by the least digest of their texts, then by the sum of all."""
    import numpy as np

    digests = np.frombuffer(b"".join(digest(seed, fold_text(text)) for text in texts), dtype=">u8").astype(np.uint64)
    least = np.full(count, np.iinfo(np.uint64).max)
    np.minimum.at(least, groups, digests)
    sums = np.zeros(count, dtype=np.uint64)
    np.add.at(sums, groups, digests)
    ranks = np.empty(count, dtype=np.int64)
    ranks[np.lexsort((sums, least))] = np.arange(count)
    return ranks
