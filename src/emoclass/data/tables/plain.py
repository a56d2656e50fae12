"""Plain text: a record a line."""

from collections.abc import Iterable, Iterator

Row = tuple[int, list[object]]


class PlainRows:
    """Rows of a plain text, as (line, [text]): every line is one, blank ones too."""

    notes: tuple[str, ...] = ()

    def __init__(self, lines: Iterable[str]) -> None:
        self.columns = ["text"]
        self._lines = lines

    def __iter__(self) -> Iterator[Row]:
        for number, line in enumerate(self._lines, start=1):
            yield number, [line.rstrip("\r\n")]
