"""Tell exchanged words ("sad" for "mad") from misspelled ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

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

    times = Counter(exchange for pair in pairs.tolist() for exchange in _exchanges(texts, pair))
    wanted = {word for exchange, number in times.items() if number >= _LEAST_PAIRS for word in exchange}
    counts = Counter(word for text in texts if wanted for word in wanted.intersection(text.split()))

    def are_both_common(exchange: tuple[str, str]) -> bool:
        rare, common = sorted(counts[word] for word in exchange)
        return times[exchange] >= _LEAST_PAIRS and common < _TIMES_AS_COMMON * rare

    other = {exchange for exchange in times if not _may_be_typo(*exchange) or are_both_common(exchange)}
    found = (bool(other) and not other.isdisjoint(_exchanges(texts, pair)) for pair in pairs.tolist())
    return np.fromiter(found, np.bool_, len(pairs))


def _exchanges(texts: Sequence[str], pair: Sequence[int]) -> list[tuple[str, str]]:
    """Return each word that only the first text has, with the most similar one that only the second has.

    Returns none if one text has more such words or is long. The words of an exchange are in the order of letters.
    """
    from rapidfuzz.distance import Indel

    first, second = (texts[index] for index in pair)
    if first.count(" ") >= _LONG:
        return []
    mine, theirs = set(first.split()), set(second.split())
    mine, theirs = mine - theirs, theirs - mine
    if len(mine) != len(theirs):
        return []
    similar = ((word, min((Indel.distance(word, other), other) for other in theirs)[1]) for word in mine)
    return [(min(exchange), max(exchange)) for exchange in similar]


def _may_be_typo(first: str, second: str) -> bool:
    from rapidfuzz.distance import OSA

    if _NO_TYPO.search(first) or _NO_TYPO.search(second):
        return False
    return OSA.distance(first, second) <= 1 or _RUN.sub(r"\1", first) == _RUN.sub(r"\1", second)
