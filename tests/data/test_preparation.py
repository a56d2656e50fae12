"""Tables become clean sets for one run."""

import shlex
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


def write(path: Path, header: str, rows: list[tuple[str, ...]]) -> Path:
    path.write_text("".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in [tuple(header.split(",")), *rows]))
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A split directory whose training table has two columns that could be the text by name."""
    rows = [(f"about {label}", text, label) for text, label in emotion_rows()]
    for part, chosen in {"train": rows[::2], "val": rows[1::4], "test": rows[3::4]}.items():
        write(tmp_path / f"{part}.csv", "title,post,mood", chosen)
    return tmp_path


def test_all_sets_have_the_columns_of_the_training_set(directory: Path) -> None:
    rows = [(text, "no text", "x", label) for text, label in emotion_rows()[1::4]]
    write(directory / "val.csv", "Post,text,label,mood", rows)
    data = prepare(directory)
    assert data.val.texts[0] == rows[0][0]
    assert {part.columns.texts for part in (data.train, data.test)} == {("post",)}
    assert (data.val.columns.texts, data.val.columns.label) == (("Post",), "mood")


def test_a_set_without_the_text_column_is_named_with_its_columns(directory: Path) -> None:
    write(directory / "test.csv", "text,mood", emotion_rows()[3::4])
    with pytest.raises(DataError, match=r"test.csv: no column 'post'.* of .*train.csv; .* 'text', 'mood': rename"):
        prepare(directory)


def test_several_text_columns_are_found_in_all_sets(directory: Path) -> None:
    options = DataOptions(text_column=["title", "post"], text_separator=": ")
    data = prepare_training_data(directory, options=options, seed=1)
    for part in (data.train, data.val, data.test):
        assert all(text.startswith(f"about {label}: ") for text, label in zip(part.texts, part.labels, strict=True))


@pytest.mark.parametrize(
    ("header", "label", "why"),
    [
        ("title,post", None, "no column 'mood'"),
        ("title,post,mood", "-1", "is '-1' in all rows, which is not a class of"),
        ("title,post,mood", "", "is empty"),
    ],
)
@pytest.mark.parametrize("part", ["val", "test"])
def test_a_set_without_labels_is_left_out_by_the_command_that_the_error_names(
    directory: Path, part: str, header: str, label: str | None, why: str
) -> None:
    rows = [("a title", text, *([] if label is None else [label])) for text, _ in emotion_rows()[3::4]]
    target = directory / "my sets"
    target.mkdir()
    for path in directory.glob("*.csv"):
        path.rename(target / path.name)
    write(target / f"{part}.csv", header, rows)
    with pytest.raises(DataError) as caught:
        prepare(target)
    message = str(caught.value)
    assert message.startswith(f"{target / part}.csv: ")
    assert why in message
    command = shlex.split(message.partition("leave it out: ")[2].partition(" (")[0])
    assert command[:3] == ["emoclass", "train", str(target / "train.csv")]
    other = "val" if part == "test" else "test"
    assert command[3:] == [f"--{other}", str(target / f"{other}.csv")]
    data = prepare(command[2], **{other: command[4]})
    assert len(getattr(data, other)) == 15


def test_a_given_set_without_labels_is_left_out(emotions_csv: Path, tmp_path: Path) -> None:
    val = write_csv(tmp_path / "val.csv", [("something else", "joy")])
    test = write_csv(tmp_path / "test.csv", [("something else", "-1"), ("one more", "-1")])
    with pytest.raises(DataError) as caught:
        prepare(emotions_csv, val=val, test=test)
    assert f"emoclass train {emotions_csv} --val {val} (" in str(caught.value)
    val.write_text("text\nsomething else\n")
    with pytest.raises(DataError, match=r"leave the val and test sets out: emoclass train \S+ \("):
        prepare(emotions_csv, val=val, test=test)


def test_a_set_of_one_known_class_has_labels(emotions_csv: Path, tmp_path: Path) -> None:
    test = write_csv(tmp_path / "test.csv", [("something else", "joy"), ("one more", "joy")])
    assert len(prepare(emotions_csv, test=test).test) == 2
