import pytest

from emoclass.data.options import DataOptions
from emoclass.data.tables.split_directories import find_splits

CSV = "text,label\na,joy\n"


@pytest.fixture
def folder(tmp_path):
    def folder(*names):
        for name in names:
            (tmp_path / name).write_text(CSV)
        return tmp_path

    return folder


def test_the_splits_of_a_directory_are_found_in_order(folder):
    path = folder("test.jsonl", "val.csv", "train.csv.gz", "split.json", "notes.txt", "train.txt")
    assert [(part, file.name) for part, file in find_splits(path).items()] == [
        ("train", "train.csv.gz"),
        ("val", "val.csv"),
        ("test", "test.jsonl"),
    ]


@pytest.mark.parametrize("name", ["validation.csv", "valid.csv", "dev.csv"])
def test_other_names_of_the_validation_set_are_recognized(folder, name):
    assert find_splits(folder("train.csv", name))["val"].name == name


def test_two_files_for_one_split_are_rejected(folder, error_of):
    message = error_of(find_splits, folder("train.csv", "train.tsv"))
    assert "both train.csv and train.tsv" in message


def test_a_directory_without_train_is_rejected(folder, error_of):
    assert "no train file" in error_of(find_splits, folder("test.csv"))


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
    assert "has no test file" in error_of(DataOptions().read_splits, folder("train.csv"), only=("test",))
