"""Find pairs of texts that share most of their words: candidates for near duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Shorter texts differ by a word that matters ("i feel bad", "i feel sad") as often as by a typo.
_LEAST_WORDS, _LEAST_CHARACTERS = 5, 25
# Of fewer, long words the characters count, as in scripts without spaces.
_FEW_WORDS_CHARACTERS = 40
# MinHash: hashes per text and hashes per band; fewer for short texts, where a typo changes a larger share. Texts of 7
# and 8 words are compared both ways, with shorter and with longer ones.
_HASHES, _SEED = 80, 1
_SHORT_ROWS, _LONG_ROWS = 3, 4
_LONG_FROM, _SHORT_UP_TO = 7, 8
_BATCH = 10_000
# A text is compared with at most so many others of the same band.
_NEIGHBOURS = 8


def words_of(bare: str) -> list[str]:
    """Return the words to compare a bare text by, or its characters if there are few words; empty if it is short."""
    words = bare.split()
    if len(words) < _LEAST_WORDS and len(bare) >= _FEW_WORDS_CHARACTERS:
        return list(bare.replace(" ", ""))
    # Characters of scripts without spaces are words, and each has a space, too.
    characters = len(bare) if len(bare) >= 3 * len(words) else len(words)
    return words if len(words) >= _LEAST_WORDS and characters >= _LEAST_CHARACTERS else []


def are_characters(words: Sequence[str]) -> bool:
    """Return whether most of the words are single characters."""
    return sum(map(len, words)) < 2 * len(words)


def candidate_pairs(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return pairs of bare texts that may be nearly the same.

    Candidates share a band of their MinHash. Where that is crowded, as in texts made from templates, they are also the
    texts that differ in one word. A word that many texts fill differently is a slot.

    Returns:
        Pairs of texts, ``int64[pairs, 2]``, sorted, and hashes of texts without the word in a slot, ``uint64[slots]``,
        sorted.
    """
    import numpy as np

    # Words are cut again where they are needed: kept for a million texts they would fill a gigabyte.
    lengths = np.fromiter((len(words_of(text)) for text in texts), np.int64, len(texts))
    crowded = np.zeros(len(texts), dtype=np.bool_)
    keys = [np.empty(0, dtype=np.int64)]
    short, long = (lengths > 0) & (lengths <= _SHORT_UP_TO), lengths >= _LONG_FROM
    for chosen, rows in ((short, _SHORT_ROWS), (long, _LONG_ROWS)):
        members = np.flatnonzero(chosen)
        for band in _bands(texts, members, rows):
            order = np.argsort(band, kind="stable")
            pairs, full = _neighbours(band[order], members[order])
            keys.append(pairs[:, 0] * len(texts) + pairs[:, 1])
            crowded[full] = True
    pairs, slots = _one_word_apart(texts, np.flatnonzero(crowded))
    found = np.concatenate([*keys, pairs[:, 0] * len(texts) + pairs[:, 1]])
    del keys, pairs
    found.sort()
    # np.unique hashes, which takes ten times as long here.
    return np.stack(np.divmod(found[np.diff(found, prepend=-1) > 0], max(1, len(texts))), axis=1), slots


def differ_in_slots(
    texts: Sequence[str], pairs: npt.NDArray[np.int64], slots: npt.NDArray[np.uint64]
) -> npt.NDArray[np.bool_]:
    """Return which pairs of texts have different words only where many texts have different words, ``bool[pairs]``."""
    import numpy as np

    owners, keys = list[int](), list[int]()
    for number, pair in enumerate(pairs.tolist() if len(slots) else ()):
        counts = [Counter(words_of(texts[index])) for index in pair]
        for mine, theirs in (counts, counts[::-1]):
            total, *differing = map(sum, _hashes([list(mine.elements()), *([word] for word in mine - theirs)]))
            owners += [number] * len(differing)
            keys += [(total - word) % 2**64 for word in differing]
    found = np.isin(np.array(keys, dtype=np.uint64), slots)
    words, in_slots = (np.bincount(owners, weights, len(pairs)) for weights in (None, found))
    result: npt.NDArray[np.bool_] = (words > 0) & (words == in_slots)
    return result


