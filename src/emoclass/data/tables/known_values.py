"""Tell rows that a quote has joined from a text of several lines: by values that columns repeat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
# Longer cells are texts, not values that repeat.
VALUE_CHARACTERS = 60
# Rows that are learned from.
MOST_ROWS = 1000


class KnownValues:
    """Values that columns repeat, such as labels, and columns of numbers: how rows are told from lines of a text."""

    def __init__(self, rows: Iterable[Sequence[str]] = ()) -> None:
        self._values: list[Counter[str]] = []
        self._numeric: list[int] = []
        self._rows = 0
        for row in rows:
            self.add(row)

    def add(self, row: Sequence[str]) -> None:
        """Learn from a row."""
        if not self._values:
            self._values = [Counter() for _ in row]
            self._numeric = [0] * len(row)
        if len(row) != len(self._values) or self._rows >= MOST_ROWS:
            return
        self._rows += 1
        for column, value in enumerate(row):
            if len(value) <= VALUE_CHARACTERS:
                self._values[column][value] += 1
                self._numeric[column] += NUMBER.fullmatch(value) is not None

    def swallowed(self, lines: Sequence[str], delimiter: str) -> bool:
        """Return whether the lines of one row look like rows of their own, which a quote has joined.

        Split at every separator, each must have the fields of a row, and most must have a known value in a field that
        does not belong to the row anyway: those before the quote in its first line, those behind it in the last one.
        """
        split = [line.rstrip("\r\n").split(delimiter) for line in lines]
        width = len(self._values)
        if width < 2 or any(len(fields) != width for fields in split):
            return False
        opening = next((number for number, field in enumerate(split[0]) if field.lstrip().startswith('"')), width)
        evidence = [[*fields[:opening], "", *fields[opening + 1 :]] for fields in split]
        evidence[0][:opening] = [""] * opening
        evidence[-1][opening:] = [""] * (width - opening)
        telling = [fields for fields in evidence if any(field.strip() for field in fields)]
        return 2 * sum(map(self._match, telling)) > len(telling) > 0

    def _match(self, fields: Sequence[str]) -> bool:
        return any(
            bool(value.strip())
            and (
                self._values[column][value] > 1
                or (self._numeric[column] == self._rows > 1 and NUMBER.fullmatch(value) is not None)
            )
            for column, value in enumerate(fields)
        )
