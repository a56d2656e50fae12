"""Cut bare texts into the words, or characters, to compare them by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Shorter texts differ by a word that matters ("i feel bad", "i feel sad") as often as by a typo.
_LEAST_WORDS, _LEAST_CHARACTERS = 5, 25
# Of fewer, long words the characters count, as in scripts without spaces.
_FEW_WORDS_CHARACTERS = 40
BATCH = 10_000


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


def batches(members: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the members ``BATCH`` at a time: words of all texts would fill the memory."""
    return (members[start : start + BATCH] for start in range(0, len(members), BATCH))
