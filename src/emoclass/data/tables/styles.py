"""How a text table is written beside its values: for a file that is replaced by what was read from it."""

import csv
import gzip
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat, zip_longest
from pathlib import Path
from typing import Any

from emoclass.data.tables.decoding import byte_order_mark

# How much of a file shows which columns are in quotes.
_HEAD_BYTES, _ROWS = 1 << 16, 100
_LINE_ENDS = {"CRLF": "\r\n", "CR": "\r"}


@dataclass(frozen=True, kw_only=True)
class Style:
    """How text is written.

    Attributes:
        encoding: Name of the codec.
        mark: Byte order mark that the codec does not write.
        line_end: End of each line.
        delimiter: Delimiter of csv and tsv.
        quoting: As in ``ReadOptions``.
        quoted: For each column, whether its fields are in quotes, also those that need none.
        quoted_header: Whether the names of the columns are.
        header: Whether the first row has the names of the columns.
    """

    encoding: str = "utf-8"
    mark: bytes = b""
    line_end: str = "\n"
    delimiter: str = ","
    quoting: str = "double"
    quoted: tuple[bool, ...] = ()
    quoted_header: bool = False
    header: bool = True

    @property
    def quote(self) -> str:
        """The quotation mark."""
        return "'" if self.quoting == "single" else '"'

    @property
    def has_own_quotes(self) -> bool:
        """Whether the csv module cannot write quotes like this: per column, or around what a backslash escapes."""
        return self.quoting == "backslash" or self.quoted_header or any(self.quoted)

    def row(self, values: Sequence[str], *, is_header: bool) -> str:
        """Return a row as it is written; columns that are new have quotes if all others have."""
        all_others = self.quoted_header and all(self.quoted)
        quoted = repeat(self.quoted_header) if is_header else chain(self.quoted, repeat(all_others))
        syntax = {self.delimiter, self.quote, "\r", "\n", "\\" if self.quoting == "backslash" else self.quote}
        fields = [
            self._in_quotes(value) if is_quoted or any(c in value for c in syntax) else value
            for value, is_quoted in zip(values, quoted, strict=False)
        ]
        return self.delimiter.join(fields) + self.line_end

    def _in_quotes(self, value: str) -> str:
        if self.quoting == "backslash":
            value = value.replace("\\", "\\\\").replace(self.quote, f"\\{self.quote}")
        else:
            value = value.replace(self.quote, 2 * self.quote)
        return f"{self.quote}{value}{self.quote}"

    def row_writer(self, file: io.StringIO, *, quote_all: bool = False) -> Any:
        """Return a ``csv.writer``."""
        return csv.writer(
            file,
            delimiter=self.delimiter,
            lineterminator=self.line_end,
            quoting=csv.QUOTE_NONE if self.quoting == "none" else csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
            quotechar=None if self.quoting == "none" else self.quote,
        )


def style_of(path: Path, layout: Mapping[str, Any]) -> Style | None:
    """Return how a file is written whose reader has this ``layout``; ``None`` if it is not text.

    Raises:
        OSError: It cannot be read.
    """
    if "encoding" not in layout:
        return None
    with gzip.open(path) if layout["gzip"] else path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    encoding, writes_mark = layout["encoding"], bool("".encode(layout["encoding"]))
    mark, _ = byte_order_mark(head)
    style = Style(
        encoding=encoding,
        mark=b"" if writes_mark else mark,
        line_end=_LINE_ENDS.get(layout["line_end"], "\n"),
        delimiter=layout.get("delimiter", ","),
        quoting=layout.get("quoting", "double"),
        header=layout.get("header", True),
    )
    if layout["format"] not in ("csv", "tsv") or style.quoting == "none":
        return style
    rows = list(islice(_quotes(style, head.removeprefix(mark).decode(encoding, "replace")), _ROWS))
    header, *data = rows if style.header and rows else [[], *rows]
    columns = [[each for each in column if each is not None] for column in zip_longest(*data)]
    quoted = tuple(bool(column) and all(column) for column in columns)
    return replace(style, quoted=quoted, quoted_header=bool(header) and all(header))


def _quotes(style: Style, text: str) -> Iterator[list[bool | None]]:
    """Yield for each row that is whole which fields are in quotes; ``None`` for empty ones."""
    quote, delimiter = style.quote, re.escape(style.delimiter)
    inside = rf"[^{quote}\\]|\\." if style.quoting == "backslash" else rf"[^{quote}]|{quote}{quote}"
    field = re.compile(rf"({quote}(?:{inside})*{quote}|[^{delimiter}\r\n]*)({delimiter}|\r\n|\r|\n|$)", re.DOTALL)
    row: list[bool | None] = []
    for match in field.finditer(text):
        row.append(match[1].startswith(quote) if match[1] else None)
        if match[2] and match[2] != style.delimiter:
            yield row
            row = []
