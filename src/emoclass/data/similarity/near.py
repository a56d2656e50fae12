"""Find texts that are nearly the same: other punctuation, a typo, two words swapped.

Texts are near if they are equal without punctuation (see ``bare``), or if at least ``SIMILARITY`` of their characters
need no insertion or deletion to turn one into the other, with their words as they are or sorted. Candidates share many
words (see ``candidates``), so that memory and time grow with the texts, not with their pairs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emoclass.data.similarity.bare import bare_text
from emoclass.data.similarity.candidates import candidate_pairs
from emoclass.data.similarity.exchanges import exchange_words
from emoclass.data.similarity.folding import fold_text, hashes_of
from emoclass.data.similarity.words import are_characters, words_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BATCH = 50_000
SIMILARITY = 0.94
# An emoji counts as a word of so many letters.
_EMOJI_LETTERS = 8
_EMOJI = re.compile(r"(?<!\S)[^\w\s](?!\S)")


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
    bare, hashes = np.empty(len(texts), dtype=np.int64), np.empty(len(texts), dtype=np.int64)
    for start in range(0, len(texts), _BATCH):
        folded = [fold_text(text) for text in texts[start : start + _BATCH]]
        chosen = slice(start, start + len(folded))
        hashes[chosen] = hashes_of(folded)
        bare[chosen] = [unique.setdefault(_key(text), len(unique)) for text in folded]
    components = _connect(len(unique), near_pairs(list(unique)))
    return _numbered(hashes), _numbered(components[bare])


class NearTexts:
    """A set of folded texts that also contains texts nearly the same."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._arranged: tuple[list[str], list[str]] = ([], [])

    def add(self, text: str) -> None:
        """Add a folded text."""
        key = _key(text)
        self._texts.add(key)
        if words := words_of(key):
            for known, arranged in zip(self._arranged, _arrangements(words), strict=True):
                known.append(arranged)

    def __contains__(self, text: str) -> bool:
        from rapidfuzz import fuzz
        from rapidfuzz.process import extractOne

        key = _key(text)
        if key in self._texts:
            return True
        words = words_of(key)
        return any(
            extractOne(arranged, known, scorer=fuzz.ratio, score_cutoff=100 * SIMILARITY) is not None
            for arranged, known in (zip(_arrangements(words), self._arranged, strict=True) if words else ())
        )


def merge_groups(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Merge two groupings: rows that share a group in either share one in the result, ``int64[rows]``."""
    import numpy as np

    offset = int(first.max(initial=-1)) + 1
    pairs = np.stack([first, offset + second], axis=1)
    return _connect(offset + int(second.max(initial=-1)) + 1, pairs)[first]


def near_pairs(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return pairs of bare texts that are nearly the same, ``int64[pairs, 2]``: enough to connect each group."""
    import numpy as np

    pairs, templates = candidate_pairs(texts)
    pairs = pairs[_are_near(texts, pairs)]
    misspelled = templates.misspelled()
    return np.concatenate([pairs[~exchange_words(texts, pairs)], misspelled[_are_near(texts, misspelled)]])


def _are_near(texts: Sequence[str], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which pairs of bare texts are similar enough, ``bool[pairs]``."""
    import numpy as np
    from rapidfuzz import fuzz
    from rapidfuzz.process import cpdist

    near = np.zeros(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), _BATCH):
        chosen = slice(start, start + _BATCH)
        members, places = np.unique(pairs[chosen], return_inverse=True)
        arranged = [_arrangements(words_of(texts[index])) for index in members.tolist()]
        columns = places.reshape(-1, 2).T.tolist()
        for way in (0, 1):
            left, right = ([arranged[place][way] for place in column] for column in columns)
            scores = cpdist(left, right, scorer=fuzz.ratio, score_cutoff=100 * SIMILARITY, workers=-1)
            near[chosen] |= scores > 0
    return near


def _key(folded: str) -> str:
    """Return a folded text without punctuation and question marks."""
    bare = bare_text(folded)
    return " ".join(bare.replace("?", "").split()) or bare if "?" in bare else bare


def _arrangements(words: Sequence[str]) -> tuple[str, str]:
    """Return the words of a text as they are, and sorted."""
    if are_characters(words):
        # Other texts have nearly the same characters in another order: they must be all the same.
        return "".join(words), str(hash("".join(sorted(words))))
    if not all(map(str.isascii, words)):
        words = [_EMOJI.sub(lambda emoji: emoji[0] * _EMOJI_LETTERS, word) for word in words]
    return " ".join(words), " ".join(sorted(words))


def _numbered(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the groups, numbered in the order of their first members."""
    import numpy as np

    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number]


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
