"""Texts that Python code passes: what may hold them, and which of them are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

_MEND = "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace') mends it"
# pandas is not imported for them.
_PANDAS_MISSING = ("NAType", "NaTType")


def text_windows(texts: Iterable[str], size: int, caller: str) -> Iterator[list[str]]:
    """Return an iterator of lists of at most ``size`` texts; it reads one list at a time.

    Args:
        texts: Any iterable of strings: a list, a generator, a column of pandas, NumPy, pyarrow or polars.
        size: Most texts in a list.
        caller: The function that the user has called.

    Raises:
        TypeError: ``texts`` holds no texts: at once if it is a single string, a table, or not iterable; or one of its
            items is not a string.
        ValueError: A text has a lone surrogate. As with an item that is no string, the list of the texts before it
            comes first.
    """
    return _checked(_items(texts, caller), size, caller)


def require_text(text: str, caller: str) -> None:
    """Check a single text.

    Raises:
        TypeError: It is not a string.
        ValueError: It has a lone surrogate.
    """
    if not isinstance(text, str):
        many = isinstance(text, Iterable) and not isinstance(text, bytes)
        advice = "for many use predict" if many else _advice(text)
        raise TypeError(f"{caller} takes one text as a string, not {_described(text)}: {advice}")
    _require_characters(text, f"{caller}: the text")


def _items(texts: Any, caller: str) -> Iterator[Any]:
    """Return an iterator of what an input holds."""
    if isinstance(texts, str):
        raise TypeError(f"{caller} takes many texts, not a string: for a single one use {caller}([text])")
    named = getattr(texts, "columns", None)
    if isinstance(texts, dict) or named is not None or getattr(texts, "ndim", 1) > 1:
        raise TypeError(f"{caller} takes texts, not {_described(texts)}: {_one_column(texts, caller)}")
    if hasattr(texts, "to_pylist"):  # of pyarrow, whose items are no strings
        return iter(texts.to_pylist())
    if isinstance(texts, bytes | bytearray) or getattr(texts, "ndim", 1) == 0 or not hasattr(texts, "__iter__"):
        raise TypeError(f"{caller} takes texts, not {_described(texts)}: pass a list of strings")
    return iter(texts.tolist() if type(texts).__module__ == "numpy" else texts)


def _one_column(table: Any, caller: str) -> str:
    if isinstance(table, dict):
        return f"pass the texts alone, as in {caller}(data['text'])"
    if hasattr(table, "columns"):
        return f"pass one column, as in {caller}(frame['text'])"
    return f"pass one column, as in {caller}(array[:, 0])"


def _checked(items: Iterator[Any], size: int, caller: str) -> Iterator[list[str]]:
    start = 0
    while window := list(islice(items, size)):
        bad = next((row for row, text in enumerate(window) if not isinstance(text, str)), len(window))
        try:
            "".join(window[:bad]).encode()
        except UnicodeEncodeError:
            bad = next(row for row, text in enumerate(window) if _surrogate(text) is not None)
        if bad:
            yield window[:bad]
        if bad < len(window):
            where = f"{caller}: texts[{start + bad}]"
            _require_string(window[bad], where)
            _require_characters(window[bad], where)
        start += len(window)


def _require_string(text: object, where: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{where} is {_described(text)}, not a string: {_advice(text)}")


def _require_characters(text: str, where: str) -> None:
    if (position := _surrogate(text)) is not None:
        code = f"\\u{ord(text[position]):04x}"
        raise ValueError(f"{where} has a lone surrogate ({code}) at character {position}: {_MEND}")


def _surrogate(text: str) -> int | None:
    """Return the position of the first lone surrogate, which no encoding of Unicode has."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ in _PANDAS_MISSING


def _described(value: Any) -> str:
    if isinstance(value, float | int) or _is_missing(value):
        return str(value)
    kind = type(value).__name__
    if kind == "bytes":
        return kind
    return f"{'an' if kind.lower().startswith((*'aeiou', 'nd')) else 'a'} {kind}"


def _advice(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return "decode it first, as in text.decode()"
    if isinstance(value, dict):
        return "pass its text, as in row['text']"
    if hasattr(value, "__len__") or hasattr(value, "__iter__"):
        return "pass a flat list of strings"
    if _is_missing(value):
        return "leave it out, or pass '' for no text"
    return "convert it with str()"
