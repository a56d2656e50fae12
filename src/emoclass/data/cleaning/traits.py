"""Detect what a model cannot read or should not see: damaged encoding, placeholders, HTML, URLs, mentions, emoji."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoclass.data.cleaning.cleaning import CleanData

_SHOWN = 3
_SHOWN_CHARACTERS = 80

_URL = re.compile(r"https?://|www\.\w", re.IGNORECASE)
_HTML = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6});", re.IGNORECASE)
_MENTION = re.compile(r"(?<!\w)@\w{2,}")
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf]")
_NOT_WORD = re.compile(r"[\W_]+")
# Quotation marks beside some capitals (»Übermut«, “AMANHÔ) and emoticons (¬¬) look like damage.
_HARMLESS = re.compile(r"(?<!\w)[“„‘‚«»](\w[^“”„‘’‚«»]*)[“”‘’«»](?!\w)|(?<!\S)[^\w\s]+(?!\S)")
# What users, forms and programs write in place of a text, without case, whitespace and punctuation.
_PLACEHOLDERS = frozenset(
    {
        "na", "none", "null", "nan", "nil", "noresponse", "noanswer", "nocomment", "nocomments", "notapplicable",
        "notavailable", "unknown", "deleted", "removed", "tbd", "tba", "todo", "test", "xxx", "asdf", "loremipsum",
    }
)  # fmt: skip
# These can express a feeling, unless they are in brackets.
_BRACKETED_PLACEHOLDERS = frozenset({"nothing", "missing", "empty", "blank"})
_BRACKETED = re.compile(r"[\[({<].*[\])}>]")
# One of these, repeated or not, says nothing; an emoticon has several different characters, or others.
_FILLING = frozenset("-\u2013\u2014\u2212._\u2026?*/\\|#~,\u00b7\u2022\u3002=+&\ufffd")
_AROUND = frozenset("[](){}<>\"'\u201c\u201d`")
_PLACEHOLDER_CHARACTERS = 40


@dataclass(frozen=True)
class Trait:
    """Something that some texts contain.

    Attributes:
        name: ``urls``, ``html``, ``mentions``, ``emoji``, ``damaged_encoding`` or ``placeholder``.
        rows: Number of these texts.
        share: Their share of the kept rows.
        examples: The first of them, truncated.
        first_row: 1-based data row of the first of them.
        first_line: Line where that row starts; ``None`` for Parquet.
    """

    name: str
    rows: int
    share: float
    examples: tuple[str, ...]
    first_row: int
    first_line: int | None


def is_placeholder(text: str) -> bool:
    """Return whether a text is like "N/A", "[ No response.]" or "---", but not an emoticon."""
    text = text.strip()
    if len(text) > _PLACEHOLDER_CHARACTERS:
        return False
    bare = _NOT_WORD.sub("", text).casefold()
    if bare in _BRACKETED_PLACEHOLDERS:
        return bool(_BRACKETED.fullmatch(text))
    kinds = {c for c in text if c not in _AROUND and unicodedata.category(c)[0] not in "CZ"}
    return bare in _PLACEHOLDERS or (len(kinds) <= 1 and kinds <= _FILLING)


def is_damaged(text: str) -> bool:
    """Return whether a text has replacement characters, or is UTF-8 read in another encoding ("Ã©" for "é")."""
    if text.isascii():
        return False
    from ftfy.badness import is_bad

    return "\N{REPLACEMENT CHARACTER}" in text or (is_bad(text) and is_bad(_HARMLESS.sub(r"\1", text)))


# UTF-8 in other encodings: "Ã©", "â€™", "Рё", "√©". Only such texts are worth a closer look where time matters.
_DAMAGE = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0192\u02c6\u02dc\u2013-\u20ac\u2122]"
    "|[\u0420\u0421][\u00a0-\u00bf\u0401-\u040f\u0451-\u045f\u0490\u0491\u2013-\u20ac\u2122]"
    "|\u221a[\u00a0-\u00ff\u2020-\u2122]|\ufffd"
)


def is_clearly_damaged(text: str) -> bool:
    """Return whether a text is damaged, after a glance: it may miss rare kinds of damage."""
    return bool(_DAMAGE.search(text)) and is_damaged(text)


_CHECKS: dict[str, Callable[[str], object]] = {
    "urls": _URL.search,
    "html": _HTML.search,
    "mentions": _MENTION.search,
    "emoji": _EMOJI.search,
    "damaged_encoding": is_damaged,
    "placeholder": is_placeholder,
}


def find_traits(data: CleanData, only: Collection[str] = _CHECKS.keys()) -> tuple[Trait, ...]:
    """Return those of the named traits that occur in the texts, in a fixed order."""
    traits = []
    for name, check in _CHECKS.items():
        if name not in only:
            continue
        found = [position for position, text in enumerate(data.texts) if check(text)]
        if found:
            examples = tuple(data.texts[position][:_SHOWN_CHARACTERS] for position in found[:_SHOWN])
            traits.append(Trait(name, len(found), len(found) / len(data), examples, *data.origin(found[0])))
    return tuple(traits)
