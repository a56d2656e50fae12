"""How a text table is written beside its values: for a file that is replaced by what was read from it."""

import codecs
import csv
import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEAD_BYTES = 1 << 16
_LINE_ENDS = {"CRLF": "\r\n", "CR": "\r"}
# The longest first: that of UTF-32 begins with that of UTF-16.
_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How text is written.

    Attributes:
        encoding: Name of the codec.
        mark: Byte order mark that the codec does not write.
        line_end: End of each line.
        delimiter: Delimiter of csv and tsv.
        quoting: As in ``ReadOptions``.
        quotes_all: Whether all fields are in quotes, also those that need none.
        header: Whether the first row has the names of the columns.
    """

    encoding: str = "utf-8"
    mark: bytes = b""
    line_end: str = "\n"
    delimiter: str = ","
    quoting: str = "double"
    quotes_all: bool = False
    header: bool = True

    def row_writer(self, file: io.StringIO, *, quote_all: bool = False) -> Any:
        """Return a ``csv.writer``."""
        return csv.writer(
            file,
            delimiter=self.delimiter,
            lineterminator=self.line_end,
            quoting=csv.QUOTE_NONE if self.quoting == "none" else csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
            quotechar={"none": None, "single": "'"}.get(self.quoting, '"'),
            doublequote=self.quoting != "backslash",
            escapechar="\\" if self.quoting == "backslash" else None,
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
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    style = Style(
        encoding=encoding,
        mark=b"" if writes_mark else mark,
        line_end=_LINE_ENDS.get(layout["line_end"], "\n"),
        delimiter=layout.get("delimiter", ","),
        quoting=layout.get("quoting", "double"),
        header=layout.get("header", True),
    )
    first = head.removeprefix(mark).decode(encoding, "replace").partition(style.line_end)[0]
    return Style(**{**vars(style), "quotes_all": _quotes_all(style, first)})


def _quotes_all(style: Style, line: str) -> bool:
    quote = "'" if style.quoting == "single" else '"'
    if style.quoting == "none" or not line.startswith(quote):
        return False
    written = io.StringIO(newline="")
    fields = next(csv.reader([line], delimiter=style.delimiter, quotechar=quote), [])
    style.row_writer(written, quote_all=True).writerow(fields)
    return written.getvalue() == line + style.line_end
