"""Turn one cell into a text, a label or JSON, in the same way for every format."""

import json
import math
import numbers
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from emoclass.data.columns.literals import BRACKETS, parse_literal
from emoclass.errors import DataError

_OPENING = (*(pair[0] for pair in BRACKETS), "c(")
# Between repetitions of one label, as where annotators agree.
_BETWEEN = (",", ";", "|", "#")
# The field that holds the labels in objects of annotation tools and of classifiers, and what may stand beside it.
_LABEL_KEYS = frozenset({"choices", "label", "labels", "class", "category", "emotion", "name", "value", "rating"})
_OTHER_KEYS = frozenset({"id", "score", "confidence", "probability"})
_SHOWN_CHARACTERS = 60


def cell_text(value: object) -> str | None:
    """Return a value as text: strings unchanged, lists and objects as JSON, ``None`` for null.

    Raises:
        DataError: The value holds bytes that are not UTF-8, or is nested too deeply.
    """
    if isinstance(value, str):
        return value
    if is_null(value):
        return None
    if isinstance(value, bytes):
        return _decoded(value)
    return json_text(value) if isinstance(value, dict | list) else str(value)


def json_text(value: object) -> str:
    """Return a value as strict JSON: NaN and infinities at any depth as null, what JSON has no type for as a string.

    Raises:
        DataError: The value holds bytes that are not UTF-8, or is nested too deeply.
    """
    try:
        try:
            return _ENCODER.encode(value)
        except ValueError:  # NaN or an infinity
            return _ENCODER.encode(_finite(value))
    except RecursionError:
        raise DataError("a value is nested too deeply to be written as text: flatten it") from None


def cell_label(value: object) -> str | None:
    """Return a value as a label name, ``None`` for null.

    A list of one label stands for that label, also as text, in an object as annotation tools write it, or as flags:
    ``["joy"]``, ``{"choices": ["joy"]}``, ``{"joy": 1, "fear": 0}``, ``joy|joy``. An empty list is "", no label; one of
    several labels is returned as text.

    Raises:
        DataError: The value holds bytes that are not UTF-8, is nested too deeply, or is an object that is no label.
    """
    if isinstance(value, str):
        text = value.strip()
        names = _names(parse_literal(text)) if text.startswith(_OPENING) else _repeated(text)
        return text if names is None else _single(names, text)
    if not isinstance(value, dict | list):
        return cell_name(value)
    return _single(_names_in(value), value)


def cell_labels(value: object, divided: Callable[[str], Iterable[str]]) -> list[str] | None:
    """Return the labels in a cell, in any notation that ``cell_label`` reads; ``None`` for null, none if it is empty.

    Args:
        value: The cell.
        divided: Returns the labels in a text that is not a list.

    Raises:
        DataError: As ``cell_label``.
    """
    if isinstance(value, dict | list):
        return _names_in(value)
    text = cell_name(value)
    if text is None:
        return None
    names = _names(parse_literal(text)) if text.startswith(_OPENING) else None
    return list(filter(None, divided(text))) if names is None else names


def labels_in(name: str) -> list[str]:
    """Return the labels of a list that ``cell_label`` returned as text, none if it is a single label."""
    names = _names(parse_literal(name)) if name.startswith(_OPENING) else None
    return names if names and len(names) > 1 else []


def cell_name(value: object) -> str | None:
    """Return a value as a name, ``None`` for null: without surrounding whitespace, whole floats as integers.

    Integers that went through a column of floats (1.0) have the same names as before. Strings stay as they are.

    Raises:
        DataError: The value holds bytes that are not UTF-8, or is nested too deeply.
    """
    if isinstance(value, numbers.Real | Decimal) and not isinstance(value, numbers.Integral):
        number = float(value)
        value = int(number) if number.is_integer() else value
    text = cell_text(value)
    return None if text is None else text.strip()


def is_null(value: object) -> bool:
    """Return whether a value is ``None``, NaN or a missing value of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Number) and bool(value != value)


def _names(value: object) -> list[str] | None:
    """Return the labels in a list or an object, ``None`` if it is of another kind."""
    if isinstance(value, dict):
        if not value:
            return []
        if value.keys().isdisjoint(_LABEL_KEYS | _OTHER_KEYS) and all(map(_is_flag, value.values())):
            return [str(name) for name, flag in value.items() if flag]
        keys = value.keys() & _LABEL_KEYS
        if len(keys) != 1 or value.keys() - keys - _OTHER_KEYS:
            return None
        inner = value[keys.pop()]
        return _names(inner if isinstance(inner, dict | list) else [inner])
    if not isinstance(value, list):
        return None
    names: list[str] = []
    for item in value:
        if isinstance(item, list | tuple):
            return None
        found = _names(item) if isinstance(item, dict) else [cell_name(item) or ""]
        if found is None:
            return None
        names += filter(None, found)
    return names


def _names_in(value: object) -> list[str]:
    names = _names(value)
    if names is None:
        raise DataError(
            f"the label is {_shortened(json_text(value))}: write the class itself into the label column, or choose"
            " another column"
        )
    return names


def _is_flag(value: object) -> bool:
    return isinstance(value, int | float) and value in (0, 1)


def _repeated(text: str) -> list[str] | None:
    """Return the pieces of a text if they are all the same."""
    for mark in _BETWEEN:
        if mark in text:
            pieces = [piece.strip() for piece in text.split(mark)]
            return pieces if len(set(pieces)) == 1 else None
    return None


def _single(names: list[str], value: object) -> str:
    if len(set(names)) == 1 and any(map(str.isalpha, names[0])):  # [0, 0] is a vector
        return names[0]
    return "".join(names) if len(names) < 2 else cell_text(value) or ""


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"a value is binary, not text ({value[:16]!r}…): choose another column") from error


def _finite(value: object) -> object:
    """Copy nested lists and objects with null for NaN and infinities, without recursion, because they may be deep."""
    root = [value]
    pending: list[Any] = [root]
    while pending:
        container = pending.pop()
        for key, inner in list(container.items() if isinstance(container, dict) else enumerate(container)):
            if isinstance(inner, dict):
                container[key] = dict(inner)
            elif isinstance(inner, list | tuple):
                container[key] = list(inner)
            elif isinstance(inner, float) and not math.isfinite(inner):
                container[key] = None
            if isinstance(inner, dict | list | tuple):
                pending.append(container[key])
    return root[0]


def _json_value(value: object) -> object:
    """Return the replacement of a value whose type JSON does not have."""
    if isinstance(value, bytes):
        return _decoded(value)
    if is_null(value):
        return None
    if isinstance(value, numbers.Real):  # numpy numbers, which the encoder does not know
        if isinstance(value, numbers.Integral):
            return int(value)
        return float(value) if math.isfinite(value) else None
    return str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_json_value)
