"""Find pairs of texts that share many words: candidates for near duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from emoclass.data.similarity.templates import Templates
from emoclass.data.similarity.words import BATCH, are_characters, batches, words_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# MinHash: bands and hashes per band; fewer of these for short texts, where a typo changes a larger share. Texts of 7
# and 8 words are compared both ways, with shorter and with longer ones.
_SHORT, _LONG, _SEED = (40, 3), (20, 4), 1
_LONG_FROM, _SHORT_UP_TO = 7, 8
# A text is compared with at most so many others of the same band.
_NEIGHBOURS = 8
# From a template are texts that share so many of their bands with more others. Longer texts do so by chance.
_LEAST_FULL, _LONGEST_TEMPLATE = 0.1, 50


def candidate_pairs(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], Templates]:
    """Return pairs of bare texts that may be nearly the same, and the texts that must be compared word by word.

    Candidates share a band of their MinHash. Of texts that share bands with many others, as those from few templates
    do, candidates are also those that differ in one word.

    Returns:
        Pairs of texts, ``int64[pairs, 2]``, sorted, without those that only fill a template in other ways.
    """
    import numpy as np

    # Words are cut again where they are needed: kept for a million texts they would fill a gigabyte.
    lengths = np.fromiter((len(words_of(text)) for text in texts), np.int64, len(texts))
    crowded = np.zeros(len(texts), dtype=np.bool_)
    keys = [np.empty(0, dtype=np.int64)]
    short, long = (lengths > 0) & (lengths <= _SHORT_UP_TO), lengths >= _LONG_FROM
    for chosen, shape in ((short, _SHORT), (long, _LONG)):
        members, full = np.flatnonzero(chosen), np.zeros(len(texts), dtype=np.int64)
        for band in _bands(texts, members, *shape):
            pairs, crowd = _neighbours(band, members)
            keys += [first * len(texts) + second for first, second in pairs]
            full[crowd] += 1
        crowded |= (full >= _LEAST_FULL * shape[0]) & (lengths <= _LONGEST_TEMPLATE)
    templates = Templates(texts, np.flatnonzero(crowded))
    found = np.concatenate([*keys, templates.pairs[:, 0] * len(texts) + templates.pairs[:, 1]])
    del keys
    found.sort()
    # np.unique hashes, which takes ten times as long here.
    distinct = np.stack(np.divmod(found[np.diff(found, prepend=-1) > 0], max(1, len(texts))), axis=1)
    return distinct[~templates.share_frame(distinct)], templates


def _neighbours(
    band: npt.NDArray[np.uint64], members: npt.NDArray[np.int64]
) -> tuple[list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], npt.NDArray[np.int64]]:
    """Return columns of pairs of members with the same hash, the smaller first, and members with more neighbours."""
    import numpy as np

    order = np.argsort(band, kind="stable")
    ordered, ids = band[order], members[order]
    pairs: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for distance in range(1, min(_NEIGHBOURS + 1, len(ids) - 1) + 1):
        same = np.flatnonzero(ordered[distance:] == ordered[:-distance])
        if distance > _NEIGHBOURS:
            return pairs, ids[np.unique(np.add.outer(same, np.arange(distance + 1)))]
        if not len(same):
            break
        first, second = ids[same], ids[same + distance]
        pairs.append((np.minimum(first, second), np.maximum(first, second)))
    return pairs, members[:0]


def _bands(texts: Sequence[str], members: npt.NDArray[np.int64], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """Return a hash for each band of each text's MinHash, ``uint64[bands, texts]``."""
    import numpy as np

    hashes = np.empty((bands, len(members)), dtype=np.uint64)
    for number, batch in enumerate(batches(members)):
        shingles = [_shingles(words_of(texts[index])) for index in batch.tolist()]
        hashes[:, number * BATCH : number * BATCH + len(batch)] = _bands_of(shingles, bands, rows)
    return hashes


def _bands_of(shingles: list[set[str]], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    import numpy as np
    from rensa import RMinHash

    hashes = RMinHash.digests_from_token_sets(shingles, bands * rows, _SEED)
    digests = np.array(hashes, dtype=np.uint64).reshape(len(shingles), bands, rows)
    mixed = np.zeros((bands, len(shingles)), dtype=np.uint64)
    for row in range(rows):
        mixed = (mixed ^ digests[:, :, row].T) * np.uint64(0x9E3779B97F4A7C15)
    return mixed


def _shingles(words: Sequence[str]) -> set[str]:
    """Return the words, or all pairs of characters next to each other."""
    return {first + second for first, second in pairwise(words)} if are_characters(words) else set(words)
