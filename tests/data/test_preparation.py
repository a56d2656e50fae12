"""Tables become clean sets for one run."""

from pathlib import Path

import pytest

from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.errors import ConfigError, DataError
from tests.conftest import emotion_rows


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    return path


def prepare(source, **settings):
    return prepare_training_data(source, options=DataOptions(), seed=1, **settings)


def test_a_single_table_is_split_into_three_sets(emotions_csv: Path) -> None:
    parts = prepare(emotions_csv)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (48, 6, 6)
    assert parts.labels.names == ("anger", "fear", "joy")
    assert parts.leaked == {"val": 0, "test": 0}


def test_with_a_test_set_only_a_validation_set_is_split_off(emotions_csv: Path, tmp_path: Path) -> None:
    test = write_csv(tmp_path / "test.csv", [("quite another sentence", "joy")])
    parts = prepare(emotions_csv, test=test)
    assert len(parts.test) == 1
    assert len(parts.train) + len(parts.val) == 60


def test_with_a_validation_set_alone_there_is_no_test_set(emotions_csv: Path, tmp_path: Path) -> None:
    val = write_csv(tmp_path / "val.csv", [("quite another sentence", "joy"), *emotion_rows()[:2]])
    parts = prepare(emotions_csv, val=val)
    assert parts.test is None
    assert (len(parts.train), len(parts.val)) == (60, 3)
    assert parts.leaked == {"val": 2}


def test_leaks_are_found_despite_punctuation(emotions_csv: Path, tmp_path: Path) -> None:
    text, label = emotion_rows()[0]
    val = write_csv(tmp_path / "val.csv", [(f"{text.title()}!!", label), (f"{text} :(", label)])
    assert prepare(emotions_csv, val=val).leaked == {"val": 1}


def test_a_split_directory_is_not_split_again(tmp_path: Path) -> None:
    rows = emotion_rows()
    for part, chosen in {"train": rows[::2], "val": rows[1::4], "test": rows[3::4]}.items():
        write_csv(tmp_path / f"{part}.csv", chosen)
    parts = prepare(tmp_path)
    assert [len(parts.train), len(parts.val), len(parts.test)] == [30, 15, 15]
    with pytest.raises(ConfigError, match="has a test file already"):
        prepare(tmp_path, test=tmp_path / "test.csv")


def test_labels_missing_from_the_training_set_are_named(emotions_csv: Path, tmp_path: Path) -> None:
    val = write_csv(tmp_path / "val.csv", [("something else", "envy")])
    with pytest.raises(DataError, match=r"val.csv: unknown label 'envy'"):
        prepare(emotions_csv, val=val)


def test_the_validation_set_needs_a_share(emotions_csv: Path) -> None:
    with pytest.raises(ConfigError, match="leaves no validation set"):
        prepare(emotions_csv, ratios=(90, 0, 10))


def test_the_fingerprint_follows_the_content(emotions_csv: Path) -> None:
    first = prepare(emotions_csv).sha256
    assert prepare(emotions_csv).sha256 == first
    emotions_csv.write_text(emotions_csv.read_text() + "one more,joy\n")
    assert prepare(emotions_csv).sha256 != first


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "one.csv", [(f"text {n}", "joy") for n in range(30)])
    with pytest.raises(DataError, match="only 'joy'"):
        prepare(path)
