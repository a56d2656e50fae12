"""Open the bytes of an input: a file, a gzip file or standard input, read once and hashed on the way."""

import gzip
import hashlib
import io
import os
import select
import stat
import sys
import zlib
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from emoclass.data.tables.formats import STDIN
from emoclass.data.tables.missing import advice
from emoclass.errors import DataError

_CHUNK_BYTES = 1 << 16
# Longest byte order mark or magic number. Reading more would block while a user types on stdin.
_HEAD_BYTES = 4
_GZIP_MAGIC = b"\x1f\x8b"


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
        self.at_end = False

    def peek(self, size: int) -> bytes:
        """Return about the first ``size`` bytes that are not read yet, or all; reading returns them again."""
        while len(self._pending) < size and not self.at_end:
            chunk = self._pull_chunk(_CHUNK_BYTES)
            self._pending += chunk
            self.at_end = not chunk
        return self._pending

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
        # Reading a terminal again after its end would wait for another Ctrl-D.
        return b"" if self.at_end else self._pull_chunk(size)

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
        file: The stored bytes.
        raw: The stored bytes, hashed as they are read.
        content: The decompressed bytes.
        compressed: Whether the stored bytes are gzip data.
        notes: What was recognized without an option.
    """

    name: str
    file: BinaryIO
    raw: ByteReader
    content: ByteReader
    compressed: bool
    notes: tuple[str, ...]

    def is_regular(self) -> bool:
        """Return whether the input is a file on disk, which can be looked at without waiting."""
        try:
            return stat.S_ISREG(os.fstat(self.file.fileno()).st_mode)
        except (OSError, AttributeError, ValueError):
            return False

    def seekable(self) -> BinaryIO:
        """Return a seekable file at its start: what cannot be read twice is held in memory."""
        if self.file.seekable():
            self.file.seek(0)
            return self.file
        return io.BytesIO(self.content.read())


def open_source(source: str | Path, stack: ExitStack, *, stdin: BinaryIO | None = None) -> Source:
    """Open a path, or standard input for ``-``.

    Args:
        source: The path, or ``-``.
        stack: Closes what is opened.
        stdin: A stream to read instead; the path is then only a name.

    Raises:
        DataError: The input does not exist or cannot be read.
    """
    name = "standard input" if str(source) == STDIN else str(source)
    if stdin is not None:
        file = stdin
    elif str(source) != STDIN:
        file = stack.enter_context(_open_file(name))
    elif sys.stdin is None:
        raise DataError("standard input: is closed: pass a file, or pipe a table in")
    else:
        # Without its buffer: a thread that waits for input would hold the buffer's lock while Python exits.
        file = cast(BinaryIO, getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
    raw = ByteReader(file, name)
    compressed = raw.head.startswith(_GZIP_MAGIC)
    named = str(source).lower().endswith(".gz")
    if named and raw.head and not compressed:
        raise DataError(f"{name}: is not gzip data despite its name: remove the .gz")
    if not compressed:
        return Source(name, file, raw, raw, compressed, ())
    unzipped = stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb"))
    content = ByteReader(cast(BinaryIO, unzipped), name)
    return Source(name, file, raw, content, compressed, () if named else (f"{name}: gzip data, decompressed",))


def require_source(source: str | Path) -> None:
    """Check that an input exists and may be read, without reading from it.

    Raises:
        DataError: It does not, or may not.
    """
    path = Path(source)
    with suppress(OSError, ValueError):  # which opening it reports
        if str(source) == STDIN or not stat.S_ISREG(path.stat().st_mode):
            return
    _open_file(str(source)).close()


def _open_file(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{name}: {advice(name)}") from error
    except IsADirectoryError as error:
        raise DataError(f"{name}: is a directory: pass one table file") from error
    except PermissionError as error:
        if Path(name).is_dir():  # Windows reports a directory like this
            raise DataError(f"{name}: is a directory: pass one table file") from error
        raise DataError(f"{name}: no permission to read it: change its permissions or copy it") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{name!r} cannot be opened: {reason}: check the path") from error
