"""Files are hashed once for each state of theirs, and a changed file never passes."""

import os
import time
from pathlib import Path

import pytest

from emoclass import verified
from emoclass.fingerprint import file_sha256
from emoclass.verified import has_sha256, holds


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that has not just been written."""
    path = tmp_path / "weights"
    path.write_bytes(b"right" * 1000)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found: list[Path] = []

    def hash_(path: Path) -> str:
        found.append(path)
        return file_sha256(path)

    monkeypatch.setattr(verified, "file_sha256", hash_)
    monkeypatch.setattr(verified, "_SETTLED_SECONDS", -10.0)
    return found


def test_a_file_is_read_once(old: Path, reads: list[Path]) -> None:
    checksum = file_sha256(old)
    assert has_sha256(old, checksum)
    assert has_sha256(old, checksum)
    assert len(reads) == 1
    assert holds("read anew", [old], lambda: verified.file_sha256(old) == checksum, again=True)
    assert len(reads) == 2
    verified._file().unlink()
    assert has_sha256(old, checksum)
    assert len(reads) == 3


def test_a_changed_file_is_read_again(old: Path, reads: list[Path]) -> None:
    checksum, times = file_sha256(old), old.stat()
    assert has_sha256(old, checksum)
    with old.open("r+b") as file:  # of the same size, at the same place, with the old time
        file.write(b"wrong")
    os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not has_sha256(old, checksum)
    assert not has_sha256(old, checksum)
    assert len(reads) == 3


def test_another_file_of_that_name_and_another_checksum_are_checked(old: Path, reads: list[Path]) -> None:
    checksum = file_sha256(old)
    assert has_sha256(old, checksum)
    assert not has_sha256(old, "0" * 64)
    other = old.with_name("other")
    other.write_bytes(b"wrong" * 1000)
    other.replace(old)
    assert not has_sha256(old, checksum)


def test_a_file_that_was_just_written_is_not_trusted_yet(
    old: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "_SETTLED_SECONDS", 2.0)
    checksum = file_sha256(old)
    assert has_sha256(old, checksum)
    assert has_sha256(old, checksum)
    assert len(reads) == 2
    monkeypatch.setattr(verified.time, "time_ns", lambda: time.monotonic_ns() + 2**62)
    assert has_sha256(old, checksum)
    assert has_sha256(old, checksum)
    assert len(reads) == 3


def test_it_works_without_a_memory(
    old: Path, reads: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checksum = file_sha256(old)
    memory = tmp_path / "home" / "cache" / "verified.json"
    memory.parent.mkdir(parents=True)
    for content in ("{", "[]", "null"):
        memory.write_text(content)
        assert has_sha256(old, checksum)
    monkeypatch.setenv("EMOCLASS_HOME", str(old / "not a directory"))
    assert has_sha256(old, checksum)
    with pytest.raises(FileNotFoundError):
        has_sha256(tmp_path / "missing", checksum)


def test_the_memory_stays_small(old: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified, "_ENTRIES", 3)
    paths = [old.with_name(f"w{number}") for number in range(5)]
    for path in paths:
        path.write_bytes(path.name.encode())
        assert has_sha256(path, file_sha256(path))
    assert len(verified._entries()) == 3
    assert has_sha256(paths[-1], file_sha256(paths[-1]))
    assert len(reads) == 5
