"""Directories with splits: those of emoclass split, those of the hub, and others that people have."""

import gzip
import shlex
from pathlib import Path

import pytest

from emoclass.data.cleaning.cleaning import clean
from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.options import DataOptions
from emoclass.data.tables.split_directories import find_splits, split_paths

CSV = "text,label\na,joy\n"


@pytest.fixture
def folder(tmp_path):
    def folder(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(CSV)
        return tmp_path

    return folder


def found(directory):
    """Return the paths of each split below a directory."""
    return {
        split: [path.relative_to(directory).as_posix() for path in files.paths]
        for split, files in find_splits(directory).items()
    }


def notes(directory):
    return [note for files in find_splits(directory).values() for note in files.notes]


def test_the_splits_of_a_directory_are_found_in_order(folder):
    path = folder("test.jsonl", "val.csv", "train.csv.gz", "split.json", "notes.txt", "train.txt")
    assert list(found(path).items()) == [("train", ["train.csv.gz"]), ("val", ["val.csv"]), ("test", ["test.jsonl"])]
    assert notes(path) == []


@pytest.mark.parametrize("name", ["validation.csv", "valid.csv", "dev.csv", "VAL.csv"])
def test_other_names_of_the_validation_set_are_recognized(folder, name):
    assert found(folder("train.csv", name))["val"] == [name]


SIDE_FILES = ["README.md", ".gitattributes", "dataset_infos.json", "LICENSE", ".train.csv.swp", "_train.csv"]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "csv.gz"])
@pytest.mark.parametrize("home", ["", "data/"])
def test_shards_of_the_hub_are_read_as_one_split(folder, suffix, home):
    names = {
        "train": [f"{home}train-{number:05}-of-00011.{suffix}" for number in range(11)],
        "val": [f"{home}validation-00000-of-00001.{suffix}"],
        "test": [f"{home}test-00000-of-00001-a0b1c2d3e4f5a6b7.{suffix}"],
    }
    path = folder(*(name for files in names.values() for name in files), *SIDE_FILES)
    assert found(path) == names
    assert notes(path) == [f"{path}/{home}train-*-of-00011.{suffix}: 11 files, read as one table"]


def test_folders_are_splits(folder):
    path = folder("train/10.csv", "train/9.csv", *(f"train/{n}.csv" for n in range(9)), "test/only.csv", "README.md")
    assert found(path) == {"train": [f"train/{n}.csv" for n in range(11)], "test": ["test/only.csv"]}
    assert find_splits(path)["train"].name == f"{path}/train/*.csv"


def test_the_only_data_set_below_is_read_with_a_note(folder):
    path = folder("plain/train/0000.csv", "plain/test/0000.csv", "README.md")
    assert found(path) == {"train": ["plain/train/0000.csv"], "test": ["plain/test/0000.csv"]}
    assert f"the only splits are those of {path}/plain" in notes(path)[0]


def test_several_data_sets_are_named(folder, error_of):
    path = folder("raw/train.csv", "simplified/train.csv", "simplified/test.csv", "scripts/a.py")
    message = error_of(find_splits, path)
    assert f"several data sets could be meant: pass one of {path}/raw, {path}/simplified" in message
    assert found(path / "raw") == {"train": ["train.csv"]}


def test_a_part_of_a_name_does_not_count_beside_the_splits_of_a_folder(folder, error_of):
    path = folder("data/train.csv", "results/train_scores.csv")
    assert found(path) == {"train": ["data/train.csv"]}
    message = error_of(find_splits, folder("train_log.csv"))
    assert f"pass one of {path}/data, {path}/train_log.csv" in message


