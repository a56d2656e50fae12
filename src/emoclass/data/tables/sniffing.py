"""Look at the first part of an input to decide what it is: a table of some format, or no table at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from emoclass import lfs
from emoclass.data.tables.decoding import decode_sample, doubts
from emoclass.data.tables.dialects import sniff
from emoclass.data.tables.excel import require_workbook
from emoclass.data.tables.fasttext import is_fasttext
from emoclass.data.tables.formats import (
    EXCEL,
    FASTTEXT,
    LINES,
    READ_FORMATS,
    STDIN,
    SUFFIXES,
    format_of,
)
from emoclass.data.tables.options import ReadOptions, Sample
from emoclass.data.tables.sources import Source
from emoclass.errors import ConfigError, DataError

_SAMPLE_BYTES = 1 << 18
_DECOMPRESS = "decompress it first, or compress it with gzip"
_BINARY = (
    (b"\xd0\xcf\x11\xe0", "an old Excel file", "save the table as .xlsx or CSV and pass that"),
    (b"%PDF-", "a PDF file", "pass a table as CSV instead"),
    (b"\xfd7zXZ", "an xz-compressed file", _DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "a zstd-compressed file", _DECOMPRESS),
    (b"BZh91AY", "a bzip2-compressed file", _DECOMPRESS),
    (b"ARROW1\0\0", "an Arrow file", "write it as Parquet: pyarrow.feather.read_table, pyarrow.parquet.write_table"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (
        b"\x80\x04\x95",
        "a pickle",
        "save the table as Parquet or CSV; a pickle can run any code",
    ),
    (b"{\\rtf", "a text document", "save the table as CSV"),
)
_ZIP, _PARQUET = b"PK\x03\x04", b"PAR1"
_PAGE = re.compile(r"\s*<(?:!doctype\s+html|!--|(?:html|head|body|table|meta|script|div|style|p|br)\b)", re.IGNORECASE)
_XML = re.compile(r"\s*<(?:\?xml\s|error>|rss\b|feed\b|workbook\b)", re.IGNORECASE)
_JSON = re.compile(r"\s*(?:[\[{]\s*)+(?:[\"'\]}]|\Z)")
_NO_SAMPLE = Sample()


@dataclass(frozen=True)
class Identified:
    r"""What an input is.

    Attributes:
        format: ``csv``, ``tsv``, ``jsonl``, ``parquet``, ``fasttext``, ``xlsx`` or ``text``.
        sample: Its first lines; none for binary formats or where they are not there yet.
        newline: What ends a line: ``\n``, which also stands for ``\r\n``, ``\r``, or ``\r\n`` alone.
        line_end: Name of the line end of most lines: ``LF``, ``CRLF`` or ``CR``; empty for binary formats.
        notes: What was decided against its name.
    """

    format: str
    sample: Sample = _NO_SAMPLE
    newline: str = "\n"
    line_end: str = ""
    notes: tuple[str, ...] = ()


def identify(source: Source, path: str | Path, options: ReadOptions, *, prediction: bool, wait: bool) -> Identified:
    """Decide the format of an opened input by its options, its content and its name, in this order.

    Args:
        source: The input.
        path: Its name, or ``-``.
        options: How it is written, as far as that is known.
        prediction: Whether plain text is allowed, one record per line; standard input and .txt are then read as such.
        wait: Whether to wait for the first part of a pipe.

    Raises:
        ConfigError: The format is unknown.
        DataError: The input is no table, or its format is unclear.
    """
    known = (LINES, *READ_FORMATS) if prediction else READ_FORMATS
    given = options.format
    if given is not None and given not in known:
        raise ConfigError(f"unknown format {given!r}: choose one of {', '.join(known)}")
    named = _named_format(path, prediction=prediction)
    if binary := _binary_format(source, given, named):
        return binary
    waits = wait or source.is_regular()
    content = source.content.peek(_SAMPLE_BYTES) if waits else source.content.head
    text = decode_sample(content, options.encoding)
    _reject_foreign(source.name, text, is_stream=str(path) == STDIN, is_lines=LINES in (given, named))
    whole = source.content.at_end
    format_, notes = _text_format(source.name, text, given, named, whole=whole)
    if format_ is None:
        raise DataError(
            f"{source.name}: neither name nor content tells the format: known are {', '.join(SUFFIXES)} (csv, tsv and"
            f" jsonl also with .gz); pass --format {'|'.join(known)} for other names"
        )
    newline = _newline(text, format_, whole=whole, waited=waits)
    sample = _sample(text, newline, whole=whole) if waits else _NO_SAMPLE
    pairs = newline == "\r\n" or text.count("\r\n") * 2 > text.count("\n")
    notes += doubts(source.name, content, options.encoding)
    return Identified(format_, sample, newline, "CR" if newline == "\r" else "CRLF" if pairs else "LF", notes)


def _named_format(path: str | Path, *, prediction: bool) -> str | None:
    if str(path) == STDIN:
        return LINES if prediction else "csv"
    if prediction and Path(str(path).lower().removesuffix(".gz")).suffix in (".txt", ".text", ".log"):
        return LINES
    return format_of(str(path), reading=True)[0]


def _binary_format(source: Source, given: str | None, named: str | None) -> Identified | None:
    """Return the format of a binary file, ``None`` for text.

    Raises:
        DataError: It is binary, but no table.
    """
    head, name = source.content.head, source.name
    for magic, what, advice in _BINARY:
        if head.startswith(magic):
            raise DataError(f"{name}: looks like {what}: {advice}")
    found = "parquet" if head.startswith(_PARQUET) else EXCEL if head.startswith(_ZIP) else None
    if found == EXCEL and not source.compressed:
        require_workbook(source.seekable(), name)
    if found is None and head and "parquet" in (given, given or named) and not head.startswith(lfs.POINTER.encode()):
        raise DataError(f"{name}: is not a parquet file: check it, or pass its --format")
    if found is None or given == LINES:
        return None if head or (given or named) not in ("parquet", EXCEL) else Identified(str(given or named))
    if source.compressed:
        raise DataError(f"{name}: gzipped {found} is not supported: decompress it and pass the .{found} file")
    if given not in (None, found):
        raise DataError(f"{name}: looks like a {found} file: drop --format {given}")
    notes = () if named == found else (f"{name}: read as {found}, which is its content",)
    return Identified(found, notes=notes)


def _reject_foreign(name: str, text: str, *, is_stream: bool, is_lines: bool) -> None:
    if text.startswith(lfs.POINTER):
        raise DataError(f"{name}: {lfs.ADVICE}")
    if is_stream and is_lines:
        return
    if _PAGE.match(text):
        raise DataError(
            f"{name}: is a web page, not a table: download the file itself (on a hub, its raw or resolve address)"
        )
    if _XML.match(text):
        raise DataError(f"{name}: is an XML document, not a table: export it as CSV, or download the data again")


def _sample(text: str, newline: str, *, whole: bool) -> Sample:
    # Not splitlines or StringIO: other separators, and the other line end, are text.
    lines = [line for line in re.split(f"(?<={newline})", text) if line]
    if not whole and len(lines) > 1:
        lines.pop()
    return Sample(tuple(lines), whole)


def _newline(text: str, format: str, *, whole: bool, waited: bool) -> str:
    """Return what ends a line: a line feed, unless rows fit only, or in greater number, with another end.

    The first piece of a pipe shows too little, and a carriage return inside a line of text or JSON ends none.
    """
    is_table = format in ("csv", "tsv")
    if not waited and not is_table:
        return "\n"
    pairs = text.count("\r\n")
    feeds, returns = text.count("\n") - pairs, text.count("\r") - pairs
    if returns and not feeds and not pairs:
        return "\r"
    others = ["\r\n"] * bool(pairs and feeds) + ["\r"] * bool(returns > pairs)
    if not others or not is_table or not waited:
        return "\n"
    best, most = "\n", 0
    for end in ("\n", *others):
        read = sniff(_sample(text, end, whole=whole).lines, whole=whole)
        # A name of a column that spans lines without quotes is none. Few rows fit by chance.
        if read.fits and len(read.rows) > most and not any("\r" in name for name in read.rows[0]):
            best, most = end, len(read.rows)
    return best


def _text_format(
    name: str, text: str, given: str | None, named: str | None, *, whole: bool
) -> tuple[str | None, tuple[str, ...]]:
    """Return the format of text, and notes; the format is ``None`` if unclear."""
    if given is not None:
        return given, ()
    first = next((line for line in text.splitlines() if line.strip()), "")
    found = None
    if named != LINES and _JSON.match(text):
        found = "jsonl"
    elif named != "jsonl" and is_fasttext(first):
        found = FASTTEXT
    elif named is None:
        lines = _sample(text, _newline(text, "csv", whole=whole, waited=True), whole=whole).lines
        found = "csv" if len(next(iter(sniff(lines, whole=whole).rows), ())) > 1 else None
    if found is None or found == named:
        return named, ()
    what = "JSON" if found == "jsonl" else "fastText" if found == FASTTEXT else found
    return found, (f"{name}: read as {what}, which is its content",)
