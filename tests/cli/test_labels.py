"""Labels that are lists, several in a cell, spread over columns, or named like something else, in every command."""

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from emoclass.runtime import models_dir
from tests.cli.test_errors import message_of
from tests.conftest import emotion_rows

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("text", "label")) -> Path:
    with Path(name).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return Path(name)


@pytest.fixture
def several() -> Path:
    """Sixty rows of one label each, and six of two."""
    rows = emotion_rows()
    return write(
        "some data.csv",
        [("a day of both, it is said", "joy|fear"), *rows, *[(f"mixed {n}", "fear|anger") for n in range(5)]],
    )


@pytest.mark.parametrize("command", ["split", "train"])
def test_several_labels_in_a_cell_are_named_and_the_command_that_leaves_them_out_works(
    cli: Run, tiny_base: Path, several: Path, command: str
) -> None:
    options = {"train": ["--base-model", tiny_base], "split": ["-o", "parts"]}[command]
    message = message_of(cli(command, several, "--task", "single", *options))
    assert "some data.csv: row 1 (line 2) has the labels 'joy', 'fear'; 9.1% of the rows have several" in message
    assert not Path("parts").exists()
    assert not models_dir().exists()
    remedy = shlex.split(message.split("leave these rows out with: ")[1])
    fixed = cli(*remedy[1:])
    assert fixed.exit_code == 0, fixed.output
    assert "6 several labels" in fixed.stderr
    with Path("one-label.changes.csv").open(newline="") as file:
        changes = [change for change in csv.DictReader(file) if change["reason"] == "several_labels"]
    assert [change["row"] for change in changes] == ["1", "62", "63", "64", "65", "66"]
    assert cli("split", "one-label.csv", "-o", "parts").exit_code == 0
    assert pd.read_csv("one-label.csv")["label"].nunique() == 3


def test_several_labels_need_a_decision(cli: Run, several: Path) -> None:
    result = cli("inspect-data", several, "--strict", "--base-model", "none", "--task", "single")
    assert result.exit_code == 1
    fact = "9.1% of the rows have several labels separated by '|', the first 'joy|fear' in row 1 (line 2)"
    assert f"all: several_labels: {fact}" in result.stderr


def test_fix_does_not_write_an_empty_table(cli: Run) -> None:
    path = write("all.csv", [(f"t{n}", "[1, 2]" if n % 2 else "[2, 3]") for n in range(20)])
    assert "would remove all rows" in message_of(
        cli("inspect-data", path, "--fix", "x.csv", "--base-model", "none", "--task", "single")
    )
    assert not Path("x.csv").exists()