def test_only_the_splits_that_are_needed_must_be_complete(folder, error_of):
    path = folder("train-00001-of-00002.csv", "test.csv")
    assert list(split_paths(path, ("test",))) == ["test"]
    assert "missing" in error_of(split_paths, path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_shards_without_the_name_of_a_split_are_the_first_that_is_needed(folder, error_of, split):
    path = folder("0000.csv", "0001.csv", "README.md")
    ((name, files),) = split_paths(path, (split,)).items()
    assert (name, [path.name for path in files.paths]) == (split, ["0000.csv", "0001.csv"])
    assert f"{path}/*.csv: taken as the {split} set" in files.notes
    assert "0002.csv is missing" in error_of(split_paths, folder("0003.csv"))


def test_one_of_several_shards_is_read_with_a_note(folder):
    path = folder("train-00000-of-00002.csv", "train-00001-of-00002.csv", "test-00000-of-00001.csv")
    table = DataOptions().read_splits(path / "train-00000-of-00002.csv")["all"]
    assert len(table.frame) == 1
    assert f"one of 2 files of a table; pass {path} to read all" in table.notes[0]
    assert DataOptions().read_splits(path / "test-00000-of-00001.csv")["all"].notes == ()


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["train-00000-of-00003.csv", "train-00002-of-00003.csv"], "train-00001-of-00003.csv is missing"),
        (["train-00001-of-00003.csv"], "train-00000-of-00003.csv, train-00002-of-00003.csv are missing"),
        (["train-1-of-3.csv", "train-3-of-3.csv"], "train-2-of-3.csv is missing"),
        (["train/0000.csv", "train/0003.csv"], "0001.csv, 0002.csv are missing"),
        ([f"train-{n:05}-of-99999.csv" for n in (0, 1)], "train-00006-of-99999.csv, … are missing"),
    ],
)
def test_missing_shards_are_named(folder, error_of, names, missing):
    assert missing in error_of(find_splits, folder(*names))


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "train.tsv"),
        ("dev.tsv", "validation.tsv"),
        ("train-00000-of-00002.csv", "train-00000-of-00003.csv"),
        ("train-00000-of-00001.csv", "train.csv"),
        ("train-00000-of-00002.csv", "train-00001-of-00002.jsonl"),
        ("emotions_train.csv", "tweets-train.csv"),
        ("train_1.csv", "train_2.csv"),
        ("train_2018.csv", "train_2019.csv"),
        ("train/joy.csv", "train/sad.csv"),
    ],
)
def test_two_files_for_one_split_are_named(folder, error_of, names):
    message = error_of(find_splits, folder("x/y.txt", *names))
    assert all(name.split("/")[-1] in message for name in names)
    assert "keep one of them" in message


def test_a_file_and_a_folder_for_one_split_are_named(folder, error_of):
    assert "both train.csv and train/ could be" in error_of(find_splits, folder("train.csv", "train/0000.csv"))


@pytest.mark.parametrize("name", ["emotions_train.csv", "my-train.csv", "train_v2.csv", "train_1.csv", "x.train.tsv"])
def test_the_only_file_with_the_word_of_a_split_is_read_with_a_note(folder, name):
    path = folder(name, "a-validation.csv", "train_test.csv", "trained.csv", "latest.csv")
    assert found(path) == {"train": [name], "val": ["a-validation.csv"]}
    assert f"{path}/{name}: taken as the train set, by its name" in notes(path)


def test_the_name_of_a_split_goes_before_a_part_of_a_name(folder):
    path = folder("train.csv", "train_old.csv")
    assert found(path) == {"train": ["train.csv"]}
    assert f"{path}/train_old.csv: not read" in notes(path)[0]


@pytest.mark.parametrize(
    ("names", "arguments"),
    [
        (["test.csv", "data.csv"], "data.csv --test test.csv"),
        (["a.csv", "b.csv", "README.md"], "a.csv --val b.csv"),
        (["tweets/only.csv"], "tweets/only.csv"),
    ],
)
def test_a_directory_without_splits_is_answered_with_a_command(folder, error_of, names, arguments):
    path = folder(*names)
    message = error_of(split_paths, path)
    assert "has no train file" in message
    assert all(name in message for name in names)
    expected = [word if word.startswith("--") or word == "csv" else str(path / word) for word in arguments.split()]
    assert shlex.split(message.partition("for example ")[2]) == ["emoclass", "train", *expected]


def test_files_of_other_names_than_tables_have_are_splits_if_nothing_else_is(folder):
    path = folder("train.txt", "val.txt", "README.txt", "test.json", "test.csv")
    assert [Path(files.paths[0]).name for files in split_paths(path).values()] == ["train.txt", "val.txt", "test.csv"]


