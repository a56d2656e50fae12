"""Decode bytes to lines of text in one pass: byte order marks, strict decoding, errors that suggest an encoding."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, cast

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
_FOREIGN_RUN = re.compile(rb"[\x80-\xff]+")


def decode_sample(name: str, content: bytes, encoding: str | None) -> str:
    """Decode the first bytes of a text to look at them; what cannot be decoded is replaced.

    Raises:
        ConfigError: The encoding is unknown.
        DataError: The byte order mark contradicts the encoding.
    """
    mark, marked = _byte_order_mark(content)
    codec = _choose_encoding(name, encoding, marked)
    try:
        return content[len(mark) :].decode(codec, "replace")
    except UnicodeError:  # codecs that take no error handler
        return ""


class TextLines:
    """Iterates over the lines of a byte stream with their line ends.

    Args:
        content: The bytes.
        encoding: Encoding of the text; that of a byte order mark or UTF-8 if ``None``.
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
        mark, marked = _byte_order_mark(content.head)
        self.encoding = _choose_encoding(self.name, encoding, marked)
        self.notes: tuple[str, ...] = ()
        if marked not in (None, "utf-8"):
            self.notes = (f"{self.name}: decoded as {marked}, as its byte order mark says",)
        self._given = encoding is not None
        self._bytes = _TextBytes(content, self.encoding, skip=len(mark), count_invalid=replace, allow_nul=binary)
        # Not str.splitlines: only \n, \r and \r\n end a line, other separators are text.
        errors = "replace" if replace else "strict"
        raw = cast(BinaryIO, self._bytes)
        self._wrapper = io.TextIOWrapper(raw, encoding=self.encoding, errors=errors, newline=newline)

    @property
    def replaced(self) -> int:
        """Number of places where bytes were replaced."""
        return self._bytes.invalid

    @property
    def guess(self) -> str | None:
        """Likely encoding, by the first bytes that were replaced; ``None`` if unclear."""
        return _detect(self._bytes.invalid_sample) if self._bytes.invalid_sample else None

    def __iter__(self) -> Iterator[str]:
        try:
            if self.encoding.startswith("utf-8"):
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
        line, offset = self._bytes.locate(error)
        problem = (
            f"{self.name}: line {line} is not valid {self.encoding.upper()}"
            f" (byte 0x{error.object[error.start]:02x} at offset {offset})"
        )
        line_start = error.object.rfind(b"\n", 0, error.start) + 1
        guess = _detect(error.object[line_start:] + self._bytes.read_ahead(_SAMPLE_BYTES))
        if guess is None or guess == self.encoding:
            return f"{problem}: find out its encoding and pass --encoding, or convert the file to UTF-8"
        other = f"pass --encoding {guess} if that is right" if self._given else f"pass --encoding {guess}"
        shown = _word_at(error.object, error.start, guess)
        return f"{problem}; it looks like {guess}, which reads {shown}: {other}, or convert the file to UTF-8"


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


def _byte_order_mark(head: bytes) -> tuple[bytes, str | None]:
    return next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", None))


def _choose_encoding(name: str, given: str | None, marked: str | None) -> str:
    if given is None:
        return marked or "utf-8"
    try:
        b"".decode(given)  # unlike codecs.lookup, rejects codecs that are not text encodings
        "\n".encode(given)
        codec = codecs.lookup(given).name
    except (LookupError, ValueError) as error:
        raise ConfigError(f"unknown encoding {given!r}: pass a name such as utf-8, cp1252 or utf-16") from error
    if marked is None:
        return "utf-8" if codec == "utf-8-sig" else codec
    if not marked.startswith(codec.removesuffix("-sig")):
        raise DataError(f"{name}: starts with the byte order mark of {marked}, not {given}: drop --encoding")
    return marked


def _word_at(content: bytes, place: int, encoding: str) -> str:
    """Return the word around a byte as an encoding reads it, for a person to judge."""
    start = max(content.rfind(mark, 0, place) for mark in b" \n\t,;") + 1
    ends = [end for mark in b" \n\t,;\r" if (end := content.find(mark, place)) >= 0]
    return repr(content[start : min(ends, default=len(content))].decode(encoding, "replace")[:30])


def _is_western(sample: bytes) -> bool:
    """Return whether few bytes are not ASCII, each alone or in a pair among Latin letters: accents and quotes."""
    runs = _FOREIGN_RUN.findall(sample)
    letters = sum(byte < 128 and chr(byte).isalpha() for byte in sample)
    if not runs or max(map(len, runs)) > 2 or 5 * sum(map(len, runs)) > letters:
        return False
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


def _detect(sample: bytes) -> str | None:
    """Guess the encoding of a sample that is not UTF-8, ``None`` if unclear."""
    from charset_normalizer import from_bytes

    foreign = b"".join(line for line in sample.splitlines(keepends=True) if not line.isascii())
    if _is_western(foreign):
        return "cp1252"
    matches = from_bytes(foreign)
    best = matches.best()
    if best is None:
        return None
    # A few accents fit many code pages equally well: prefer the most common one.
    for match in matches:
        as_good = match.chaos <= best.chaos and match.coherence >= best.coherence - 0.05
        if as_good and "cp1252" in match.could_be_from_charset:
            return "cp1252"
    return best.encoding.replace("_", "-")