def test_lists_of_one_are_classes_and_empty_lists_are_counted(cli: Run) -> None:
    rows = [{"text": text, "label": [label]} for text, label in emotion_rows()]
    lines = [*rows, {"text": "nobody knows", "label": []}]
    Path("d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = cli("split", "d.jsonl", "-o", "parts", "--json")
    record = json.loads(result.stdout)
    assert list(record["parts"]["train"]["classes"]) == ["anger", "fear", "joy"]
    assert record["removed"]["empty_label_list"] == 1
    assert "60 labels are lists of one, such as [\"joy\"] in row 1 (line 1): read as 'joy'" in result.stderr
    assert "1 row removed: empty label list" in result.stderr


def test_repeated_headers_are_removed_and_named_in_every_command(cli: Run, trained_model: Path) -> None:
    rows = emotion_rows()
    path = write("d.csv", [*rows[:30], ("text", "label"), *rows[30:], ("Text", " label ")])
    places = "d.csv: row 31 (line 32), row 62 (line 63) repeat the header: removed"
    for arguments in (["split", path, "-o", "parts"], ["inspect-data", path, "--base-model", "none"], ["eval", path]):
        result = cli(*arguments)
        assert result.exit_code == 0, result.output
        assert places in result.stderr
    assert json.loads(Path("parts/split.json").read_text())["removed"]["repeated_header"] == 2
    assert "2 rows of d.csv removed: repeated header" in result.stderr


def survey() -> Path:
    titles = [("Please describe,\nwhat happened.", "Which feeling is it?"), ('{"ImportId":"Q1"}', '{"ImportId":"Q2"}')]
    return write("survey.csv", [*titles, *emotion_rows()])


PLACES = "'Which feeling is it?' is only in row 1 (line 2); '{\"ImportId\":\"Q2\"}' is only in row 2 (line 4)"


def test_rows_of_titles_below_the_header_are_named(cli: Run, tiny_base: Path) -> None:
    path = survey()
    found = cli("inspect-data", path, "--strict", "--base-model", "none")
    assert (found.exit_code, PLACES in found.stderr) == (1, True)
    for command in (["split", path, "-o", "parts"], ["train", path, "--base-model", tiny_base]):
        message = message_of(cli(*command))
        assert "'Which feeling is it?' (1)" in message
        assert message.endswith(f"; {PLACES}")


def test_a_class_of_one_row_is_noted_where_nothing_is_split(cli: Run, tiny_train: Run, tiny_base: Path) -> None:
    path, val = survey(), write("val.csv", emotion_rows()[::3])
    result = cli("train", path, "--val", val, "--base-model", tiny_base, "--epochs", "1", "--max-length", "40")
    assert result.exit_code == 0, result.output
    assert f"note: survey.csv: {PLACES}: add rows of such a class, or remove it" in result.stderr


def test_class_names_are_printed_as_they_are(cli: Run) -> None:
    names = ["[red]joy[/red]", '{"a": "b"}', "[/]", "True", "007"]
    path = write("d.csv", [(f"{text} {name}", name) for name in names for text, _ in emotion_rows()[:12]])
    for arguments in (["inspect-data", path, "--base-model", "none"], ["split", path, "-o", "parts"]):
        result = cli(*arguments)
        assert result.exit_code == 0, result.output
        assert all(f"│ {name} " in result.stdout for name in names)


def test_any_class_name_goes_through_training_evaluation_and_prediction(cli: Run, tiny_base: Path) -> None:
    names = {"joy": "[red]a[/]", "fear": '{"a": "b"}', "anger": "uncertain"}
    path = write("d.csv", [(text, names[label]) for text, label in emotion_rows()])
    recipe = ["--base-model", tiny_base, "--epochs", "1", "--max-length", "40", "--name", "odd"]
    for arguments in (["train", path, *recipe], ["eval", path], ["models", "show", "odd"]):
        result = cli(*arguments)
        assert result.exit_code == 0, result.output
        assert all(name in result.stdout for name in names.values())
    message = message_of(cli("predict", "x", "--min-confidence", "0.9"))
    assert "the model has a class 'uncertain'" in message
    assert cli("predict", "x", "--min-confidence", "1", "--uncertain-label", "unsure").stdout.startswith("unsure\t")


def test_labels_that_look_like_another_class_are_asked_about(cli: Run, tiny_base: Path) -> None:
    numbers = {"joy": "1", "fear": "2", "anger": "3"}
    train = write("train.csv", [(text, numbers[label]) for text, label in emotion_rows()])
    val = write("val.csv", [(text, f"{numbers[label]}.0") for text, label in emotion_rows()[::3]])
    message = message_of(cli("train", train, "--val", val, "--base-model", tiny_base))
    assert "val.csv: unknown labels '1.0', '2.0', '3.0'" in message
    assert "is '1.0' the class '1'?" in message
    assert message.endswith("; the first is in row 1 (line 2)")


def test_eval_asks_about_labels_that_look_like_a_class(cli: Run, trained_model: Path) -> None:
    rows = [(text, label.title()) for text, label in emotion_rows()]
    message = message_of(cli("eval", write("d.csv", rows)))
    assert "(is 'Joy' the class 'joy'?" in message
    many = [*emotion_rows(), *[(f"t{n}", f"odd {n}") for n in range(14)], ("t", "JOY")]
    warnings = cli("eval", write("e.csv", many)).stderr
    assert warnings.count("not scored") == 1
    assert "15 rows not scored: the model does not know the labels 'odd 0' (1)" in warnings
    assert "and 5 more (is 'JOY' the class 'joy'?)" in warnings
    both = [*emotion_rows(), ("t", "joy|fear"), ("u", "fear|joy")]
    warnings = cli("eval", write("f.csv", both)).stderr
    assert "2 rows not scored" in warnings
    assert "2 cells with several labels" in warnings


def test_a_label_of_uncertain_predictions_is_no_class(cli: Run, trained_model: Path) -> None:
    message = message_of(cli("predict", "x", "--min-confidence", "0.5", "--uncertain-label", "joy"))
    assert "the model has a class 'joy'" in message
    assert "--uncertain-label" in message
    Path("d.csv").write_text("text\nx\n")
    options = ["--min-confidence", "0.5", "--uncertain-label", "joy", "-o", "out.csv"]
    message_of(cli("predict", "-i", "d.csv", *options))
    assert not Path("out.csv").exists()
    assert cli("predict", "x", "--min-confidence", "0.5", "--uncertain-label", "joyless").exit_code == 0
    assert "empty" in message_of(cli("predict", "x", "--min-confidence", ".5", "--uncertain-label", " "), code=2)


def test_a_label_of_uncertain_predictions_is_no_class_on_ray(cli: Run, trained_model: Path) -> None:
    pytest.importorskip("ray")
    Path("d.csv").write_text("text\nx\n")
    options = ["--engine", "ray", "--min-confidence", "0.5", "--uncertain-label", "joy", "-o", "out"]
    assert "pass another name with --uncertain-label" in message_of(cli("predict", "-i", "d.csv", *options))
    assert not Path("out").exists()


def test_a_label_of_uncertain_predictions_needs_a_threshold(cli: Run, trained_model: Path) -> None:
    message = message_of(cli("predict", "x", "--uncertain-label", "unsure"), code=2)
    assert "--uncertain-label needs --min-confidence" in message
