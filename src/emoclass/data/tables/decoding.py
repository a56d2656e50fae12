"""Decode bytes to lines of text in one pass: byte order marks, strict decoding, errors that suggest an encoding.

An encoding that is given is that of text that does not say otherwise. What has a byte order mark, and lines that are
UTF-8, are read as such, so that one option reads all parts of a data set.
"""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, cast

from emoclass.data.columns.naming import counted, quoted
from emoclass.data.tables.mixed import MixedLines, decode_lines, is_utf8, may_hold_utf8
from emoclass.data.tables.sources import ByteReader
from emoclass.errors import ConfigError, DataError, one_line

# UTF-32 first: its little-endian mark begins with the one of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 1 << 16
_WORDS = re.compile(rb"[^ \n\r\t,;\"]+")
_SHOWN = 30
# Bytes that are not ASCII from which on a guess is worth more than a doubt.
_CERTAIN = 16


def decode_sample(content: bytes, encoding: str | None) -> str:
    """Decode the first bytes of a text to look at them; what cannot be decoded is replaced.

    Raises:
        ConfigError: The encoding is unknown.
    """
    mark, marked = byte_order_mark(content)
    codec = _choose_encoding(encoding, marked)
    try:
        if may_hold_utf8(codec):
            return decode_lines(content, codec)
        return content[len(mark) :].decode(codec, "replace")
    except UnicodeError:  # codecs that take no error handler
        return ""


def doubts(name: str, content: bytes, encoding: str | None) -> tuple[str, ...]:
    """Return a note if the first bytes of a text look like another encoding than the one that is given for them."""
    codec = _choose_encoding(encoding, byte_order_mark(content)[1])
    if encoding is None or not may_hold_utf8(codec):
        return ()
    lines = content[:_SAMPLE_BYTES].splitlines(keepends=True)
    foreign = b"".join(line for line in lines if not line.isascii() and not is_utf8(line, codec))
    likely = _likely(foreign) if sum(byte > 127 for byte in foreign) >= _CERTAIN else []
    if not likely or any(foreign.decode(each, "replace") == foreign.decode(codec, "replace") for each in likely):
        return ()
    ours, theirs = _readings(foreign, codec, likely[0])
    return (
        f"{name}: read as {codec} ({ours}), but looks like {likely[0]} ({theirs}): if that is right, convert it to"
        f" UTF-8 with iconv -f {likely[0]} -t UTF-8 {name}",
    )


class TextLines:
    """Iterates over the lines of a byte stream with their line ends.

    Args:
        content: The bytes.
        encoding: Encoding of what has no byte order mark and is not UTF-8; UTF-8 if ``None``.
        newline: What ends a line, as for ``open``.
        replace: Whether bytes that cannot be decoded become replacement characters.
        binary: Whether NUL bytes are allowed.

    Attributes:
        name: What messages call the input.
        encoding: Name of the codec.
        notes: What was recognized without an option.

    Raises:
        ConfigError: The encoding is unknown.
        DataError: Bytes cannot be decoded.
    """

    def __init__(
        self,
        content: ByteReader,
        *,
        encoding: str | None = None,
        newline: str = "",
        replace: bool = False,
        binary: bool = False,
    ) -> None:
        self.name = content.name
        mark, marked = byte_order_mark(content.head)
        self.encoding = _choose_encoding(encoding, marked)
        self._given = encoding
        self.notes = _mark_notes(self.name, encoding, marked)
        mixed = may_hold_utf8(self.encoding)
        count_invalid = replace and not mixed
        self._bytes = _TextBytes(content, self.encoding, skip=len(mark), count_invalid=count_invalid, allow_nul=binary)
        self._mixed = MixedLines(self._bytes, self.encoding, replace=replace) if mixed else None
        # Not str.splitlines: only \n, \r and \r\n end a line, other separators are text.
        errors = "replace" if replace else "strict"
        raw = cast(BinaryIO, self._mixed or self._bytes)
        self._wrapper = io.TextIOWrapper(
            raw, encoding="utf-8" if mixed else self.encoding, errors=errors, newline=newline
        )

    @property
    def replaced(self) -> int:
        """Number of places where bytes were replaced."""
        return (self._mixed or self._bytes).invalid

    @property
    def guess(self) -> str | None:
        """Likely encoding, by the first bytes that were replaced; ``None`` if unclear."""
        likely = _likely((self._mixed or self._bytes).invalid_sample)
        return likely[0] if likely else None

    def last_notes(self) -> tuple[str, ...]:
        """Return what was recognized in the lines that were read."""
        if self._mixed is None or not self._mixed.utf8:
            return ()
        if not self._mixed.others:
            return (f"{self.name}: is UTF-8, and read as such, not as {self.encoding}",)
        lines = counted(self._mixed.utf8, "line is", "lines are")
        return (f"{self.name}: {lines} UTF-8, and read as such, the others as {self.encoding}",)

    def __iter__(self) -> Iterator[str]:
        try:
            if self._mixed or self.encoding.startswith("utf-8"):
                yield from self._wrapper
                return  # reading a terminal again would wait for another Ctrl-D
            for line in self._wrapper:
                line.encode()  # some codecs, such as utf-7, accept half of a surrogate pair
                yield line
        except UnicodeDecodeError as error:
            raise DataError(self._undecodable(error)) from error
        except UnicodeError as error:
            raise DataError(
                f"{self.name}: cannot be decoded as {self.encoding}: {one_line(error)}: check it"
            ) from error

    def close(self) -> None:
        """Free the buffers; the byte stream stays open."""
        self._wrapper.close()

    def _undecodable(self, error: UnicodeDecodeError) -> str:
        line, offset = (self._mixed or self._bytes).locate(error)
        problem = (
            f"{self.name}: line {line} is not valid {self.encoding.upper()}"
            f" (byte 0x{error.object[error.start]:02x} at offset {offset})"
        )
        line_start = error.object.rfind(b"\n", 0, error.start) + 1
        sample = error.object[line_start:] + self._bytes.read_ahead(_SAMPLE_BYTES)
        likely = [each for each in _likely(sample) if each != self.encoding]
        convert = "or convert the file to UTF-8"
        if not likely:
            return f"{problem}: find out its encoding and pass --encoding, {convert}"
        if len(likely) == 1:
            (reading,) = _readings(sample, *likely)
            condition = " if that is right" if self._given else ""
            looks = f"it looks like {likely[0]}, which reads {reading}"
            return f"{problem}; {looks}: pass --encoding {likely[0]}{condition}, {convert}"
        first, second = _readings(sample, *likely)
        return (
            f"{problem}; it looks like {likely[0]}, which reads {first}, or {likely[1]}, which reads {second}: pass"
            f" --encoding {likely[0]} or {likely[1]}, whichever is right, {convert}"
        )


