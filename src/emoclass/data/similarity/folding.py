"""When two texts count as the same: equal after Unicode, case and blanks are folded."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
from typing import TYPE_CHECKING

import numpy as np


def fold_text(text: str) -> str:
    """The text in NFKC, case folded, with every run of blanks as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_hashes(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Hashes of the folded texts, ``int64[texts]``: the same in every process and version."""
    return hashes_of(map(fold_text, texts))


def hashes_of(strings: Iterable[str]) -> npt.NDArray[np.int64]:
    """Eight bytes of BLAKE2b of each string, ``int64[strings]``."""
    import numpy as np

    digests = [hashlib.blake2b(string.encode("utf-8", "surrogatepass"), digest_size=8).digest() for string in strings]
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


class HashSet:
    """64-bit hashes, eight bytes each, in a few sorted arrays; small ones are merged into larger ones.

    Args:
        hashes: What is in it from the start, ``int64[hashes]``, in any order.
    """

    def __init__(self, hashes: npt.NDArray[np.int64] | None = None) -> None:
        self._sorted = [] if hashes is None or not len(hashes) else [np.unique(hashes)]

    def find(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of the hashes are in the set, ``bool[hashes]``."""
        found = np.zeros(len(hashes), dtype=np.bool_)
        for known in self._sorted:
            positions = np.minimum(known.searchsorted(hashes), len(known) - 1)
            found |= known[positions] == hashes
        return found

    def add(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Adds hashes and tells which were new, ``bool[hashes]``; of equal ones only the first is."""
        unique, first = np.unique(hashes, return_index=True)
        fresh = ~self.find(unique)
        is_new = np.zeros(len(hashes), dtype=np.bool_)
        is_new[first[fresh]] = True
        if fresh.any():
            self._sorted.append(unique[fresh])
        while len(self._sorted) > 1 and len(self._sorted[-2]) < 2 * len(self._sorted[-1]):
            self._sorted.append(np.sort(np.concatenate([self._sorted.pop(), self._sorted.pop()]), kind="stable"))
        return is_new
