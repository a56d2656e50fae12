"""Read lists and objects that a cell holds as text: JSON, or what Python and NumPy print."""

import json
import re
from collections.abc import Callable

BRACKETS = ("[]", "{}", "()")
# A name may be in parentheses; what has quotes or commas is a tuple.
_TUPLE = re.compile(r"[,'\"]")
# Longer cells are texts, not labels.
_MOST_CHARACTERS = 10_000
_MOST_DEPTH = 8
_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[\[\]{}:,])|'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)"|"""
    r"""(?P<bare>[^\s\[\]{}:,'"]+))""",
    re.DOTALL,
)
_NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_CONSTANTS = {
    "None": None, "null": None, "nan": None, "NaN": None, "<NA>": None,
    "True": True, "true": True, "False": False, "false": False,
}  # fmt: skip


def parse_literal(text: str) -> "list[object] | dict[str, object] | None":
    """Return the list or the object that a text stands for, ``None`` if it is neither.

    Quotes may be single, and items separated by spaces as in ``['joy' 'anger']``. Tuples and sets of Python and vectors
    of R are lists, too. Words without quotes are not items: ``[red]`` is a text.
    """
    text = text.strip()
    text = text.removeprefix("c") if text.startswith("c(") else text
    if text[:1] + text[-1:] not in BRACKETS or len(text) > _MOST_CHARACTERS:
        return None
    inner = text[1:-1]
    if text[0] == "(":
        return _parsed(f"[{inner}]") if _TUPLE.search(inner) else None
    found = _parsed(text)
    return _parsed(f"[{inner}]") if found is None and text[0] == "{" else found


def _parsed(text: str) -> "list[object] | dict[str, object] | None":
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = _Parser(_NUMPY.sub(r"\1", text)).value()
        except ValueError:
            return None
    return value if isinstance(value, list | dict) else None


class _Parser:
    """Parses one text from left to right; ``ValueError`` where it is neither list nor object."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        end = 0
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None or match.lastgroup is None:
                raise ValueError(text)
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            end = match.end()
        self._next = 0

    def value(self) -> object:
        value = self._value(_MOST_DEPTH)
        if self._next < len(self._tokens):
            raise ValueError("more follows")
        return value

    def _value(self, depth: int) -> object:
        kind, token = self._take()
        if kind == "bare":
            return _constant(token)
        if kind != "mark":
            return re.sub(r"\\(.)", r"\1", token, flags=re.DOTALL)
        if depth == 0 or token not in ("[", "{"):
            raise ValueError(token)
        if token == "[":
            return self._until("]", lambda: self._value(depth - 1))
        return dict(self._until("}", lambda: self._pair(depth - 1)))  # type: ignore[arg-type]

    def _until(self, end: str, item: Callable[[], object]) -> list[object]:
        items = []
        while not self._skip(end):
            items.append(item())
            self._skip(",")
        return items

    def _pair(self, depth: int) -> tuple[str, object]:
        key = self._value(0)
        if not isinstance(key, str) or not self._skip(":"):
            raise ValueError("not a key")
        return key, self._value(depth)

    def _take(self) -> tuple[str, str]:
        if self._next == len(self._tokens):
            raise ValueError("ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _skip(self, mark: str) -> bool:
        found = self._next < len(self._tokens) and self._tokens[self._next] == ("mark", mark)
        self._next += found
        return found


def _constant(token: str) -> object:
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    if not _NUMBER.fullmatch(token):
        raise ValueError(token)
    return int(token) if token.lstrip("+-").isdecimal() else float(token)
