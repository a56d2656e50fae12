"""Text in one encoding that has lines in UTF-8: exports put together, or a file whose encoding was named in error."""

import io
import re
from contextlib import suppress
from typing import Protocol

# A character that is not ASCII.
UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# Characters of two bytes, where single bytes are none.
_PAIRS = (b"\xb0\xa1", b"\x88\x9f")


class _Bytes(Protocol):
    def read1(self, size: int = -1, /) -> bytes: ...


def may_hold_utf8(codec: str) -> bool:
    """Return whether lines of UTF-8 can stand beside those in another encoding: in any that has ASCII as bytes."""
    try:
        return not codec.startswith(("utf", "ascii")) and b"\n".decode(codec, "replace") == "\n"
    except UnicodeError:  # codecs that take no error handler
        return False


def is_utf8(line: bytes, codec: str) -> bool:
    """Return whether a line that is not ASCII is UTF-8 rather than in another encoding.

    In an encoding with letters as single bytes this is no accident. One with pairs of bytes may agree in a few
    characters, but hardly in one of three bytes.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return False
    has_pairs = any(len(pair.decode(codec, "replace")) == 1 for pair in _PAIRS)
    return not text.isascii() and (not has_pairs or max(text) > "\u07ff")


def decode_lines(content: bytes, codec: str) -> str:
    """Decode a sample line by line; what cannot be decoded is replaced."""
    lines = content.splitlines(keepends=True)
    return "".join(line.decode("utf-8" if is_utf8(line, codec) else codec, "replace") for line in lines)


class MixedLines(io.BufferedIOBase):
    """Bytes in UTF-8 from lines that are so already, and others in another encoding.

    Args:
        content: The bytes.
        codec: The other encoding, for which ``may_hold_utf8`` is true.
        replace: Whether bytes that cannot be decoded become replacement characters.

    Attributes:
        utf8: Number of lines in UTF-8.
        others: Whether there are lines in the other encoding; these, too, are not ASCII.
        invalid: Number of replaced places.
        invalid_sample: The first line with one.
    """

    def __init__(self, content: _Bytes, codec: str, *, replace: bool = False) -> None:
        super().__init__()
        self._content, self._codec, self._replace = content, codec, replace
        self._rest: list[bytes] = []
        self._line, self._offset, self._ended = 1, 0, False
        self.utf8, self.others, self.invalid = 0, False, 0
        self.invalid_sample = b""

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        while not self._ended:
            chunk = self._content.read1(size)
            self._ended = not chunk
            end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
            self._rest.append(chunk[:end] if end else chunk)
            if end or self._ended:
                block, self._rest = b"".join(self._rest), [chunk[end:]] if end else []
                return self._encoded(block)
        return b""

    def locate(self, error: UnicodeDecodeError) -> tuple[int, int]:
        """Return the 1-based line and the 0-based offset of the byte that cannot be decoded."""
        return self._line, self._offset + error.start

    def _encoded(self, block: bytes) -> bytes:
        if block.isascii():
            self._pass(block)
            return block
        if not UTF8.search(block):
            with suppress(UnicodeError):
                encoded = block.decode(self._codec).encode()
                self.others = True
                self._pass(block)
                return encoded
        lines = block.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if not line.isascii():
                lines[number] = self._encoded_line(line)
            self._pass(line)
        return b"".join(lines)

    def _pass(self, read: bytes) -> None:
        self._line += read.count(b"\n")
        self._offset += len(read)

    def _encoded_line(self, line: bytes) -> bytes:
        if is_utf8(line, self._codec):
            self.utf8 += 1
            return line
        self.others = True
        try:
            return line.decode(self._codec).encode()
        except UnicodeDecodeError:
            if not self._replace:
                raise
        text = line.decode(self._codec, "replace")
        self.invalid += text.count("\N{REPLACEMENT CHARACTER}")
        self.invalid_sample = self.invalid_sample or line
        return text.encode()
