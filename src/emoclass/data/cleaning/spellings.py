"""Labels of one class that are not written the same: by characters that look the same, or by a wrong encoding."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

from emoclass.data.cleaning.traits import is_damaged
from emoclass.data.columns.naming import look_of


def damaged_names(names: Iterable[str]) -> list[str]:
    """Return the names with damage by a wrong encoding."""
    return [name for name in names if is_damaged(name)]


def repaired(text: str) -> str:
    """Return a text as it was before it was decoded with a wrong encoding, if it was and that can be undone."""
    if not is_damaged(text):
        return text
    from ftfy import fix_encoding

    return fix_encoding(text)


def respellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return another spelling for labels where one is certain: repaired, and composed as most that look the same.

    Args:
        counts: Rows of each label.
    """
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for name in counts:
        spellings[look_of(repaired(name))].append(name)
    found = dict[str, str]()
    for names in spellings.values():
        whole = [name for name in names if repaired(name) == name]
        target = unicodedata.normalize("NFC", max(whole, key=counts.__getitem__) if whole else repaired(names[0]))
        found |= {name: target for name in names if name != target}
    return found
