"""Columns from the command line: the same in all tables, several texts, those that a model was trained with."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from emoclass.cli import app
from emoclass.config import TrainConfig
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.inference.predictor import load
from emoclass.runtime import models_dir
from tests.conftest import emotion_rows
from tests.runs import run_training

Run = Callable[..., Any]
JOINED = ("Title", "post")


def write(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def posts() -> list[tuple[str, ...]]:
    """Rows of id, text, title, post and mood; the column called text holds nothing to learn from."""
    halves = [(text.split(), label) for text, label in emotion_rows()]
    return [
        (str(n), "the same in all", words[0], " ".join(words[1:]), label) for n, (words, label) in enumerate(halves)
    ]


HEADER = ("id", "text", "Title", "post", "mood")


@pytest.fixture(scope="module")
def joined_directory(config: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a model that was trained on two text columns."""
    home = tmp_path_factory.mktemp("joined-model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOCLASS_HOME", str(home))
        options = DataOptions(text_column=JOINED, text_separator=" and ")
        data = prepare_training_data(write(home / "posts.csv", HEADER, posts()), options=options, seed=1)
        return run_training(data, config(epochs=1), name="joined", cache_disk=0).model.directory


@pytest.fixture
def joined_model(joined_directory: Path) -> Path:
    return Path(shutil.copytree(joined_directory, models_dir() / joined_directory.name))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "posts.csv", HEADER, posts())


def answers(texts: list[str]) -> list[tuple[str, Any]]:
    return [(each.label, pytest.approx(each.confidence, abs=2e-4)) for each in load().predict(texts)]


def predicted(result: Any) -> list[tuple[str, float]]:
    assert result.exit_code == 0, result.output
    return [(row["label"], float(row["confidence"])) for row in csv.DictReader(result.stdout.splitlines())]


@pytest.mark.usefixtures("joined_model")
def test_predict_and_eval_read_the_columns_that_the_model_was_trained_with(cli: Run, table: Path) -> None:
    expected = answers([f"{title} and {post}" for _, _, title, post, _ in posts()])
    result = cli("predict", "-i", table)
    assert predicted(result) == expected
    assert next(csv.DictReader(result.stdout.splitlines()))["Title"] == posts()[0][2]
    evaluation = json.loads(cli("eval", table, "--json").stdout)
    right = sum(label == row[4] for (label, _), row in zip(expected, posts(), strict=True))
    assert evaluation["accuracy"] == pytest.approx(right / 60)


@pytest.mark.usefixtures("joined_model")
def test_options_win_over_the_columns_of_the_model(cli: Run, table: Path) -> None:
    result = cli("predict", "-i", table, "--text-column", "post", "--text-column", "title")
    assert predicted(result) == answers([f"{post} and {title}" for _, _, title, post, _ in posts()])
    result = cli("predict", "-i", table, "--text-column", "post")
    assert predicted(result) == answers([post for *_, post, _ in posts()])


@pytest.mark.usefixtures("joined_model")
def test_texts_and_lines_are_whole_texts(cli: Run) -> None:
    expected = answers(["so happy"])
    for arguments, lines in ((["so happy"], None), ([], "so happy\n")):
        label, confidence = cli("predict", *arguments, input=lines).stdout.split()
        assert [(label, float(confidence))] == expected


@pytest.mark.usefixtures("joined_model")
def test_a_table_with_some_of_the_columns_is_read_by_name_and_a_note_says_so(cli: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "half.csv", ("text", "post"), [("so happy", "so sad")])
    result = cli("predict", "-i", path)
    assert predicted(result) == answers(["so happy"])
    assert "lacks 'Title'" in result.stderr


@pytest.mark.usefixtures("joined_model")
def test_a_json_object_may_lack_one_of_the_columns(cli: Run) -> None:
    lines = '{"post": "so happy", "text": "x"}\n{"Title": "so", "post": "mad", "text": "x"}\n'
    result = cli("predict", "--input-format", "jsonl", input=lines)
    labels = [json.loads(line)["label"] for line in result.stdout.splitlines()]
    assert labels == [label for label, _ in answers(["so happy", "so and mad"])]


def test_models_without_columns_in_their_record_go_on_working(cli: Run, joined_model: Path, table: Path) -> None:
    path = joined_model / "emoclass.json"
    record = json.loads(path.read_text())
    assert record["data"].pop("columns") == {"text": list(JOINED), "label": "mood", "separator": " and "}
    path.write_text(json.dumps(record))
    assert predicted(cli("predict", "-i", table)) == answers(["the same in all"] * 60)
    record["data"]["columns"] = {"text": 7}
    path.write_text(json.dumps(record))
    result = cli("predict", "-i", table)
    assert result.exit_code == 1
    assert "is damaged: data.columns" in result.stderr


@pytest.mark.usefixtures("joined_model")
def test_a_table_without_labels_is_for_predict(cli: Run, tmp_path: Path) -> None:
    rows = posts()
    tables = [
        write(tmp_path / "my test.csv", HEADER[:4], [row[:4] for row in rows]),
        write(tmp_path / "hidden test.csv", HEADER, [(*row[:4], "-1") for row in rows]),
        write(tmp_path / "empty test.csv", HEADER, [(*row[:4], "") for row in rows]),
    ]
    for path in tables:
        result = cli("eval", path)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert result.stderr.endswith(f"emoclass predict --input '{path}'\n")
        assert len(predicted(cli("predict", "--input", path))) == 60


