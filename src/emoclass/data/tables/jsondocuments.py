"""Find the rows in one JSON document: an array, objects over several lines, an object that holds the rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from emoclass.data.columns.choosing import LABEL_NAMES, TEXT_NAMES, squeezed
from emoclass.data.columns.naming import listed, quoted
from emoclass.errors import DataError

_BLANK = re.compile(r"[\s\ufeff]*")
_ERROR_KEYS = frozenset(
    {
        "code", "detail", "details", "documentation_url", "error", "error_description", "errors", "message", "msg",
        "ok", "reason", "request_id", "requestId", "status", "statusCode", "success", "title", "type",
    }
)  # fmt: skip
_ERROR_MARKS = frozenset({"code", "detail", "documentation_url", "error", "errors", "status", "statusCode", "success"})
# How deep rows may be inside an object.
_DEPTH = 3
# Words of a string that is a text, and paths whose last name is that of a label.
_TEXT_WORDS = 3
_LABEL_PATH = re.compile(r"\.(?:labels?|choices|cats|category|class|emotions?|sentiment|tags?)(?:\[0\])*$")

Numbered = tuple[int, object]


class RepeatedKeyError(ValueError):
    """An object has a key twice."""


def parse_document(
    text: str, *, name: str, line: int, decoder: json.JSONDecoder, on_note: Callable[[str], None]
) -> Iterator[Numbered]:
    """Yield the rows of a document as (line, value), whatever their type.

    Args:
        text: The whole document.
        name: What messages call the input.
        line: 1-based line where the text starts.
        decoder: Parses values.
        on_note: Called with what was decided.

    Raises:
        DataError: The text is not JSON, or has no rows.
    """
    values = _values(text, name=name, line=line, decoder=decoder)
    first = next(values, None)
    if first is None:
        return
    second = next(values, None)
    if second is None and isinstance(first[1], dict):
        yield from rows_of(first[1], name=name, line=first[0], on_note=on_note)
        return
    yield first
    if second is not None:
        yield second
    yield from values


def _values(text: str, *, name: str, line: int, decoder: json.JSONDecoder) -> Iterator[Numbered]:
    """Yield the values of a text one after the other, and the elements of arrays in their place."""
    position, counted, inside = 0, 0, False
    while (position := _end_of_blank(text, position)) < len(text):
        if text[position] == "[" and not inside:
            position, inside = position + 1, True
            position = _end_of_blank(text, position)
            if text.startswith("]", position):
                position, inside = position + 1, False
                continue
        line += text.count("\n", counted, position)
        counted = position
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            at = line + text.count("\n", counted, error.pos)
            raise DataError(
                f"{name}: line {at} is not valid JSON ({error.msg}, column {error.colno}): correct it"
            ) from error
        except RepeatedKeyError as error:
            raise DataError(
                f"{name}: line {line}: an object has the key {quoted(str(error))} twice: rename one"
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{name}: line {line} holds a number that is too long, or is nested too deeply: shorten it"
            ) from error
        yield line, value
        if inside:
            position, inside = _after_element(text, position, name, line + text.count("\n", counted, position))
    if inside:
        raise DataError(f"{name}: the JSON array has no end: get a complete copy of the file")


def _after_element(text: str, position: int, name: str, line: int) -> tuple[int, bool]:
    """Return the position behind the comma or bracket that follows an element, and whether another one follows."""
    position = _end_of_blank(text, position)
    mark = text[position : position + 1]
    if mark == ",":
        return position + 1, True
    if mark == "]":
        return position + 1, False
    if not mark:
        raise DataError(f"{name}: the JSON array has no end: get a complete copy of the file")
    raise DataError(f"{name}: line {line} is not valid JSON (a comma or ] must follow an element): correct it")


def _end_of_blank(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def may_hold_rows(value: dict[str, Any]) -> bool:
    """Return whether an object, if it is the only one, is not a row but holds rows or an error message."""
    if is_error(value):
        return True
    is_row = any(isinstance(cell, str) and squeezed(name) in TEXT_NAMES for name, cell in value.items())
    return not is_row and bool(_lists(value) or _by_column(value))


def is_error(value: dict[str, Any]) -> bool:
    """Return whether an object looks like the error of a web service."""
    return bool(value) and value.keys() <= _ERROR_KEYS and bool(value.keys() & _ERROR_MARKS)


def rows_of(value: dict[str, Any], *, name: str, line: int, on_note: Callable[[str], None]) -> Iterator[Numbered]:
    """Yield the rows that the only object of a document holds, or the object itself.

    Raises:
        DataError: There are several lists of rows, or the object is an error message.
    """
    if is_error(value):
        shown = json.dumps(value, ensure_ascii=False)[:80]
        raise DataError(f"{name}: holds no rows but an error message ({shown}): download the data again")
    if not may_hold_rows(value):
        yield line, value
        return
    lists = _lists(value)
    if len(lists) > 1:
        path = next(iter(lists))
        raise DataError(
            f"{name}: has rows under {listed(lists)}: write those that you want to a file of their own, for example"
            f" with jq -c '{path}[]' {name} > rows.jsonl"
        )
    if lists:
        ((path, rows),) = lists.items()
        on_note(f"{name}: rows are those under {quoted(path)}")
        for row in rows:
            yield line, row
        return
    on_note(f"{name}: rows are put together from one list for each column")
    columns = _by_column(value)
    for values in zip(*columns.values(), strict=True):
        yield line, dict(zip(columns, values, strict=True))


def _lists(value: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the lists of objects that are least deep in an object, by their path."""
    level: dict[str, Any] = {"": value}
    for _ in range(_DEPTH):
        level = {
            f"{path}.{key}": inner
            for path, outer in level.items()
            if isinstance(outer, dict)
            for key, inner in outer.items()
        }
        found = {p: v for p, v in level.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
        if found:
            return found
    return {}


def _by_column(value: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the columns of an object that holds a list, or an object by row, for each column; else nothing."""
    if {"columns", "data"} <= value.keys() and all(isinstance(row, list) for row in value["data"] or [0]):
        return dict(zip(value["columns"], map(list, zip(*value["data"], strict=False)), strict=False))
    columns = {}
    for key, inner in value.items():
        cells = list(inner.values()) if isinstance(inner, dict) else inner
        if not isinstance(cells, list) or any(isinstance(cell, dict | list) for cell in cells):
            return {}
        columns[key] = cells
    if len(columns) < 2 or len(set(map(len, columns.values()))) != 1 or not next(iter(columns.values())):
        return {}
    inner = next(iter(value.values()))
    if isinstance(inner, dict) and any(squeezed(name) in (*TEXT_NAMES, *LABEL_NAMES) for name in inner):
        names = list(inner)  # one object for each row
        return {name: [row.get(name) for row in value.values()] for name in names}
    return columns


def nested_fields(value: dict[str, Any]) -> str | None:
    """Return the fields of a jq object that lifts text and label out of a row that holds them deep inside.

    Returns:
        ``None`` for a row with a string of its own, or without a text inside.
    """
    own = {name: cell for name, cell in value.items() if not isinstance(cell, dict | list)}
    if any(isinstance(cell, str) or squeezed(name) in TEXT_NAMES for name, cell in own.items()):
        return None
    leaves = {path: leaf for path, leaf in _leaves(value, "") if isinstance(leaf, str)}
    text = max(leaves, key=lambda path: len(leaves[path].split()), default=None)
    if text is None or len(leaves[text].split()) < _TEXT_WORDS:
        return None
    short = [path for path, leaf in leaves.items() if path != text and 0 < len(leaf.split()) < _TEXT_WORDS]
    label = next((path for path in short if _LABEL_PATH.search(path)), None)
    return f"{{text: {text}{f', label: {label}' if label else ''}}}"


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield what a value holds deep inside with its jq path; of lists only their first elements."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = f".{key}" if key.isidentifier() else f'["{key}"]'
            yield from _leaves(inner, f"{path}{name}")
    elif isinstance(value, list):
        for inner in value[:1]:
            yield from _leaves(inner, f"{path}[0]")
    else:
        yield path, value
