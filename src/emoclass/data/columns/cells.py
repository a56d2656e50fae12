"""One cell to a text or a label, the same for every format."""

import json
import numbers
import re

from emoclass.errors import DataError

_WHOLE = re.compile(r"([+-]?\d{1,18})\.0+")


def cell_text(value: object) -> str | None:
    """Return the value as text, untouched if it is a string; lists and objects as JSON; None for null.

    Raises:
        DataError: bytes that are not UTF-8.
    """
    if isinstance(value, str):
        return value
    if is_null(value):
        return None
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"a value is binary, not text ({value[:16]!r}…): choose another column") from error
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)


def cell_label(value: object) -> str | None:
    """Return the value as a label name; None for null.

    Outer blanks go, and a whole number is written without its fraction: integer labels that passed through a
    column of floats ("1.0") are the same classes as before.

    Raises:
        DataError: bytes that are not UTF-8.
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
    """True for None, NaN and the missing values of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Number) and bool(value != value)
