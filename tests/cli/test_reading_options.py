"""Options that say how a table is written, and what to do with rows that cannot be read, in all commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import emotion_rows

Run = Callable[..., Any]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A table with two rows that have too many fields."""
    lines = [f'"{text}",{label}\n' for text, label in emotion_rows()]
    lines[3] = "well, yes, so happy,joy\n"
    lines[10] = lines[10].rstrip("\n") + ",more\n"
    path = tmp_path / "broken.csv"
    path.write_text("text,label\n" + "".join(lines))
    return path


def test_every_command_names_all_broken_rows_and_can_leave_them_out(
    cli: Run, broken: Path, tiny_model: Path, tiny_base: Path, tmp_path: Path
) -> None:
    train = ["--base-model", tiny_base, "--epochs", "1", "--max-length", "40", "--val", broken]
    commands = [
        ["inspect-data", broken, "--base-model", "none"],
        ["split", broken, "--output-dir", tmp_path / "parts"],
        ["eval", broken, "--model", tiny_model],
        ["train", broken, *train],
    ]
    for command in commands:
        stopped = cli(*command)
        assert stopped.exit_code == 1
        message = stopped.stderr.splitlines()[-1]
        assert "2 rows cannot be read: row 4 (line 5) has 4 fields" in message
        assert "row 11 (line 12) has 3 fields" in message
        assert message.endswith("--on-error skip")
        skipped = cli(*command, "--on-error", "skip")
        assert skipped.exit_code == 0, skipped.stderr
        assert "2 rows left out: row 4 (line 5)" in skipped.stderr


def test_a_way_to_handle_errors_that_does_not_exist_is_rejected(cli: Run, broken: Path) -> None:
    result = cli("inspect-data", broken, "--on-error", "ignore")
    assert result.exit_code == 2
    assert "stop or skip" in result.stderr


def test_quotes_and_header_can_be_given(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "plain.tsv"
    path.write_text("".join(f'"{text}"\t{label}\n' for text, label in emotion_rows()))
    result = cli("split", path, "--no-header", "--quoting", "none", "--output-dir", tmp_path / "parts")
    assert result.exit_code == 0, result.stderr
    lines = (tmp_path / "parts" / "train.tsv").read_text().splitlines()
    assert lines[0] == "column_1\tcolumn_2"
    assert lines[1].startswith('"""')


def test_options_of_csv_are_rejected_for_other_formats(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a", "label": "b"}\n')
    for option in (["--quoting", "none"], ["--no-header"], ["--header"], ["--delimiter", ";"]):
        result = cli("inspect-data", tmp_path / "data.jsonl", *option)
        assert result.exit_code == 1
        assert f"does not use {option[0]}: leave it out" in result.stderr


def test_an_unquoted_table_through_a_pipe_is_an_error_with_an_option_that_works(
    cli: Run, tiny_model: Path, tmp_path: Path
) -> None:
    rows = [(str(100 + n), text, label) for n, (text, label) in enumerate(emotion_rows()[:30])]
    rows[9], rows[14] = (rows[9][0], f'"{rows[9][1]}', rows[9][2]), (rows[14][0], f'{rows[14][1]}"', rows[14][2])
    table = "".join("\t".join(row) + "\n" for row in [("id", "text", "mood"), *rows])
    how = ["predict", "--model", tiny_model, "--input", "-", "--input-format", "tsv", "--output-format", "jsonl"]
    stopped = cli(*how, input=table)
    assert stopped.exit_code == 1
    assert "row 10 (line 11)" in stopped.stderr
    assert "--quoting none" in stopped.stderr
    assert len(cli(*how, "--quoting", "none", input=table).stdout.splitlines()) == len(rows)
