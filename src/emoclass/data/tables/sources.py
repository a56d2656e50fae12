"""Open the bytes of an input: a file, a gzip file or standard input, read once and hashed on the way."""

import gzip
import hashlib
import io
import select
import sys
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from emoclass.data.tables.formats import FORMATS, LINES, STDIN, SUFFIXES, format_of
from emoclass.errors import ConfigError, DataError

_CHUNK_BYTES = 1 << 16
# Longest byte order mark or magic number. Reading more would block while a user types on stdin.
_HEAD_BYTES = 4
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_FOREIGN = (
    (b"PK\x03\x04", "an Excel or zip file", "save the table as CSV and pass that"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", "save the table as CSV and pass that"),
    (b"%PDF", "a PDF file", "pass a table as CSV instead"),
    (b"\xfd7zX", "an xz-compressed file", "decompress it first, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "a zstd-compressed file", "decompress it first, or compress it with gzip"),
    (b"BZh9", "a bzip2-compressed file", "decompress it first, or compress it with gzip"),
)


class ByteReader(io.BufferedIOBase):
    """A byte stream with a look at its first bytes, whose failures are ``DataError``.

    Args:
        stream: The stream; it stays open.
        name: What messages call it.

    Attributes:
        name: What messages call the stream.
        head: The first bytes; reading returns them again.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        super().__init__()
        self.name = name
        # read1 returns what has arrived: a pipe that stays open must not block until a buffer is full.
        self._pull = getattr(stream, "read1", None) or stream.read
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.head = b""
        # No mark contains a line feed: a line that has arrived is enough.
        while len(self.head) < _HEAD_BYTES and b"\n" not in self.head and (chunk := self._pull_chunk(_CHUNK_BYTES)):
            self.head += chunk
        self._pending = self.head

    def readable(self) -> bool:
        """Return ``True``."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, or none at the end.

        Raises:
            DataError: The input is damaged or cannot be read.
        """
        size = _CHUNK_BYTES if size < 0 else size
        if self._pending:
            chunk, self._pending = self._pending[:size], self._pending[size:]
            return chunk
        return self._pull_chunk(size)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most ``size`` bytes, or all that remain."""
        if size is None or size < 0:
            return b"".join(iter(self.read1, b""))
        return self.read1(size)

    def sha256(self) -> str:
        """Return the hex digest of all bytes read from the stream so far."""
        return self._sha256.hexdigest()

    def _pull_chunk(self, size: int) -> bytes:
        try:
            # A stream may be non-blocking because the process was started with one.
            while (chunk := cast("bytes | None", self._pull(size))) is None:
                select.select([self._stream], [], [])
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{self.name}: the gzip data is damaged or cut off ({error}): get a complete copy of the file"
            ) from error
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read: {error.strerror or error}") from error
        self._sha256.update(chunk)
        return chunk


@dataclass(frozen=True)
class Source:
    """An opened input.

    Attributes:
        name: What messages call the input.
        format: ``csv``, ``tsv``, ``jsonl``, ``parquet`` or ``text``.
        file: The stored bytes.
        raw: The stored bytes, hashed as they are read.
        content: The decompressed bytes.
        notes: What was recognized without an option.
    """

    name: str
    format: str
    file: BinaryIO
    raw: ByteReader
    content: ByteReader
    notes: tuple[str, ...]


def open_source(
    source: str | Path,
    stack: ExitStack,
    *,
    format: str | None = None,
    allow_lines: bool = False,
    stdin: BinaryIO | None = None,
) -> Source:
    """Open a path, or standard input for ``-``.

    Args:
        source: The path, or ``-``.
        stack: Closes what is opened.
        format: The format; by the suffix if ``None``.
        allow_lines: Whether plain text is allowed; standard input, .txt and .log are then read as such.
        stdin: A stream to read instead; the path is then only a name.

    Raises:
        ConfigError: The format is unknown.
        DataError: The input does not exist, cannot be read, or has an unknown or foreign format.
    """
    known = (LINES, *FORMATS) if allow_lines else FORMATS
    if format is not None and format not in known:
        raise ConfigError(f"unknown format {format!r}: choose one of {', '.join(known)}")
    suffix_format, compressed = format_of(str(source))
    if allow_lines and suffix_format is None and _is_plain(str(source)):
        suffix_format = LINES
    if str(source) == STDIN:
        name, suffix_format = "standard input", LINES if allow_lines else "csv"
        if stdin is None and sys.stdin is None:
            raise DataError("standard input: is closed: pass a file, or pipe a table in")
        # Without its buffer: a thread that waits for input would hold the buffer's lock while Python exits.
        file = stdin or cast(BinaryIO, getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
    else:
        name = str(source)
        file = stdin or stack.enter_context(_open_file(name))
    raw = ByteReader(file, name)
    kind = format or suffix_format
    if kind == "parquet" and (compressed or raw.head.startswith(_GZIP_MAGIC)):
        raise DataError(f"{name}: gzipped parquet is not supported: decompress it and pass the .parquet file")
    content, notes = _decompressed(raw, compressed, stack)
    _reject_foreign(content, kind)
    if kind is None:
        raise DataError(
            f"{name}: the name does not tell the format: known are {', '.join(SUFFIXES)} (csv, tsv and jsonl"
            f" also with .gz); pass --format {'|'.join(known)} for other names"
        )
    return Source(name, kind, file, raw, content, notes)


def _is_plain(name: str) -> bool:
    return Path(name.lower().removesuffix(".gz")).suffix in (".txt", ".text", ".log")


def _open_file(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such file: check the path") from error
    except IsADirectoryError as error:
        raise DataError(f"{name}: is a directory: pass one table file") from error
    except PermissionError as error:
        if Path(name).is_dir():  # Windows reports a directory like this
            raise DataError(f"{name}: is a directory: pass one table file") from error
        raise DataError(f"{name}: no permission to read it: change its permissions or copy it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{name!r} cannot be opened: {reason}: check the path") from error


def _decompressed(raw: ByteReader, compressed: bool, stack: ExitStack) -> tuple[ByteReader, tuple[str, ...]]:
    if not raw.head.startswith(_GZIP_MAGIC):
        if compressed and raw.head:
            raise DataError(f"{raw.name}: is not gzip data despite its name: remove the .gz")
        return raw, ()
    unzipped = stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb"))
    content = ByteReader(cast(BinaryIO, unzipped), raw.name)
    return content, () if compressed else (f"{raw.name}: gzip data, decompressed",)


def _reject_foreign(content: ByteReader, kind: str | None) -> None:
    for magic, what, advice in _FOREIGN:
        if content.head.startswith(magic):
            raise DataError(f"{content.name}: looks like {what}: {advice}")
    is_parquet = content.head.startswith(_PARQUET_MAGIC)
    if is_parquet and kind != "parquet":
        raise DataError(f"{content.name}: looks like a parquet file: pass --format parquet")
    if kind == "parquet" and content.head and not is_parquet:
        raise DataError(f"{content.name}: is not a parquet file: check it, or pass its --format")
