"""Files and directories appear whole or not at all, and replace nothing that is not theirs."""

from __future__ import annotations

import errno
import gzip
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from emoclass.errors import DataError, EmoclassError
from emoclass.files import new_directory, new_files, output_file, remove_temporaries, whole_directory, whole_file
from tests.disks import refuse_to_flush_directories

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions and pipes")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def write_file(target: Path) -> None:
    with whole_file(target) as aside:
        aside.write_bytes(b"new")


def write_output(target: Path) -> None:
    with output_file(target) as file:
        file.write(b"new")


def write_directory(target: Path) -> None:
    with whole_directory(target) as aside:
        (aside / "a.txt").write_bytes(b"new")


def write_split(target: Path) -> None:
    with new_directory(target, "the split", name=target) as aside:
        (aside / "a.txt").write_bytes(b"new")


def write_pair(target: Path) -> None:
    with new_files(target, "the table") as aside:
        for name in (target.name, "changes.csv"):
            (aside / name).write_bytes(b"new")


WRITERS = [write_file, write_output, write_directory, write_split, write_pair]


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_but_the_target_is_left(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "out")
    assert names(tmp_path) == (["changes.csv", "out"] if write is write_pair else ["out"])


@posix
@pytest.mark.parametrize("write", WRITERS)
def test_new_files_and_directories_have_the_usual_permissions(tmp_path: Path, write: Callable[[Path], None]) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "out")
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes.get(False) == 0o640
    assert modes.get(True, 0o750) == 0o750


@pytest.mark.parametrize("write", WRITERS)
def test_all_is_flushed_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    flushed: list[tuple[int, bool]] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, (tmp_path / "out").exists()))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path / "out")
    written = {path.stat().st_ino for path in tmp_path.rglob("*")}
    assert written <= {number for number, named in flushed if not named}
    assert os.name == "nt" or (tmp_path.stat().st_ino, True) in flushed


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_system_that_cannot_flush_directories_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    refuse_to_flush_directories(monkeypatch)
    write(tmp_path / "out")
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("write", WRITERS)
def test_a_failing_flush_leaves_nothing_under_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, DataError), match="No space left"):
        write(tmp_path / "out")
    assert names(tmp_path) == (["out.partial"] if write is write_output else [])


