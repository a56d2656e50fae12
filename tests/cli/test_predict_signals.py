"""``emoclass predict`` ends on a signal, whatever its reader and its input do."""

import os
import secrets
import select
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import until


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_an_interrupt_while_waiting_for_input_ends_quietly(trained_model: Path) -> None:
    # Started in the background of a script, these tests ignore Ctrl-C, and so would what they start.
    reset = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", reset, sys.executable, "-m", "emoclass", "predict"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"a happy day\n")
        process.stdin.flush()
        assert process.stdout.readline()  # while more may come
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stdout.read() == b""
        assert process.stderr.read() == b""


def wait_until_full(reader: int) -> None:
    """Return when a pipe takes no more bytes, so that its writer is blocked."""
    writer = os.open(f"/proc/self/fd/{reader}", os.O_WRONLY)
    try:
        until(lambda: not select.select([], [writer], [], 0)[1])
    finally:
        os.close(writer)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the other end of a pipe in /proc")
@pytest.mark.parametrize("output", ["stdout", "pipe", "pipe.gz"])
def test_a_signal_ends_the_command_if_its_reader_stalls(trained_model: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "in.txt").write_text("".join(f"a happy day {secrets.token_hex(20)}\n" for _ in range(20_000)))
    command = [sys.executable, "-m", "emoclass", "predict", "-i", str(tmp_path / "in.txt"), "-f", "tsv"]
    if output != "stdout":
        os.mkfifo(tmp_path / output)
        command += ["-o", str(tmp_path / output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        reader = process.stdout if output == "stdout" else (tmp_path / output).open("rb")
        with reader:
            wait_until_full(reader.fileno())
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(timeout=30) == 130
            finally:
                process.kill()
            assert process.stderr.read() == b""


@contextmanager
def stalled_predict(tmp_path: Path, source: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[bytes], None]]]:
    """Start predict on an input that never ends; yield the process and a function that writes to it."""
    command = [sys.executable, "-m", "emoclass", "predict"]
    pipe = tmp_path / "pipe.txt"
    if source == "named pipe":
        os.mkfifo(pipe)
        command += ["-i", str(pipe)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        with pipe.open("wb", buffering=0) if source == "named pipe" else process.stdin as stream:
            packed = zlib.compressobj(wbits=31)

            def write(line: bytes) -> None:
                if source == "gzip":
                    line = packed.compress(line) + packed.flush(zlib.Z_FULL_FLUSH)
                stream.write(line)

            try:
                yield process, write
            finally:
                process.kill()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes and signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("source", ["lines", "gzip", "named pipe"])
def test_a_signal_ends_the_command_if_its_input_stalls(
    trained_model: Path, tmp_path: Path, source: str, number: str
) -> None:
    with stalled_predict(tmp_path, source) as (process, write):
        assert process.stdout is not None
        write(b"a happy day\n")
        assert process.stdout.readline()
        process.send_signal(getattr(signal, number))
        assert process.wait(timeout=30) == 130
