"""Users without a home directory, and other surroundings that are not those of a desk."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoclass import runtime

Run = Callable[..., Any]


def no_home(*names: object, **options: object) -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("command", [["predict", "so happy"], ["models"], ["cache"], ["eval", "gold.csv"]])
def test_without_a_home_the_message_names_the_variable(
    cli: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.delenv("EMOCLASS_HOME")
    for name in ("user_data_path", "user_cache_path"):
        monkeypatch.setattr(runtime, name, no_home)
    result = cli(*command)
    assert result.exit_code != 0
    assert "set EMOCLASS_HOME to a directory for models and caches" in " ".join(result.stderr.split())


@pytest.mark.usefixtures("trained_model")
def test_with_the_variable_nothing_asks_for_a_home(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("user_data_path", "user_cache_path"):
        monkeypatch.setattr(runtime, name, no_home)
    assert cli("predict", "so happy").exit_code == 0
    assert cli("models").exit_code == 0


def test_a_home_at_the_root_that_cannot_be_written(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOCLASS_HOME")
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setattr(runtime.os, "access", lambda path, mode: str(path) != "/")
    assert "set EMOCLASS_HOME" in " ".join(cli("models").stderr.split())


@pytest.mark.parametrize(
    ("name", "help_"),
    [
        ("https://example.com/a/t.csv?x=1", "curl -sL 'https://example.com/a/t.csv?x=1' -o t.csv) and pass t.csv"),
        ("https://example.com/raw", "curl -sL https://example.com/raw -o data.csv) and pass data.csv"),
        ("file:///tmp/my%20table.csv", "pass the path '/tmp/my table.csv'"),
        (
            "hf://datasets/dair-ai/emotion/data.csv",
            "hf download --repo-type dataset dair-ai/emotion --local-dir emotion",
        ),
        ("dair-ai/emotion", "hf download --repo-type dataset dair-ai/emotion --local-dir emotion) and pass emotion"),
        ("s3://bucket/t.parquet", "aws s3 cp s3://bucket/t.parquet t.parquet) and pass t.parquet"),
        ("t*.csv", "as a pattern it means t1.csv and 1 more"),
        ("~/t1.csv", "t1.csv"),
        ("nothing.csv", "no such file: check the path"),
        ("no/such.csv", "no such file: check the path"),
    ],
)
def test_what_is_no_path_gets_a_command_that_works(
    cli: Run, name: str, help_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for each in ("t1.csv", "t2.csv"):
        (tmp_path / each).write_text("text,label\na,b\n")
    for command in (["train", name], ["inspect-data", name], ["predict", "--input", name]):
        result = cli(*command)
        assert result.exit_code == 1
        lines = [line for line in result.stderr.splitlines() if not line.startswith("note:")]
        assert len(lines) == 1
        assert help_ in lines[0]


@pytest.mark.usefixtures("trained_model")
@pytest.mark.parametrize("name", ["a.xlsx", "a.json", "a.feather", "a.csv.bz2", "a.zip", "a.parquet.gz", "a.json.gz"])
def test_no_table_is_written_under_a_name_that_promises_something_else(
    cli: Run, name: str, emotions_csv: Path, tmp_path: Path
) -> None:
    for command in (["predict", "-i", emotions_csv, "-o"], ["eval", emotions_csv, "-o"]):
        result = cli(*command, tmp_path / name)
        assert result.exit_code == 2
        assert ": use .csv, .tsv or .jsonl" in result.stderr or "leave out .gz" in result.stderr
    assert not (tmp_path / name).exists()


@pytest.mark.usefixtures("trained_model")
def test_a_dash_is_standard_output(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("predict", "happy", "-o", "-").stdout.count("\n") == 1
    assert not list(tmp_path.glob("-*"))


@pytest.fixture
def unusable(tmp_path: Path) -> Path:
    """A path below a file: nothing can be written there, by root neither."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "below"


@pytest.fixture
def unreadable_table(tmp_path: Path) -> Path:
    """A table whose errors are reported if anybody reads it."""
    path = tmp_path / "broken.csv"
    path.write_text('text,label\n"a,b\n')
    return path


def test_a_home_that_cannot_be_written_is_known_before_the_data_is_read(
    cli: Run, monkeypatch: pytest.MonkeyPatch, unusable: Path, unreadable_table: Path
) -> None:
    monkeypatch.setenv("EMOCLASS_HOME", str(unusable))
    result = cli("train", unreadable_table)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {unusable / 'models'}: no model can be saved here: Not a directory")


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.ENOSPC, errno.EFBIG])
def test_a_quota_that_is_full_is_known_before_training(
    tiny_train: Run, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        if size > 1000:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    result = tiny_train()
    assert result.exit_code == 1
    assert f"which takes 16 MiB: {os.strerror(code)}: free some space" in result.stderr
    assert "epoch 1" not in result.stderr


def test_a_name_that_is_taken_is_known_before_the_data_is_read(
    cli: Run, trained_model: Path, unreadable_table: Path
) -> None:
    assert "a model named 'first' exists" in cli("train", unreadable_table, "--name", "first").stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--base-model", "nothing"], "error: base model 'nothing' is not available"),
        (["--device", "cuda:99"], "error: --device cuda:99"),
        (["--precision", "fp16", "--device", "cpu"], "error: --precision fp16 needs a GPU"),
    ],
)
def test_a_base_model_or_device_that_is_missing_is_known_before_the_data_is_read(
    cli: Run, tiny_base: Path, unreadable_table: Path, options: list[str], message: str
) -> None:
    more = [] if "--base-model" in options else ["--base-model", tiny_base]
    assert cli("train", unreadable_table, *options, *more).stderr.startswith(message)


def test_a_second_input_that_is_missing_is_known_before_the_first_is_read(cli: Run, unreadable_table: Path) -> None:
    for command in (["train", unreadable_table, "--val"], ["inspect-data", unreadable_table]):
        assert cli(*command, "missing.csv").stderr == "error: missing.csv: no such file: check the path\n"


@pytest.mark.usefixtures("trained_model")
def test_an_output_that_cannot_be_written_is_known_before_the_data_is_read(
    cli: Run, unusable: Path, unreadable_table: Path
) -> None:
    for command in (
        ["eval", unreadable_table, "-o", unusable.with_suffix(".csv")],
        ["eval", unreadable_table, "--report", unusable.with_suffix(".html")],
        ["inspect-data", unreadable_table, "--report", unusable.with_suffix(".html")],
        ["inspect-data", unreadable_table, "--fix", unusable.with_suffix(".csv")],
        ["split", unreadable_table, "--output-dir", unusable],
    ):
        result = cli(*command)
        assert result.exit_code == 1
        assert str(command[-1]) in result.stderr
        assert "directory" in result.stderr
        assert "broken.csv" not in result.stderr
