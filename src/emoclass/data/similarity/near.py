"""Find texts that are nearly the same: a typo, other punctuation, two words swapped.

Candidates share many words: MinHash with banding, whose memory and time grow with the texts, not with their pairs. They
are near if at least ``SIMILARITY`` of their characters need no insertion or deletion to turn one into the other, with
their words as they are or sorted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emoclass.data.similarity.folding import fold_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Shorter texts differ by a word that matters ("i feel bad", "i feel sad") as often as by a typo.
_LEAST_WORDS, _LEAST_CHARACTERS = 5, 25
# MinHash: hashes per text and hashes per band; fewer for short texts, where a typo changes a larger share.
_HASHES, _ROWS, _SHORT_ROWS, _SEED = 80, 4, 3, 1
_SHORT_WORDS = 7
_BATCH = 50_000
# A text is compared with at most so many others of the same band.
_NEIGHBOURS = 8
SIMILARITY = 0.94
_WORD = re.compile(r"\w+")


def duplicate_groups(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Group texts that are equal when folded or nearly the same.

    Returns:
        Group of each text, ``int64[texts]``, numbered in the order of their first texts.
    """
    return folded_and_near_groups(texts)[1]


def folded_and_near_groups(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Group texts that are equal when folded, and also those that are nearly the same, ``int64[texts]`` each."""
    import numpy as np

    unique: dict[str, int] = {}
    folded = np.fromiter((unique.setdefault(fold_text(text), len(unique)) for text in texts), np.int64, len(texts))
    components = _connect(len(unique), near_pairs(list(unique)))
    # Components are numbered in any order.
    _, first, number = np.unique(components, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return folded, rank[number][folded]


class NearTexts:
    """A set of folded texts that also contains texts nearly the same."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._arranged: tuple[list[str], list[str]] = ([], [])

    def add(self, text: str) -> None:
        """Add a folded text."""
        self._texts.add(text)
        if _is_long_enough(text):
            for known, arranged in zip(self._arranged, _arrangements(text), strict=True):
                known.append(arranged)

    def __contains__(self, text: str) -> bool:
        from rapidfuzz import fuzz
        from rapidfuzz.process import extractOne

        if text in self._texts:
            return True
        pairs = zip(_arrangements(text), self._arranged, strict=True) if _is_long_enough(text) else ()
        return any(
            extractOne(arranged, known, scorer=fuzz.ratio, score_cutoff=100 * SIMILARITY) is not None
            for arranged, known in pairs
        )


def _is_long_enough(text: str) -> bool:
    return len(text) >= _LEAST_CHARACTERS and len(_WORD.findall(text)) >= _LEAST_WORDS


def _arrangements(text: str) -> tuple[str, str]:
    """Return the words of a text as they are, and sorted."""
    words = _WORD.findall(text)
    return " ".join(words), " ".join(sorted(words))


def merge_groups(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Merge two groupings: rows that share a group in either share one in the result, ``int64[rows]``."""
    import numpy as np

    offset = int(first.max(initial=-1)) + 1
    pairs = np.stack([first, offset + second], axis=1)
    return _connect(offset + int(second.max(initial=-1)) + 1, pairs)[first]


def near_pairs(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return pairs of folded texts that are nearly the same, ``int64[pairs, 2]``: enough to connect each group."""
    import numpy as np
    from rapidfuzz import fuzz
    from rapidfuzz.process import cpdist

    pairs = _candidates(texts)
    near = np.zeros(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), _BATCH):
        chosen = slice(start, start + _BATCH)
        members, places = np.unique(pairs[chosen], return_inverse=True)
        arranged = [_arrangements(texts[index]) for index in members.tolist()]
        columns = places.reshape(-1, 2).T.tolist()
        for way in (0, 1):
            left, right = ([arranged[place][way] for place in column] for column in columns)
            scores = cpdist(left, right, scorer=fuzz.ratio, score_cutoff=100 * SIMILARITY, workers=-1)
            near[chosen] |= scores > 0
    return pairs[near]


def _candidates(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return pairs of texts that share a band of their MinHash, ``int64[pairs, 2]``, sorted."""
    import numpy as np

    # Words are cut again where they are needed: kept for a million texts they would fill a gigabyte.
    eligible = np.flatnonzero(np.fromiter(map(_is_long_enough, texts), np.bool_, len(texts)))
    is_short = (len(_WORD.findall(texts[index])) <= _SHORT_WORDS for index in eligible.tolist())
    short = eligible[np.fromiter(is_short, np.bool_, len(eligible))]
    keys = [np.empty(0, dtype=np.int64)]
    for members, rows in ((eligible, _ROWS), (short, _SHORT_ROWS)):
        batches = [members[start : start + _BATCH].tolist() for start in range(0, len(members), _BATCH)]
        bands = [_bands([set(_WORD.findall(texts[index])) for index in batch], rows) for batch in batches]
        for band in np.concatenate(bands).T if bands else ():
            order = np.argsort(band, kind="stable")
            ordered, ids = band[order], members[order]
            for distance in range(1, min(_NEIGHBOURS, len(members) - 1) + 1):
                same = ordered[distance:] == ordered[:-distance]
                if not same.any():
                    break
                first, second = ids[:-distance][same], ids[distance:][same]
                keys.append(np.minimum(first, second) * len(texts) + np.maximum(first, second))
    found = np.concatenate(keys)
    del keys
    found.sort()
    # np.unique hashes, which takes ten times as long here.
    return np.stack(np.divmod(found[np.diff(found, prepend=-1) > 0], max(1, len(texts))), axis=1)


def _bands(words: Sequence[set[str]], rows: int) -> npt.NDArray[np.uint64]:
    """Return a hash for each band of each text's MinHash, ``uint64[texts, bands]``."""
    import numpy as np
    from rensa import RMinHash

    bands = _HASHES // rows
    hashes = RMinHash.digests_from_token_sets(words, bands * rows, _SEED)
    digests = np.array(hashes, dtype=np.uint64).reshape(len(words), bands, rows)
    mixed = np.zeros(digests.shape[:2], dtype=np.uint64)
    for row in range(rows):
        mixed = (mixed ^ digests[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
    return mixed


def _connect(texts: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the connected component of each text, ``int64[texts]``."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Older releases of scipy print an error for 64-bit indices.
    rows, columns = pairs.T.astype(np.int32)
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (rows, columns)), shape=(texts, texts))
    components: npt.NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return components
