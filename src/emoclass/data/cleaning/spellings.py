"""Labels of one class that are not written the same: by characters that look the same, or by a wrong encoding."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from emoclass.data.cleaning.traits import is_damaged
from emoclass.data.columns.naming import quoted, shortened

# Selectors of emoji and text style, zero-width spaces, direction marks, soft hyphens. Joiners are visible.
_INVISIBLE = re.compile("[\ufe00-\ufe0f\u200b\u200e\u200f\u2060\ufeff\u00ad]")


def look_of(name: str) -> str:
    """Return what a person sees of a name: without Unicode forms and invisible characters."""
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).split())


def distinguished(names: Collection[str]) -> list[str]:
    """Return names in quotes, with the codes of their characters where some look the same or have other digits."""
    plain = ("".join(str(unicodedata.decimal(c, c)) for c in unicodedata.normalize("NFKC", name)) for name in names)
    if len({*map(look_of, plain)}) == len(names):
        return [shortened(name) for name in names]
    return [f"{shortened(name)} ({ascii(name)[1:-1]})" if not name.isascii() else quoted(name) for name in names]


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
    """Return another spelling for labels where one is certain: repaired, and that of most rows that look the same.

    Args:
        counts: Rows of each label.
    """
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for name in counts:
        spellings[look_of(repaired(name))].append(name)
    found = dict[str, str]()
    for names in spellings.values():
        whole = [name for name in names if repaired(name) == name]
        best = max(whole, key=lambda name: (counts[name], unicodedata.is_normalized("NFC", name)), default=None)
        target = repaired(names[0]) if best is None else best
        found |= {name: target for name in names if name != target}
    return found
