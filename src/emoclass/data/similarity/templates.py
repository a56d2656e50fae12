"""Compare texts from few templates ("the food at X was great") word by word."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from emoclass.data.similarity.words import batches, words_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# A word that more texts than this fill differently, all else being equal, is a slot.
_FILLINGS = 9
# A word is a misspelling of another if that has so many letters and is in so many times as many texts; a word of one
# text also is one of a word in so many texts.
_LEAST_LETTERS, _TIMES_AS_COMMON, _COMMON_FROM = 5, 20, 3


class Templates:
    """Texts of which many share most words, by hashes of their words and of all but one of them.

    Texts that differ in slots alone are different texts: names, numbers and feelings are what a template is filled
    with, and if one letter joined two of them, chains would join all.

    Args:
        texts: Bare texts.
        members: Which of them to compare, ``int64[members]``.

    Attributes:
        pairs: Pairs of texts that differ in one word which is no slot, or in the order of their words,
            ``int64[pairs, 2]``.
    """

    def __init__(self, texts: Sequence[str], members: npt.NDArray[np.int64]) -> None:
        import numpy as np

        self._texts, self._members = texts, members
        self._totals = np.zeros(len(texts), dtype=np.uint64)
        key, owner = self._without_one_word()
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])[: len(key)])
        sizes = np.diff(starts, append=len(key))
        in_slot = np.repeat(sizes > _FILLINGS, sizes)
        self._frames = self._totals.copy()
        np.subtract.at(self._frames, owner[in_slot], self._totals[owner[in_slot]] - key[in_slot])
        key, owner = key[~in_slot], owner[~in_slot]
        near = [np.empty((0, 2), dtype=np.int64)]
        for distance in range(1, min(_FILLINGS, len(key))):
            same = np.flatnonzero(key[distance:] == key[:-distance])
            near.append(np.stack([owner[same], owner[same + distance]], axis=1))
        self.pairs = np.concatenate(near)

    def share_frame(self, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which pairs are the same without the words in slots, and not the same with them, ``bool[pairs]``."""
        (first, second), (left, right) = self._frames[pairs].T, self._totals[pairs].T
        result: npt.NDArray[np.bool_] = (first == second) & (left != right)
        return result

    def misspelled(self) -> npt.NDArray[np.int64]:
        """Return pairs of a text with a rare word and one with a common word of nearly the same letters instead.

        Returns:
            Pairs of texts, ``int64[pairs, 2]``.
        """
        import numpy as np

        corrections = self._corrections()
        texts, totals = list[int](), list[int]()
        for index in self._members.tolist() if corrections else ():
            for word in words_of(self._texts[index]):
                if word in corrections:
                    wrong, *right = _hashes([[word, *corrections[word]]])[0]
                    texts += [index] * len(right)
                    totals += [(int(self._totals[index]) - wrong + each) % 2**64 for each in right]
        wanted = np.array(totals, dtype=np.uint64)
        order = self._members[np.argsort(self._totals[self._members])]
        places = np.minimum(self._totals[order].searchsorted(wanted), max(0, len(order) - 1))
        found = self._totals[order][places] == wanted
        return np.stack([np.array(texts, dtype=np.int64)[found], order[places[found]]], axis=1)

    def _corrections(self) -> dict[str, list[str]]:
        """Return the common words that each rare word may be a misspelling of."""
        words = (word for index in self._members.tolist() for word in set(words_of(self._texts[index])))
        counts = Counter(filter(str.isalpha, words))
        common = defaultdict[str, list[str]](list)
        for word, count in counts.items():
            if count >= _COMMON_FROM and len(word) >= _LEAST_LETTERS:
                for shorter in _shortened(word):
                    common[shorter].append(word)
        corrections = {}
        for word, count in counts.items() if common else ():
            similar = {each for shorter in _shortened(word) for each in common.get(shorter, ())}
            if right := sorted(each for each in similar if count <= max(1, counts[each] / _TIMES_AS_COMMON)):
                corrections[word] = right
        return corrections

    def _without_one_word(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Return hashes of all words of each text, and of all but one, in any order, ``uint64[hashes]``, sorted.

        Also returns the text of each hash, ``int64[hashes]``.
        """
        import numpy as np

        keys, owners = [np.empty(0, dtype=np.uint64)], [self._members[:0]]
        for batch in batches(self._members):
            hashes = _hashes([words_of(self._texts[index]) for index in batch.tolist()])
            counts = [len(each) for each in hashes]
            words = np.fromiter(chain.from_iterable(hashes), np.uint64, sum(counts))
            self._totals[batch] = np.add.reduceat(words, np.cumsum([0, *counts[:-1]]))
            owners += [batch, np.repeat(batch, counts)]
            keys += [self._totals[batch], self._totals[owners[-1]] - words]
        key, owner = np.concatenate(keys), np.concatenate(owners)
        del keys, owners
        order = np.lexsort((owner, key))
        key, owner = key[order], owner[order]
        # A word that a text has twice gives the same hash twice.
        is_new = np.ones(len(key), dtype=np.bool_)
        is_new[1:] = (key[1:] != key[:-1]) | (owner[1:] != owner[:-1])
        return key[is_new], owner[is_new]


def _shortened(word: str) -> set[str]:
    """Return a word, and what is left of it without one letter: words one letter apart share one of these."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def _hashes(words: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return a 64-bit hash of each word of each text."""
    from rensa import RMinHash

    hashes: list[list[int]] = RMinHash.hash_token_sets(words)
    return hashes
