"""Bad input gets one clear line and exit 1 (2 for wrong usage); nothing is left half-written."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoclass.runtime import models_dir
from tests.conftest import HUB_CONFIG, until

Run = Callable[..., Any]


def message_of(result: Any, code: int = 1) -> str:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert result.stderr.rstrip("\n").endswith(lines[0])
    return lines[0]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ["data.csv", "no such file"]),
        (b"", ["data.csv", "empty"]),
        (b"text,label\n", ["no data rows"]),
        (b"text,label\na,joy\nb,joy\nc,joy\n", ["data.csv", "two classes", "'joy'"]),
        (b"id,size\n1,2\n3,4\n5,6\n", ["--text-column", "id", "size"]),
        (bytes(range(256)) * 20, ["binary"]),
        (b'text,label\n"fine, all",joy\n"broken,joy\nmore,fear\n', ["line 3", "quote"]),
        ("text,label\nun été,joy\nun dîner,fear\n".encode("cp1252"), ["--encoding cp1252", "line 2"]),
        (b"text,label\none, two,joy\n", ["row 1", "3 fields"]),
        (b"text,label\n" + b"".join(b"t%d,joy\n" % n for n in range(30)) + b"only,fear\n", ["'fear' (1)"]),
    ],
)
@pytest.mark.parametrize("command", ["train", "split"])
def test_tables_that_cannot_be_used(
    cli: Run, tmp_path: Path, tiny_base: Path, content: bytes | None, parts: list[str], command: str
) -> None:
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content)
    options = {"train": ["--base-model", tiny_base], "split": ["--output-dir", tmp_path / "parts"]}
    message = message_of(cli(command, path, *options[command]))
    for part in parts:
        assert part.lower() in message.lower()
    assert not (tmp_path / "parts").exists()
    assert not models_dir().exists()


def test_a_column_that_is_not_there_is_answered_with_those_that_are(cli: Run, emotions_csv: Path) -> None:
    message = message_of(cli("inspect-data", emotions_csv, "--text-column", "texts"))
    assert "'text'" in message


@pytest.mark.usefixtures("trained_model")
def test_an_unknown_model_is_named(cli: Run) -> None:
    for command in (("predict", "x", "--model"), ("models", "show"), ("models", "path"), ("models", "remove")):
        assert "no model named 'frist'" in message_of(cli(*command, "frist"))


def test_a_truncated_weights_file_is_named(cli: Run, trained_model: Path, emotions_csv: Path) -> None:
    weights = trained_model / "frozen.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "frozen.safetensors" in message_of(cli("predict", "x"))
    assert "frozen.safetensors" in message_of(cli("eval", emotions_csv))


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "tpu", "cuda:x", "cpu:"])
def test_a_device_that_is_not_there(tiny_train: Run, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert f"--device {device}" in message_of(tiny_train("--device", device))
    assert not models_dir().exists()


@pytest.mark.parametrize("precision", ["int4", "fp16"])
def test_a_precision_that_is_not_there(tiny_train: Run, precision: str) -> None:
    assert f"--precision {precision}" in message_of(tiny_train("--device", "cpu", "--precision", precision))


@pytest.mark.parametrize("name", ["a/b", "..", "../../x"])
def test_a_name_that_is_a_path_is_wrong_usage(tiny_train: Run, name: str) -> None:
    assert "cannot be the name of a model" in message_of(tiny_train("--name", name), code=2)


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"],
        ["--learning-rate", "-1"],
        ["--unfreeze", "some"],
        ["--unfreeze", "9"],
        ["--ratios", "80/20"],
        ["--head-tokens", "99"],
    ],
)
def test_settings_out_of_range_are_wrong_usage(tiny_train: Run, options: list[str]) -> None:
    assert options[0] in message_of(tiny_train(*options), code=2)


def test_wrong_usage_is_exit_2(cli: Run) -> None:
    for arguments in (["train"], ["no-such-command"], ["predict", "--no-such-option"], ["predict", "x", "-k", "many"]):
        result = cli(*arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.output
    assert "--output-format" in message_of(cli("predict", "x", "--output-format", "xml"), code=2)


@pytest.mark.parametrize("option", [("--format", "xml"), ("--encoding", "nope"), ("--delimiter", "ab")])
def test_unknown_values_of_reading_options_are_wrong_usage(
    cli: Run, emotions_csv: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    assert option[1] in message_of(cli("split", emotions_csv, "-o", tmp_path / "parts", *option), code=2)


def test_another_kind_of_model_is_named(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2" / "config.json").write_text(json.dumps({**HUB_CONFIG, "model_type": "gpt2"}))
    assert "'gpt2' is a decoder" in message_of(cli("train", emotions_csv, "--base-model", tmp_path / "gpt2"))


def test_a_base_model_that_cannot_be_had(cli: Run, emotions_csv: Path) -> None:
    message = message_of(cli("train", emotions_csv))
    assert "emoclass[offline]" in message


def test_a_full_disk_leaves_nothing(cli: Run, tiny_train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emoclass.files._flush", full)
    assert "No space left on device" in message_of(tiny_train("--name", "first"))
    assert list(models_dir().iterdir()) == []


def test_an_existing_output_directory_is_not_touched(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "mine.txt").write_text("mine")
    assert "is not empty" in message_of(cli("split", emotions_csv, "-o", tmp_path / "parts"))
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["mine.txt"]


def test_debug_shows_the_traceback(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOCLASS_DEBUG", "1")
    result = cli("predict", "x", "--model", "none")
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "ModelError"


def run_process(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)


def unread(pipe: int) -> int:
    """Count the bytes that nobody has read yet."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.usefixtures("trained_model")