@pytest.mark.parametrize("write", WRITERS)
def test_what_a_killed_process_left_goes_when_the_same_is_written_a_day_later(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    def leave(name: str, *, old: bool) -> None:
        (tmp_path / name).write_text("half")
        if old:
            os.utime(tmp_path / name, (0, 0))

    leave(".out.0123abcd.tmp", old=True)
    leave(".out.89abcdef.tmp", old=False)  # may be being written
    leave(".other.0123abcd.tmp", old=True)
    leave(".out.mine.tmp", old=True)
    write(tmp_path / "out")
    left = {".out.89abcdef.tmp", ".other.0123abcd.tmp", ".out.mine.tmp"}
    assert set(names(tmp_path)) - {"out", "changes.csv"} == left


@posix
@pytest.mark.parametrize("write", ["whole_file", "whole_directory", "output_file"])
def test_a_process_that_is_killed_leaves_one_hidden_name(tmp_path: Path, write: str) -> None:
    code = f"import os, signal\nfrom emoclass.files import {write}\nfrom pathlib import Path\n"
    code += f"with {write}(Path('out')): os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = names(tmp_path)
    assert re.fullmatch(r"\.out\.[0-9a-f]{8}\.tmp", left)
    remove_temporaries(tmp_path)
    assert names(tmp_path) == [left]  # perhaps somebody writes it
    remove_temporaries(tmp_path, older_than=0)
    assert names(tmp_path) == []


@pytest.mark.parametrize("write", [write_split, write_pair])
def test_a_file_that_somebody_put_there_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    (tmp_path / "out").mkdir()
    theirs = tmp_path / "out" / ("a.txt" if write is write_split else "target.csv")
    original = os.fsync

    def late(descriptor: int) -> None:
        theirs.write_text("theirs")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", late)
    with pytest.raises(DataError, match=r"could not be written: .*exists"):
        write(tmp_path / "out" if write is write_split else theirs)
    assert names(tmp_path / "out") == [theirs.name]
    assert theirs.read_text() == "theirs"


def test_without_hard_links_files_are_moved_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    write_pair(tmp_path / "table.csv")
    assert names(tmp_path) == ["changes.csv", "table.csv"]


def fail(target: Path, error: BaseException, content: bytes = b"half") -> None:
    with output_file(target) as file:
        file.write(content)
        raise error


def test_partial_files_of_others_stay(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    (tmp_path / "out.csv.partial").write_text("mine")
    for number in (2, 3):
        kept = f"out.csv.partial-{number}"
        with pytest.raises(EmoclassError, match=rf"^broken; .* {re.escape(str(tmp_path / kept))}$"):
            fail(target, EmoclassError("broken"))
        assert (tmp_path / kept).read_bytes() == b"half"
    assert (tmp_path / "out.csv.partial").read_text() == "mine"
    assert len(names(tmp_path)) == 3


def test_nothing_written_is_nothing_kept(tmp_path: Path) -> None:
    with pytest.raises(EmoclassError, match="^broken$"):
        fail(tmp_path / "out.csv", EmoclassError("broken"), b"")
    assert names(tmp_path) == []


def test_an_interrupt_says_what_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"out\.csv\.partial$"):
        fail(tmp_path / "out.csv", KeyboardInterrupt())


def test_errors_of_other_files_keep_their_names(tmp_path: Path) -> None:
    for error in (OSError(errno.EIO, "Input/output error", "in.csv"), OSError("odd")):
        before = error.filename, error.strerror or "odd"
        with pytest.raises(OSError, match=before[1]):
            fail(tmp_path / "out.csv", error)
        assert error.filename == before[0]
        assert error.strerror.startswith(f"{before[1]}; the output so far is in {tmp_path / 'out.csv.partial'}")


def test_errors_of_the_file_have_the_name_that_was_given(tmp_path: Path) -> None:
    for name in ("nowhere/out.csv", "nowhere/out.csv.gz"):
        with pytest.raises(FileNotFoundError) as caught, output_file(tmp_path / name):
            pass
        assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(IsADirectoryError, match="name a file"), output_file(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_errors_of_a_device_have_its_name() -> None:
    with pytest.raises(OSError, match="No space left") as caught, output_file("/dev/full") as file:
        file.write(b"x")
    assert caught.value.filename == "/dev/full"


@posix
def test_a_file_that_is_only_read_can_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("before")
    target.chmod(0o444)
    write_output(target)
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"new", 0o444)


@posix
def test_links_and_pipes_stay(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "real")
    write_output(tmp_path / "dangling")
    assert (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    pipe, seen = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: seen.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_output(pipe)
    reader.join(timeout=10)
    assert seen == [b"new"]
    assert pipe.is_fifo()


def test_gz_is_compressed_also_what_is_kept(tmp_path: Path) -> None:
    write_output(tmp_path / "out.GZ")
    assert gzip.decompress((tmp_path / "out.GZ").read_bytes()) == b"new"
    with pytest.raises(EmoclassError):
        fail(tmp_path / "out.gz", EmoclassError("broken"))
    assert gzip.decompress((tmp_path / "out.gz.partial").read_bytes()) == b"half"


@pytest.mark.parametrize("write", [whole_file, whole_directory])
def test_an_error_within_leaves_what_was_there(
    tmp_path: Path, write: Callable[[Path], AbstractContextManager[Any]]
) -> None:
    target = tmp_path / "out"
    target.write_text("before")
    with pytest.raises(KeyboardInterrupt), write(target):
        raise KeyboardInterrupt
    assert target.read_text() == "before"
    assert names(tmp_path) == ["out"]


def test_what_appears_in_a_replaced_directory_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "parts"
    target.mkdir()
    (target / "train.csv").write_text("old")

    def replaceable(place: Path) -> bool:
        return names(place) == ["train.csv"]

    def write_meanwhile() -> None:
        with new_directory(target, "the split", name=target, replaceable=replaceable) as aside:
            (aside / "train.csv").write_text("new")
            (target / "mine.txt").write_text("mine")

    with pytest.raises(DataError, match="could not be written"):
        write_meanwhile()
    assert names(tmp_path) == ["parts"]
    assert (target / "train.csv").read_text() == "old"
    assert (target / "mine.txt").read_text() == "mine"
    (target / "mine.txt").unlink()
    with new_directory(target, "the split", name=target, replaceable=replaceable) as aside:
        (aside / "other.csv").write_text("new")
    assert names(target) == ["other.csv"]
    assert names(tmp_path) == ["parts"]


def test_a_file_that_is_replaced_is_there_until_the_new_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail(*arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(DataError), new_files(target, "the table", overwrite=True) as aside:
            (aside / target.name).write_text("new")
    assert target.read_text() == "old"
    with new_files(target, "the table", overwrite=True) as aside:
        (aside / target.name).write_text("new")
    assert target.read_text() == "new"