def test_split_and_fix_keep_the_columns_of_a_joined_text(cli: Run, tmp_path: Path) -> None:
    rows = [(*row[:3], f"{row[3]} cafÃ©", row[4]) if n == 3 else row for n, row in enumerate(posts())]
    rows += [rows[0], (*rows[1][:2], "", " ", "joy")]
    table, options = write(tmp_path / "t.csv", HEADER, rows), ["--text-column", "Title", "--text-column", "post"]
    result = cli("split", table, "-o", tmp_path / "parts", *options, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["columns"] == {"text": ["Title", "post"], "label": "mood", "separator": " "}
    assert (record["removed"]["blank_text"], record["removed"]["duplicate"]) == (1, 1)
    assert list(read(tmp_path / "parts" / "train.csv")[0]) == list(HEADER)
    assert cli("inspect-data", tmp_path / "parts", *options, "--base-model", "none").exit_code == 0
    assert cli("inspect-data", table, *options, "--fix", tmp_path / "f.csv", "--base-model", "none").exit_code == 0
    fixed = {row["id"]: row for row in read(tmp_path / "f.csv")}
    assert fixed["3"]["post"] == f"{posts()[3][3]} café"
    assert fixed["3"]["Title"] == rows[3][2]
    changes = read(tmp_path / "f.changes.csv")
    assert ("repaired", f"{rows[3][2]} {rows[3][3]}") in {(change["action"], change["text"]) for change in changes}


def test_near_duplicates_are_those_of_joined_texts(cli: Run, tmp_path: Path) -> None:
    rows = [("the very same title of all these posts", f"{text} and more of it", label) for text, label in posts_of()]
    rows += [("A title", "a post of some words", "joy"), ("a title", "A post of some words", "joy")]
    table = write(tmp_path / "t.csv", ("title", "post", "mood"), rows)
    result = cli("inspect-data", table, "--text-column", "title", "--text-column", "post", "--json")
    (part,) = json.loads(result.stdout)["parts"]
    assert part["text_column"] == "title + post"
    assert part["duplicates"]["folded"] == 1


def posts_of() -> Iterator[tuple[str, str]]:
    return ((f"{row[2]} {row[3]}", row[4]) for row in posts())


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A directory whose test table has no labels."""
    rows = posts()
    write(tmp_path / "train.csv", HEADER[2:], [row[2:] for row in rows[::2]])
    write(tmp_path / "val.csv", HEADER[2:], [row[2:] for row in rows[1::2]])
    write(tmp_path / "test.csv", HEADER[2:4], [row[2:4] for row in rows[1::2]])
    return tmp_path


def test_inspect_data_describes_tables_without_labels(cli: Run, parts: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ["--base-model", "none", "--text-column", "post"]
    result = cli("inspect-data", parts, *options, "--json", "--report", page)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [part["label_column"] for part in document["parts"]] == ["mood", "mood", ""]
    assert (document["parts"][2]["classes"], document["parts"][2]["imbalance_ratio"]) == ([], None)
    assert document["parts"][2]["kept_rows"] == 30
    codes = [(finding["code"], finding["part"]) for finding in document["findings"]]
    assert ("no_labels", "test") in codes
    assert not {("unseen_class", "test"), ("class_shares", "test"), ("single_class", "test")} & set(codes)
    assert "test.csv: no column 'mood'" in result.stderr
    assert page.exists()
    assert "none" in cli("inspect-data", parts, *options).stdout
    assert cli("inspect-data", parts, *options, "--strict").exit_code == 1


def test_inspect_data_describes_one_table_without_labels(cli: Run, parts: Path) -> None:
    rows = [(row[0], f"{row[2]} {row[3]}") for row in posts()]
    result = cli("inspect-data", write(parts / "one.csv", ("id", "post"), rows), "--base-model", "none")
    assert result.exit_code == 0, result.output
    assert "has no labels" in result.stdout
    assert "--label-column" in result.stderr


def test_train_says_at_once_that_a_set_has_no_labels(cli: Run, parts: Path, tiny_base: Path) -> None:
    result = cli("train", parts, "--base-model", tiny_base)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert f"emoclass train {parts / 'train.csv'} --val {parts / 'val.csv'}" in result.stderr


def every_option() -> list[tuple[tuple[str, ...], Any]]:
    """All options with one value, by command."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*path, name))
        for option in command.params:
            if option.param_type_name == "option" and not option.is_flag and not option.multiple:
                yield path, option

    return list(walk(typer.main.get_command(app), ()))


@pytest.mark.parametrize(("path", "option"), [pytest.param(p, o, id=" ".join([*p, o.name])) for p, o in every_option()])
def test_an_option_with_one_value_is_given_once(cli: Run, path: tuple[str, ...], option: Any) -> None:
    result = cli(*path, "data.csv", f"{max(option.opts, key=len)}=1", option.opts[-1], "2")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {max(option.opts, key=len)} is given twice")
    assert result.stderr.count("\n") == 1


def test_flags_and_options_with_several_values_may_be_repeated(cli: Run, table: Path) -> None:
    assert cli("models", "list", "--json", "--json").exit_code == 0
    twice = cli("inspect-data", table, "--base-model", "none", "--json", "--json", "--text-column", "post")
    assert twice.exit_code == 0, twice.output
    both = cli("train", table, "--train-pooler", "--no-train-pooler")
    assert (both.exit_code, "--train-pooler/--no-train-pooler" in both.stderr) == (2, True)


def test_several_label_columns_hold_flags(cli: Run, table: Path, tiny_base: Path) -> None:
    result = cli("train", table, "--base-model", tiny_base, "--label-column", "mood", "--label-column", "id")
    assert result.exit_code == 1
    assert "row 1 (line 2): column 'mood' holds 'joy', not 0 or 1" in result.stderr