def test_a_broken_pipe_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("".join(f"a happy day {n}\n" for n in range(20_000)))
    result = run_process(f"{sys.executable} -m emoclass predict < {tmp_path / 'lines.txt'} | head -1")
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("option", ["", "--json"])
@pytest.mark.usefixtures("trained_model")
def test_a_table_into_a_broken_pipe_ends_quietly(option: str) -> None:
    result = run_process(f"{{ {sys.executable} -m emoclass models list {option}; echo $? >&2; }} | true")
    assert result.stderr == "0\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("nobody", ["2>&-", "2>&1 >&3 | true"])
def test_notes_that_nobody_reads_do_no_harm(nobody: str) -> None:
    result = run_process(f"{{ {{ {sys.executable} -m emoclass models list; echo $?; }} {nobody}; }} 3>&1")
    assert result.stdout.endswith("\n0\n")
    assert result.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", ["predict happy", "models list", "models list --json", "--version", "--help"])
@pytest.mark.parametrize("python", [sys.executable, f"{sys.executable} -u"])
@pytest.mark.usefixtures("trained_model")
def test_standard_output_that_cannot_be_written_is_named(arguments: str, python: str) -> None:
    result = run_process(f"{python} -m emoclass {arguments} > /dev/full")
    assert result.stderr == "error: standard output: No space left on device\n"
    assert result.returncode == 1


@pytest.mark.parametrize("error", [OSError("the database is locked"), BrokenPipeError(errno.EPIPE, "Broken pipe")])
def test_an_error_of_unknown_origin_is_not_one_of_standard_output(
    cli: Run, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("emoclass.store.checkpoints.list_models", fail)
    message = message_of(cli("models", "list"))
    assert message == f"error: models: {error.strerror or error}; set EMOCLASS_DEBUG=1 to see where"


def test_an_interrupt_says_where_the_output_is(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt("the output so far is in out.csv.partial")

    monkeypatch.setattr("emoclass.store.checkpoints.list_models", interrupt)
    result = cli("models", "list")
    assert (result.exit_code, result.stderr) == (130, "interrupted: the output so far is in out.csv.partial\n")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_closed_standard_streams_are_told_or_do_no_harm(emotions_csv: Path, tmp_path: Path) -> None:
    emoclass = f"{sys.executable} -m emoclass"
    closed = run_process(f"{emoclass} split - -o {tmp_path / 'none'} <&-")
    assert (closed.returncode, closed.stderr) == (
        1,
        "error: standard input: is closed: pass a file, or pipe a table in\n",
    )
    unseen = run_process(f"{emoclass} split {emotions_csv} -o {tmp_path / 'parts'} >&-")
    assert (unseen.returncode, "error" in unseen.stderr) == (0, False)
    assert (tmp_path / "parts" / "train.csv").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX pipes")
def test_standard_input_that_does_not_wait_is_waited_for(emotions_csv: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    command = [sys.executable, "-m", "emoclass", "split", "-", "-o", str(tmp_path / "parts"), "--json"]
    with subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        content = emotions_csv.read_bytes()
        for start in range(0, len(content), 100):
            os.write(writing, content[start : start + 100])
            until(lambda: process.poll() is not None or not unread(reading))
        os.close(writing)
        os.close(reading)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert json.loads(output)["input"]["rows"] == content.count(b"\n") - 1


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_sigterm_ends_like_ctrl_c() -> None:
    command = [sys.executable, "-m", "emoclass", "inspect-data", "-", "--base-model", "none"]
    reading, writing = os.pipe()
    with subprocess.Popen(command, stdin=reading, stderr=subprocess.PIPE) as process:
        os.write(writing, b"text,label\n")
        until(lambda: process.poll() is not None or not unread(reading))
        process.terminate()
        assert process.wait(timeout=120) == 130
    os.close(reading)
    os.close(writing)


def test_a_home_of_nobody_is_a_path_like_any_other(cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no model named '~nosuchuser/x'" in message_of(cli("models", "show", "~nosuchuser/x"))
    monkeypatch.setenv("EMOCLASS_HOME", "~nosuchuser")
    assert cli("models", "list").exit_code == 0
