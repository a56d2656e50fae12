"""Tell exchanged words ("sad" for "mad") from misspelled ones."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from emoclass.data.similarity.words import BATCH

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# In texts of more words one word makes no other text.
_LONG = 20
# Numbers and emoji are never misspelled; "soooo" is a way to write "so".
_NO_TYPO, _RUN = re.compile(r"\d|^\W+$"), re.compile(r"(.)\1+")
# Words that are exchanged in so many pairs of texts are two words, unless one is in so many times as many texts.
_LEAST_PAIRS, _TIMES_AS_COMMON = 5, 20


def exchange_words(texts: Sequence[str], pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which pairs of bare texts have other words, not misspelled ones, ``bool[pairs]``.

    A word is another one if it differs by more than a typo (a letter more, less or changed, two exchanged, a run of
    letters), or if it takes the place of the same word in several pairs. Long texts, and those of which one has more
    words, are never told apart.
    """
    import numpy as np

    @lru_cache(maxsize=BATCH)
    def words(index: int) -> frozenset[str]:
        return frozenset(texts[index].split())

    ids: dict[tuple[str, str], int] = {}
    owners, found = array("q"), array("q")
    for number, (first, second) in enumerate(pairs.tolist()):
        if texts[first].count(" ") < _LONG:
            exchanges = _exchanges(words(first) - words(second), words(second) - words(first))
            owners.extend([number] * len(exchanges))
            found.extend(ids.setdefault(exchange, len(ids)) for exchange in exchanges)
    times = np.bincount(np.array(found, dtype=np.int64), minlength=len(ids)).tolist()
    frequent = {word for exchange, number in ids.items() if times[number] >= _LEAST_PAIRS for word in exchange}
    counts = Counter(word for text in texts if frequent for word in frequent.intersection(text.split()))

    def are_both_common(exchange: tuple[str, str]) -> bool:
        rare, common = sorted(counts[word] for word in exchange)
        return times[ids[exchange]] >= _LEAST_PAIRS and common < _TIMES_AS_COMMON * rare

    are_other = np.array([not _may_be_typo(*each) or are_both_common(each) for each in ids], dtype=np.bool_)
    result = np.zeros(len(pairs), dtype=np.bool_)
    result[np.array(owners, dtype=np.int64)[are_other[np.array(found, dtype=np.int64)]]] = True
    return result


def _exchanges(mine: frozenset[str], theirs: frozenset[str]) -> list[tuple[str, str]]:
    """Return each word of one text with the most similar one of the other, each pair sorted; none if one has more."""
    from rapidfuzz.distance import Indel

    if len(mine) != len(theirs):
        return []
    similar = ((word, min((Indel.distance(word, other), other) for other in theirs)[1]) for word in mine)
    return [(min(exchange), max(exchange)) for exchange in similar]


def _may_be_typo(first: str, second: str) -> bool:
    from rapidfuzz.distance import OSA

    if _NO_TYPO.search(first) or _NO_TYPO.search(second):
        return False
    return OSA.distance(first, second) <= 1 or _RUN.sub(r"\1", first) == _RUN.sub(r"\1", second)
