"""Fold Unicode forms, case and whitespace of texts that count as the same, and hash them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from emoclass.data.similarity.bare import bare_text


def fold_text(text: str) -> str:
    """Return a text in NFKC, with folded case and every run of whitespace as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_hashes(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return hashes of the folded texts, ``int64[texts]``, the same in every process and version."""
    return hashes_of(map(fold_text, texts))


def bare_hashes(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return hashes of the texts without punctuation (see ``bare_text``), ``int64[texts]``."""
    return hashes_of(bare_text(fold_text(text)) for text in texts)


def training_hashes(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the hashes of folded and of bare texts that a model keeps, ``int64[hashes]``, sorted.

    Earlier versions kept those of folded texts alone, and look up nothing else: each reads what the other writes.
    """
    return np.union1d(text_hashes(texts), bare_hashes(texts))


def hashes_of(strings: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return eight bytes of BLAKE2b of each string, ``int64[strings]``."""
    digests = [hashlib.blake2b(string.encode("utf-8", "surrogatepass"), digest_size=8).digest() for string in strings]
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


class HashSet:
    """A set of 64-bit hashes of eight bytes each: a few sorted arrays, the small ones merged into larger ones.

    Args:
        hashes: Initial content in any order, ``int64[hashes]``.
    """

    def __init__(self, hashes: npt.NDArray[np.int64] | None = None) -> None:
        self._sorted = [] if hashes is None or not len(hashes) else [np.unique(hashes)]

    def find(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which of the hashes are in the set, ``bool[hashes]``."""
        found = np.zeros(len(hashes), dtype=np.bool_)
        for known in self._sorted:
            positions = np.minimum(known.searchsorted(hashes), len(known) - 1)
            found |= known[positions] == hashes
        return found

    def add(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Add hashes and return which are new, ``bool[hashes]``; of equal hashes only the first is."""
        unique, first = np.unique(hashes, return_index=True)
        fresh = ~self.find(unique)
        is_new = np.zeros(len(hashes), dtype=np.bool_)
        is_new[first[fresh]] = True
        if fresh.any():
            self._sorted.append(unique[fresh])
        while len(self._sorted) > 1 and len(self._sorted[-2]) < 2 * len(self._sorted[-1]):
            self._sorted.append(np.sort(np.concatenate([self._sorted.pop(), self._sorted.pop()]), kind="stable"))
        return is_new
