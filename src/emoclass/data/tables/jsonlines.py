"""Parse JSON: one object per line, or one document that holds the objects."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from emoclass.data.columns.naming import quoted
from emoclass.data.tables.jsondocuments import RepeatedKeyError, may_hold_rows, nested_fields, parse_document
from emoclass.data.tables.row_errors import RowError
from emoclass.errors import DataError, raise_error

_CONSTANTS = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object, whose keys must differ: of two values one would be lost."""
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return result


_DECODER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__, object_pairs_hook=_object)
_ADVICE = 'write one object such as {"text": …} per line'

Row = tuple[int, list[object]]
_Numbered = tuple[int, str]


class JsonRows:
    """Rows of JSON as (line, values in the order of ``columns``).

    An array, an object over several lines or an object that holds the rows is read into memory; lines of one object
    each are read as they come.

    Args:
        lines: Lines of the text.
        name: What messages call the input.
        absent: Value of a key that an object lacks.
        on_error: Called with the error of a line that is not one JSON object, which is then skipped. Raises it by
            default.

    Attributes:
        columns: Keys of the first object that has any; grows in place when a later object has a new key.
        notes: What was recognized without an option.

    Raises:
        DataError: The input is empty, or a document without rows.
    """

    def __init__(
        self,
        lines: Iterable[str],
        *,
        name: str,
        absent: object = None,
        on_error: Callable[[DataError], None] = raise_error,
    ) -> None:
        self.name = name
        self._absent, self._report = absent, on_error
        self._failure: DataError | None = None
        self._is_array = False
        self.notes: list[str] = []
        self.columns: list[str] = []
        self._decode: Callable[[str], object] = _DECODER.decode
        self._objects = self._read_objects(enumerate(lines, start=1))
        self._first: list[tuple[int, dict[str, object]]] = []
        while not self.columns and (record := next(self._objects, None)):
            self._first.append(record)
            self.columns.extend(record[1])
        if self._first and (fields := nested_fields(self._first[-1][1])):
            each = ".[] | " if self._is_array else ""
            raise DataError(
                f"{name}: rows hold their text inside objects: lift it out with jq -c '{each}{fields}' {name} >"
                " rows.jsonl"
            )
        if not self._first and self._failure is not None:
            raise self._failure
        if not self._first:
            raise DataError(f"{name}: is empty: it needs one JSON object per line")

    def __iter__(self) -> Iterator[Row]:
        while self._first:
            line, values = self._first.pop(0)
            yield line, [values.get(column, self._absent) for column in self.columns]
        known = set(self.columns)
        for line, values in self._objects:
            if not values.keys() <= known:
                self.columns.extend(key for key in values if key not in known)
                known.update(values)
            yield line, [values.get(column, self._absent) for column in self.columns]

    def _read_objects(self, lines: Iterator[_Numbered]) -> Iterator[tuple[int, dict[str, object]]]:
        first = next(((number, line) for number, line in lines if line.strip()), None)
        if first is None:
            return
        document, lines = self._document(first, lines)
        values = self._parse_lines(lines) if document is None else self._parse_document(first[0], document)
        for number, value, escapes in values:
            try:
                yield number, self._checked(value, number, escapes=escapes)
            except DataError as error:
                self._on_error(error)

    def _on_error(self, error: DataError) -> None:
        self._failure = self._failure or error
        self._report(error)

    def _document(self, first: _Numbered, lines: Iterator[_Numbered]) -> tuple[str | None, Iterator[_Numbered]]:
        """Return the whole text if it is one document, and the lines, of which the first was read."""
        line = first[1]
        start = line.lstrip("\ufeff \t\r\n")
        if start.startswith("["):
            self._is_array = True
            return line + "".join(rest for _, rest in lines), lines
        try:
            value = _DECODER.decode(line)
        except json.JSONDecodeError as error:
            # A string cannot span lines; whatever else is open may.
            if error.pos >= len(line.rstrip()) or start.strip() == "{":
                return line + "".join(rest for _, rest in lines), lines
            if start.startswith("{'") and _is_python(line):
                self._decode = ast.literal_eval
                self.notes.append(f"{self.name}: lines are in Python's notation, not JSON: read as such")
            return None, chain([first], lines)
        except (ValueError, RecursionError):
            return None, chain([first], lines)
        if isinstance(value, dict) and may_hold_rows(value):
            second = next(((number, rest) for number, rest in lines if rest.strip()), None)
            if second is None:
                return line, lines
            return None, chain([first, second], lines)
        return None, chain([first], lines)

    def _parse_document(self, line: int, text: str) -> Iterator[tuple[int, object, bool]]:
        escapes = "\\u" in text
        found = parse_document(text, name=self.name, line=line, decoder=_DECODER, on_note=self.notes.append)
        return ((number, value, escapes) for number, value in found)

    def _parse_lines(self, lines: Iterator[_Numbered]) -> Iterator[tuple[int, object, bool]]:
        for number, line in lines:
            if line.strip():
                try:
                    value = self._parse(line, number)
                except DataError as error:
                    self._on_error(error)
                    continue
                yield number, value, "\\u" in line

    def _parse(self, line: str, number: int) -> object:
        try:
            return self._decode(line.strip())
        except json.JSONDecodeError as error:
            hint = "remove the comma at its end" if line.rstrip().endswith(",") else "each line must be one object"
            raise self._error(number, f" is not valid JSON ({error.msg}, column {error.colno})", hint) from error
        except SyntaxError as error:
            raise self._error(number, f" is not valid ({error.msg})", "each line must be one object") from error
        except RepeatedKeyError as error:
            raise self._error(number, f" has the key {quoted(str(error))} twice", "rename one") from error
        except (ValueError, RecursionError, MemoryError) as error:
            problem = " holds a number that is too long, or is nested too deeply"
            raise self._error(number, problem, "shorten it") from error

    def _checked(self, value: object, number: int, *, escapes: bool) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self._error(number, f" is not a JSON object but {_kind(value)}", _ADVICE)
        if escapes:
            try:
                # A lone surrogate can be read but neither written nor tokenized.
                json.dumps(value, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                problem = " holds half of a surrogate pair (\\ud800-\\udfff)"
                raise self._error(number, problem, "repair the text") from error
        return value

    def _error(self, number: int, problem: str, advice: str) -> RowError:
        return RowError.of(self.name, f"line {number}", problem, advice)


def _is_python(line: str) -> bool:
    try:
        return isinstance(ast.literal_eval(line.strip()), dict)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def _kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", type(None): "null", bool: "true or false"}
    return kinds.get(type(value), "a number")
