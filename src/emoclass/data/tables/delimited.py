"""Parse CSV and TSV: header, delimiter, rows and the line where each row starts."""

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator

from emoclass.data.columns.naming import located
from emoclass.errors import ConfigError, DataError, raise_error

# The csv module has one limit per process, so it is only ever raised. Without a limit, a quote that never closes would
# read the rest of the input into memory.
_FIELD_LIMIT = 1 << 28
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
# Excel writes and reads this line above the header.
_SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "vertical bar", " ": "space"}

Row = tuple[int, list[object]]


class DelimitedRows:
    """Rows of a delimited text as (line, fields); the header is read at once.

    Args:
        lines: Lines of the text with their line ends.
        name: What messages call the input.
        format: ``csv`` or ``tsv``.
        delimiter: One character or ``tab``; found in the header if ``None``.
        on_error: Called with the error of a row, which is then skipped: broken quotes, or more or fewer fields than
            the header. Raises it by default.

    Attributes:
        columns: Names in the header.
        delimiter: The delimiter.
        notes: What was recognized without an option.

    Raises:
        ConfigError: The delimiter cannot be used.
        DataError: The text has no header, or its header is broken.
    """

    def __init__(
        self,
        lines: Iterable[str],
        *,
        name: str,
        format: str,
        delimiter: str | None,
        on_error: Callable[[DataError], None] = raise_error,
    ) -> None:
        self.name = name
        self._on_error = on_error
        self.notes: tuple[str, ...] = ()
        lines = iter(lines)
        first_lines = _through_header(lines)
        if first_lines and (excel := _SEPARATOR_LINE.fullmatch(first_lines[-1].strip("\r\n"))):
            delimiter = delimiter or excel[1]
            first_lines = ["\n" * line.endswith("\n") for line in first_lines] + _through_header(lines)
        self.delimiter = _parse_delimiter(delimiter) or self._detect_delimiter(first_lines, format)
        csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
        all_lines = itertools.chain(first_lines, lines)
        try:
            self._csv = csv.reader(all_lines, delimiter=self.delimiter, strict=True)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"delimiter {self.delimiter!r} cannot be used: {error}") from error
        self._row = 0
        self.columns: list[str] = []
        self.columns = self._read_header()

    def __iter__(self) -> Iterator[Row]:
        width = len(self.columns)
        while True:
            line = self._csv.line_num + 1
            try:
                fields = self._next_fields()
                if fields is None:
                    return
                if len(fields) != width and (len(fields) > 1 or (fields and fields[0].strip())):
                    raise DataError(self._wrong_width(line, len(fields)))
            except DataError as error:
                self._on_error(error)
                self._row += 1
                continue
            if len(fields) == width:
                self._row += 1
                yield line, fields  # type: ignore[misc]  # list[str] where list[object] is only read

    def _detect_delimiter(self, first_lines: list[str], format: str) -> str:
        if format == "tsv":
            return "\t"
        header = _QUOTED.sub("", first_lines[-1]) if first_lines else ""
        found = max(";\t|", key=header.count)
        if "," in header or found not in header:
            return ","
        self.notes = (f"{self.name}: read as {_NAMES[found]}-separated, like its header",)
        return found

    def _read_header(self) -> list[str]:
        header: list[str] | None = []
        while header is not None and not any(field.strip() for field in header):
            header = self._next_fields()
        if header is None:
            raise DataError(f"{self.name}: is empty: it needs a header line such as text,label and rows below")
        return header

    def _next_fields(self) -> list[str] | None:
        line = self._csv.line_num + 1
        try:
            return next(self._csv, None)
        except csv.Error as error:
            raise DataError(self._broken(line, str(error))) from error

    def _where(self, line: int) -> str:
        return f"{self.name}: {located(self._row + 1, line) if self.columns else 'header'}"

    def _broken(self, line: int, reason: str) -> str:
        where, last = self._where(line), self._csv.line_num
        if "end of data" in reason:
            return (
                f"{where}: a quoted field starts here and is still open at the end (line {last}):"
                ' check the quotes; close the field, or write each " inside it as ""'
            )
        if "expected after" in reason:
            return (
                f"{where}: a quoted field that starts here ends in the middle of a field (line {last}):"
                ' check the quotes; write each " inside a quoted field as ""'
            )
        return f"{where}: {reason}: check the quotes"

    def _wrong_width(self, line: int, width: int) -> str:
        delimiter = _NAMES.get(self.delimiter, repr(self.delimiter))
        if width > len(self.columns):
            hint = f'a {delimiter} inside a text? Put the text in "quotes"'
        else:
            hint = "a field is missing, or the line was cut: complete it"
        expected = len(self.columns)
        return f"{self._where(line)} has {_fields(width)}, the header has {expected}: {hint}"


def _through_header(lines: Iterator[str]) -> list[str]:
    """Return the lines through the first that is not blank."""
    taken = []
    for line in lines:
        taken.append(line)
        if line.strip():
            break
    return taken


def _parse_delimiter(given: str | None) -> str | None:
    if given is None:
        return None
    delimiter = "\t" if given.lower() in ("tab", r"\t") else given
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ConfigError(f"delimiter {given!r} cannot be used: pass one character, or tab")
    return delimiter


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"