def _neighbours(
    ordered: npt.NDArray[np.uint64], ids: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return pairs of near places with the same hash, ``int64[pairs, 2]``, and which ids have more such neighbours."""
    import numpy as np

    pairs = [np.empty((0, 2), dtype=np.int64)]
    for distance in range(1, min(_NEIGHBOURS + 1, len(ids) - 1) + 1):
        same = np.flatnonzero(ordered[distance:] == ordered[:-distance])
        if not len(same):
            break
        if distance > _NEIGHBOURS:
            places = np.unique(np.add.outer(same, np.arange(distance + 1)))
            return np.concatenate(pairs), ids[places]
        pair = np.stack([ids[same], ids[same + distance]], axis=1)
        pairs.append(np.sort(pair, axis=1))
    return np.concatenate(pairs), ids[:0]


def _one_word_apart(
    texts: Sequence[str], members: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return pairs that differ in one word or in their order, and the hashes that more texts share."""
    import numpy as np

    keys, owners = [np.empty(0, dtype=np.uint64)], [members[:0]]
    for batch in _batches(members):
        hashes = _hashes([words_of(texts[index]) for index in batch.tolist()])
        counts = [len(each) for each in hashes]
        words = np.fromiter(chain.from_iterable(hashes), np.uint64, sum(counts))
        totals = np.add.reduceat(words, np.cumsum([0, *counts[:-1]]))
        keys += [totals, np.repeat(totals, counts) - words]
        owners += [batch, np.repeat(batch, counts)]
    key, owner = np.concatenate(keys), np.concatenate(owners)
    del keys, owners
    order = np.lexsort((owner, key))
    key, owner = key[order], owner[order]
    # A word that a text has twice gives the same hash twice.
    is_new = np.ones(len(key), dtype=np.bool_)
    is_new[1:] = (key[1:] != key[:-1]) | (owner[1:] != owner[:-1])
    key, owner = key[is_new], owner[is_new]
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])[: len(key)])
    sizes = np.diff(starts, append=len(key))
    few = np.repeat(sizes <= _NEIGHBOURS + 1, sizes)
    return _neighbours(key[few], owner[few])[0], key[starts[sizes > _NEIGHBOURS + 1]]


def _bands(texts: Sequence[str], members: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.uint64]:
    """Return a hash for each band of each text's MinHash, ``uint64[bands, texts]``."""
    import numpy as np

    bands = np.empty((_HASHES // rows, len(members)), dtype=np.uint64)
    for number, batch in enumerate(_batches(members)):
        shingles = [_shingles(words_of(texts[index])) for index in batch.tolist()]
        bands[:, number * _BATCH : number * _BATCH + len(batch)] = _bands_of(shingles, rows)
    return bands


def _bands_of(shingles: list[set[str]], rows: int) -> npt.NDArray[np.uint64]:
    import numpy as np
    from rensa import RMinHash

    bands = _HASHES // rows
    hashes = RMinHash.digests_from_token_sets(shingles, bands * rows, _SEED)
    digests = np.array(hashes, dtype=np.uint64).reshape(len(shingles), bands, rows)
    mixed = np.zeros((bands, len(shingles)), dtype=np.uint64)
    for row in range(rows):
        mixed = (mixed ^ digests[:, :, row].T) * np.uint64(0x9E3779B97F4A7C15)
    return mixed


def _shingles(words: Sequence[str]) -> set[str]:
    """Return the words, or all pairs of characters next to each other."""
    return {first + second for first, second in pairwise(words)} if are_characters(words) else set(words)


def _hashes(words: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return a 64-bit hash of each word of each text."""
    from rensa import RMinHash

    hashes: list[list[int]] = RMinHash.hash_token_sets(words)
    return hashes


def _batches(members: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    return (members[start : start + _BATCH] for start in range(0, len(members), _BATCH))
