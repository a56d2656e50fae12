"""Turn one cell into a text, a label or JSON, in the same way for every format."""

import json
import math
import numbers
import re
from typing import Any

from emoclass.errors import DataError

_WHOLE = re.compile(r"([+-]?\d{1,18})\.0+")


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

    Surrounding whitespace is stripped. Whole numbers lose their fraction: integer labels that passed through a column
    of floats ("1.0") name the same classes as before.

    Raises:
        DataError: The value holds bytes that are not UTF-8, or is nested too deeply.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        number = float(value)
        value = int(number) if number.is_integer() else value
    text = cell_text(value)
    if text is None:
        return None
    text = text.strip()
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text


def is_null(value: object) -> bool:
    """Return whether a value is ``None``, NaN or a missing value of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Number) and bool(value != value)


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