class _TextBytes(io.BufferedIOBase):
    """Counts bytes, lines and undecodable places on the way to the decoder, and rejects NUL bytes."""

    def __init__(self, content: ByteReader, encoding: str, *, skip: int, count_invalid: bool, allow_nul: bool) -> None:
        super().__init__()
        self._content = content
        self._newline = "\n".encode(encoding)
        self._nul_is_foreign = len(self._newline) == 1 and not allow_nul
        self.invalid, self.invalid_sample = 0, b""
        self._decoder = codecs.getincrementaldecoder(encoding)() if count_invalid else None
        self._last = content.read1(skip) if skip else b""
        self._offset = skip
        self._lines_before = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        chunk = self._content.read1(size)
        self._lines_before += self._last.count(self._newline)
        self._last = chunk
        self._offset += len(chunk)
        if self._nul_is_foreign and b"\0" in chunk:
            raise DataError(self._nul_found(chunk))
        if self._decoder is not None:
            self._count_invalid(chunk)
        return chunk

    def _count_invalid(self, chunk: bytes) -> None:
        rest = chunk
        while self._decoder is not None:
            try:
                self._decoder.decode(rest, not chunk)
                return
            except UnicodeDecodeError as error:
                self.invalid += 1
                self.invalid_sample = self.invalid_sample or chunk
                rest = error.object[error.end :]
                self._decoder.reset()
            except UnicodeError:  # from a codec that does not say where
                self.invalid += 1
                self._decoder.reset()
                return

    def locate(self, error: UnicodeDecodeError) -> tuple[int, int]:
        """Return the 1-based line and the 0-based offset of the byte that cannot be decoded."""
        line = self._lines_before + error.object.count(self._newline, 0, error.start) + 1
        return line, self._offset - len(error.object) + error.start

    def read_ahead(self, size: int) -> bytes:
        """Return about ``size`` more bytes to guess the encoding from."""
        chunks = []
        while size > 0 and (chunk := self._content.read1(size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def _nul_found(self, chunk: bytes) -> str:
        line = self._lines_before + chunk.count(self._newline, 0, chunk.index(b"\0")) + 1
        where = f"{self._content.name}: line {line} holds a NUL byte"
        # In UTF-16 every other byte of Latin text is NUL.
        even, odd = chunk[::2].count(0) * 4 > len(chunk), chunk[1::2].count(0) * 4 > len(chunk)
        if even != odd:
            return f"{where}: it looks like UTF-16, pass --encoding utf-16-{'be' if even else 'le'}"
        return (
            f"{where}: if it is a table, remove such bytes with tr -d '\\000' < {self._content.name} > clean.csv; if it"
            " is a binary file, pass a table as csv, tsv, jsonl or parquet"
        )


def byte_order_mark(head: bytes) -> tuple[bytes, str | None]:
    """Return the byte order mark that an input begins with, and its encoding; empty and ``None`` without one."""
    return next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", None))


def _mark_notes(name: str, given: str | None, marked: str | None) -> tuple[str, ...]:
    if marked is None:
        return ()
    differs = given is not None and not marked.startswith(codecs.lookup(given).name.removesuffix("-sig"))
    if marked == "utf-8" and not differs:
        return ()
    return (f"{name}: decoded as {marked}, as its byte order mark says{f', not as {given}' if differs else ''}",)


def _choose_encoding(given: str | None, marked: str | None) -> str:
    if given is None:
        return marked or "utf-8"
    try:
        b"".decode(given)  # unlike codecs.lookup, rejects codecs that are not text encodings
        "\n".encode(given)
        codec = codecs.lookup(given).name
    except (LookupError, ValueError) as error:
        raise ConfigError(f"unknown encoding {given!r}: pass a name such as utf-8, cp1252 or utf-16") from error
    return marked or ("utf-8" if codec == "utf-8-sig" else codec)


def _readings(sample: bytes, *encodings: str) -> list[str]:
    """Return the first word that encodings read in different ways, or one reads at all, for a person to judge."""
    shown: list[str] = []
    for word in _WORDS.findall(sample):
        if not word.isascii():
            shown = [quoted(word.decode(each, "replace")[:_SHOWN]) for each in encodings]
            if len({*shown}) == len(encodings):
                break
    return shown or [""] * len(encodings)


def _likely(sample: bytes) -> list[str]:
    from emoclass.data.tables.encodings import guess_encodings

    return guess_encodings(sample)
