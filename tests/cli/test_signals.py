"""Every command ends at one signal, whatever its reader and its input do, and a training saves its model."""

from __future__ import annotations

import array
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from emoclass.cli._signals import Terminal
from tests.conftest import in_models_dir, until

if sys.platform != "linux":
    pytest.skip("pipes and terminals are different there", allow_module_level=True)

EMOCLASS = [sys.executable, "-m", "emoclass"]
RECIPE = ["--learning-rate", "0.001", "--epochs", "400", "--batch-size", "8", "--max-length", "40", "--name", "long"]


def ended(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """Send a signal, and return the exit code of a process that it ends."""
    process.send_signal(number)
    try:
        return process.wait(timeout=60)
    finally:
        process.kill()


def waiting(pipe: int) -> int:
    """Return how many bytes in a pipe nobody has read."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


@pytest.fixture
def training(emotions_csv: Path, tiny_base: Path) -> list[str]:
    """A training that prints more than a pipe or a terminal takes while nobody reads."""
    return [*EMOCLASS, "train", str(emotions_csv), "--base-model", str(tiny_base), *RECIPE]


@pytest.mark.slow
def test_a_training_saves_its_model_although_nobody_reads_what_it_prints(training: list[str]) -> None:
    with subprocess.Popen(training, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pipesize=4096) as process:
        assert process.stderr is not None
        until(lambda: waiting(process.stderr.fileno()) > 3900)  # less than a line is free
        assert ended(process) == 130
    assert in_models_dir() == ["long"]


@pytest.mark.slow
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_training_saves_its_model_although_its_terminal_stalls_or_closes(
    training: list[str], is_closed: bool
) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(training, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        until(lambda: not select.select([], [theirs], [], 0)[1])
        os.close(theirs)
        if is_closed:
            os.close(ours)
        assert ended(process, signal.SIGHUP if is_closed else signal.SIGTERM) == 130
    if not is_closed:
        os.close(ours)
    assert in_models_dir() == ["long"]


def test_what_is_written_to_a_terminal_that_is_gone_is_discarded() -> None:
    ours, theirs = pty.openpty()
    terminal = Terminal(theirs)
    assert terminal.write(b"seen") == 4
    assert os.read(ours, 10) == b"seen"
    os.close(ours)
    assert terminal.write(b"unseen") == 6
    os.close(theirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["inspect-data -", "split - --output-dir parts", "train - --base-model starter", "eval -"]
)
def test_a_signal_ends_a_command_whose_input_stalls(command: str, tmp_path: Path, trained_model: Path) -> None:
    with subprocess.Popen(
        [*EMOCLASS, *command.split()], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"text,label\nso happy,joy\n")
        until(lambda: not waiting(process.stdin.fileno()))
        assert ended(process) == 130
        assert process.stderr.read() == b""
    assert not (tmp_path / "parts").exists()