def test_a_directory_without_tables_lists_what_it_has(folder, error_of, tmp_path):
    message = error_of(split_paths, folder(*(f"{letter}.png" for letter in "abcdefghijklm")))
    assert "j.png, …: pass a table file" in message
    (tmp_path / "empty").mkdir()
    assert "empty" in error_of(split_paths, tmp_path / "empty")


def test_a_missing_directory_is_rejected(tmp_path, error_of):
    assert "cannot be read as a directory" in error_of(find_splits, tmp_path / "missing")


def test_a_file_is_one_table_and_a_directory_its_splits(folder):
    path = folder("train.csv", "test.csv")
    assert {part: table.name for part, table in DataOptions().read_splits(path / "train.csv").items()} == {
        "all": str(path / "train.csv")
    }
    assert list(DataOptions().read_splits(path)) == ["train", "test"]
    assert list(DataOptions().read_splits(path, only=("test",))) == ["test"]


def test_a_requested_split_must_exist(folder, error_of):
    message = error_of(DataOptions().read_splits, folder("train.csv", "val.csv"), only=("test",))
    assert "has no test file" in message
    assert "emoclass eval" in message
    assert message.endswith("val.csv")


@pytest.fixture
def shards(tmp_path):
    """Write shards of a train set, and return their directory."""

    def shards(*contents, suffix="csv"):
        for number, content in enumerate(contents):
            content = content.encode()
            path = tmp_path / f"train-{number:05}-of-{len(contents):05}.{suffix}"
            path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
        return tmp_path

    return shards


def streamed(directory):
    (files,) = split_paths(directory, ("train",)).values()
    with LabelledReader(files, DataOptions()) as reader:
        blocks = list(reader.blocks())
    return [pair for block in blocks for pair in zip(block.texts, block.labels, block.rows.tolist(), strict=True)]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_rows_of_shards_are_one_table(shards, suffix):
    path = shards("text,label\na,joy\n\nb,sad\n", "label,text\n", 'label,text\njoy,"c\nd"\njoy,a\n', suffix=suffix)
    table = DataOptions().read_splits(path)["train"]
    assert table.frame.to_dict("list") == {"text": ["a", "b", "c\nd", "a"], "label": ["joy", "sad", "joy", "joy"]}
    assert table.lines.tolist() == [2, 4, 2, 4]
    data = clean(table, table.choose_columns())
    rows = list(zip(data.texts, data.labels, data.rows.tolist(), strict=True))
    assert rows == [("a", "joy", 1), ("b", "sad", 2), ("c\nd", "joy", 3)]
    assert streamed(path) == rows
    assert [table.located(row) for row in (2, 3)] == [
        f"row 2 (train-00000-of-00003.{suffix}, line 4)",
        f"row 3 (train-00002-of-00003.{suffix}, line 2)",
    ]


def test_json_objects_of_shards_may_have_other_keys(shards):
    first, second = '{"text": "a", "label": "x"}\n', '{"id": 1, "text": "b"}\n{"text": "c", "label": "y"}\n'
    frame = DataOptions().read_splits(shards(first, second, suffix="jsonl"))["train"].frame
    assert frame.values.tolist() == [["a", "x", None], ["b", None, 1], ["c", "y", None]]
    assert frame.columns.tolist() == ["text", "label", "id"]


def test_the_digest_depends_on_all_shards(shards):
    digests = [DataOptions().read_splits(shards(CSV, second))["train"].sha256 for second in (CSV, CSV + "b,sad\n")]
    assert len({*digests}) == 2


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("text,class\nb,joy\n", ["has the columns 'text', 'class'", "'text', 'label'"]),
        ("text,label\nb\n", ["row 1", "line 2"]),
        ("", ["empty"]),
    ],
)
def test_errors_name_the_shard(shards, error_of, second, words):
    path = shards(CSV, second)
    for read in (DataOptions().read_splits, streamed):
        message = error_of(read, path)
        assert message.startswith(f"{path}/train-00001-of-00002.csv: ")
        assert all(word in message for word in words)
