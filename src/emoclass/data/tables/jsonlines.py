"""Parse JSON lines: one object per line."""

import json
import math
from collections.abc import Callable, Iterable, Iterator

from emoclass.errors import DataError, raise_error

_CONSTANTS = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}
_DECODER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__)
_CONVERT = "write one object per line, for example with: jq -c '.[]' data.json > data.jsonl"

Row = tuple[int, list[object]]


class JsonRows:
    """Rows of JSON lines as (line, values in the order of ``columns``).

    Args:
        lines: Lines of the text.
        name: What messages call the input.
        absent: Value of a key that an object lacks.
        on_error: Called with the error of a line that is not one JSON object, which is then skipped. Raises it by
            default.

    Attributes:
        columns: Keys of the first object that has any; grows in place when a later object has a new key.

    Raises:
        DataError: The input is empty.
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
        self._absent, self._on_error = absent, on_error
        self.notes: tuple[str, ...] = ()
        self.columns: list[str] = []
        self._objects = self._read_objects(lines)
        self._first: list[tuple[int, dict[str, object]]] = []
        while not self.columns and (record := next(self._objects, None)):
            self._first.append(record)
            self.columns.extend(record[1])
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

    def _read_objects(self, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, object]]]:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    values = self._parse(line, number)
                except DataError as error:
                    self._on_error(error)
                    continue
                yield number, values

    def _parse(self, line: str, number: int) -> dict[str, object]:
        where = f"{self.name}: line {number}"
        if not self.columns and line.lstrip().startswith("["):
            raise DataError(f"{self.name}: starts a JSON array: {_CONVERT}")
        try:
            parsed = _DECODER.decode(line)
            if not isinstance(parsed, dict):
                raise DataError(f'{where} is not a JSON object such as {{"text": …}}: {_CONVERT}')
            if "\\u" in line:
                _check_surrogates(parsed)
        except UnicodeEncodeError as error:
            raise DataError(f"{where} holds half of a surrogate pair (\\ud800-\\udfff): repair the text") from error
        except json.JSONDecodeError as error:
            raise DataError(
                f"{where} is not valid JSON ({error.msg}, column {error.colno}): each line must be one object"
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} holds a number that is too long, or is nested too deeply: shorten it") from error
        return parsed


def _check_surrogates(value: object) -> None:
    """Raise ``UnicodeEncodeError`` for a lone surrogate, which can be read but neither written nor tokenized."""
    json.dumps(value, ensure_ascii=False).encode()
