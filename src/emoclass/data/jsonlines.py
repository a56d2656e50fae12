"""JSON lines: one object a line, nested values as JSON text."""

import json
import math
from collections.abc import Iterable, Iterator

from emoclass.errors import DataError

_CONSTANTS = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}
_DECODER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__)
_CONVERT = "write one object per line, for example with: jq -c '.[]' data.json > data.jsonl"

Row = tuple[int, list[object]]


class JsonRows:
    """Rows of a JSON-lines text, as (line, values in the order of ``columns``).

    ``columns`` starts with the keys of the first object and grows when a later object brings a new key.

    Raises:
        DataError: an empty input, or a line that is not one JSON object.
    """

    def __init__(self, lines: Iterable[str], *, name: str) -> None:
        self.name = name
        self.notes: tuple[str, ...] = ()
        self.columns: list[str] = []
        self._objects = self._read_objects(lines)
        self._first = next(self._objects, None)
        if self._first is None:
            raise DataError(f"{name}: is empty: it needs one JSON object per line")
        self.columns.extend(self._first[1])

    def __iter__(self) -> Iterator[Row]:
        if self._first is not None:
            yield self._first[0], list(self._first[1].values())
            self._first = None
        known = set(self.columns)
        for line, values in self._objects:
            if not values.keys() <= known:
                self.columns.extend(key for key in values if key not in known)
                known.update(values)
            yield line, [values.get(column) for column in self.columns]

    def _read_objects(self, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, object]]]:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, self._parse(line, number)

    def _parse(self, line: str, number: int) -> dict[str, object]:
        where = f"{self.name}: line {number}"
        if not self.columns and line.lstrip().startswith("["):
            raise DataError(f"{self.name}: starts a JSON array: {_CONVERT}")
        try:
            parsed = _DECODER.decode(line)
            if not isinstance(parsed, dict):
                raise DataError(f'{where} is not a JSON object such as {{"text": …}}: {_CONVERT}')
            values = {key: _flat(value) for key, value in parsed.items()}
            if "\\u" in line:
                _check_surrogates(values)
        except UnicodeEncodeError as error:
            raise DataError(f"{where} holds half of a surrogate pair (\\ud800-\\udfff): repair the text") from error
        except json.JSONDecodeError as error:
            raise DataError(
                f"{where} is not valid JSON ({error.msg}, column {error.colno}): each line must be one object"
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} holds a number too long or is nested too deep: shorten it") from error
        return values


def _flat(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _check_surrogates(values: dict[str, object]) -> None:
    """A lone surrogate can be read but never written or tokenized: find it while its line is known."""
    for key, value in values.items():
        key.encode()
        if isinstance(value, str):
            value.encode()
