"""Strip folded texts of punctuation, and of marks and spelling variants that change no meaning."""

from __future__ import annotations

import re
import unicodedata

# A smile is the meaning of many a short text: emoticons become emoji, which stay. The sign of a number stays, too. All
# begin with one set of characters, for which the search is fast.
_MARK = re.compile(
    r"""[-+:;=<^>](?:
    (?<=[:;=])['’]?-?[()|*]+                                # :) :-( :'(
    | (?<=[:;=])(?<!\w.)['’]?-?[dpo3/\\](?![\w/])           # :d :-p but not x:d, http://
    | (?<=<)/?3(?!\d)                                       # <3 </3
    | (?<=\^)[_.-]*\^ | (?<=-)(?<!\w.)_+-(?!\w) | (?<=>)[._]<  # ^^ -_- >.<
    | (?<=[-+])(?<![-\w.,:/].)(?=\d)                        # -5
    )""",
    re.VERBOSE,
)
_MOUTHS = dict(zip(")(|*dpo3/\\", "🙂🙁😐😘😀😛😮😗😕😕", strict=True))
# Full-width forms do not occur in folded texts.
_OTHERS = {"+": "＋", "-": "－", "<3": " ❤ ", "</3": " 💔 ", "^": " 😊 ", "-_": " 😑 ", ">": " 😣 "}
# NFKC makes an accent of its own (don´t) a space and a mark.
_ACCENT = re.compile(" [\u0300-\u0308]")
_REPEATED = re.compile(r"(?<!\S)([^\w\s])(?: \1(?!\S))+")

# Letters of scripts that put no spaces between words, or put them as they like, stand alone. (Hangul is one.)
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7a3"
    "\uf900-\ufaff\U00020000-\U000323af]"
)
# Vowel points of Arabic and Hebrew, tatweel, how an emoji is drawn, the colour of its skin, apostrophes. Marks of other
# scripts are vowels (Hindi, Thai) or make another letter (é).
_DROPPED = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u08d3-\u08ff"
    "\ufe00-\ufe0f\u20e3\U0001f3fb-\U0001f3ff'`\u2018\u2019\u02bc]"
)
# Letters that writers of Arabic and Persian, or their keyboards, exchange.
_VARIANTS = str.maketrans("آأإٱؤئىيۀك♥؟‽", "ااااویییهک❤??")


class _Table(dict[int, str | None]):
    """What ``str.translate`` replaces each character by, found when it first occurs."""

    def __missing__(self, code: int) -> str | None:
        self[code] = replacement = _replacement(chr(_VARIANTS.get(code, code)))
        return replacement


def _replacement(character: str) -> str | None:
    category = unicodedata.category(character)
    if _DROPPED.match(character) or category == "Cf":
        return None
    if category[0] in "LMN" or character in "＋－":
        return f" {character} " if _UNSPACED.match(character) else character
    # Emoji that are newer than Python's tables are unassigned.
    return f" {character} " if character in "?%" or category in ("So", "Sc", "Cn") else " "


_TABLE = _Table()


def bare_text(folded: str) -> str:
    """Return the words of a folded text, joined by spaces; texts with the same words are twins.

    Emoji, emoticons (as emoji, each run once), question marks, and signs and units of numbers stay as words of their
    own. Apostrophes vanish, since many write "dont". Letters of scripts without spaces are words each. A text of
    punctuation alone remains as it is.
    """
    if folded.isascii() and folded.replace(" ", "").isalnum():
        return folded
    text = folded if folded.isascii() else _ACCENT.sub("'", folded)
    text = " ".join(_MARK.sub(_replaced_mark, text).translate(_TABLE).split())
    return (text if text.isascii() and "? ?" not in text else _REPEATED.sub(r"\1", text)) or folded


def _replaced_mark(match: re.Match[str]) -> str:
    mark = match[0]
    if mark[0] not in ":;=":
        return _OTHERS.get(mark) or _OTHERS.get(mark[:2]) or _OTHERS[mark[0]]
    if "'" in mark or "’" in mark:
        return " 😢 "
    mouth = mark.lstrip(":;=-")[0]
    return " 😉 " if mark[0] == ";" and mouth in ")dp" else f" {_MOUTHS[mouth]} "
