"""When two texts count as the same: equal after Unicode, case and blanks are folded."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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
