"""Parse plain text: one record per line."""

from collections.abc import Iterable, Iterator

Row = tuple[int, list[object]]


class PlainRows:
    """Rows of a plain text as (line, [text]); every line is a row, also a blank one."""

    notes: tuple[str, ...] = ()

    def __init__(self, lines: Iterable[str]) -> None:
        self.columns = ["text"]
        self._lines = lines

    def __iter__(self) -> Iterator[Row]:
        for number, line in enumerate(self._lines, start=1):
            yield number, [line.rstrip("\r\n")]
