"""A table that a program has in memory is read like a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import emoclass
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.errors import ConfigError, DataError
from tests.conftest import emotion_rows

FRAME = pd.DataFrame(emotion_rows(), columns=["text", "label"])


def prepared(source: Any, **more: Any) -> Any:
    return prepare_training_data(source, options=DataOptions(), seed=1, **more)


def test_a_frame_is_prepared_like_its_file(emotions_csv: Path) -> None:
    frame = FRAME.set_index(np.arange(len(FRAME))[::-1])
    before = frame.copy()
    of_frame, of_file = prepared(frame), prepared(emotions_csv)
    for split in ("train", "val", "test"):
        own, other = getattr(of_frame, split), getattr(of_file, split)
        assert (own.texts, own.labels) == (other.texts, other.labels)
    assert of_frame.source == "data-frame"
    assert of_frame.sha256 == prepared(frame.copy()).sha256 != prepared(frame[::-1]).sha256
    pd.testing.assert_frame_equal(frame, before)


def test_missing_cells_lists_and_categories_are_read() -> None:
    lists = FRAME.assign(label=[[label, "loud"] if n % 2 else np.array([label]) for n, label in enumerate(FRAME.label)])
    assert prepared(lists).labels.names == ("anger", "fear", "joy", "loud")
    holes = FRAME.assign(text=FRAME.text.where(FRAME.index > 3), label=FRAME.label.astype("category"))
    holes.loc[[10, 11], "label"] = None
    assert prepared(holes).removed_rows["null_text"] == 4
    assert prepared(holes).removed_rows["null_label"] == 2
    numbers = FRAME.assign(label=FRAME.label.map({"joy": 0, "fear": 1, "anger": 2}))
    assert prepared(numbers).labels.names == ("0", "1", "2")


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_collections_of_labels_are_read_as_lists(kind: Any) -> None:
    labels = [kind([label, "loud"] if n % 2 else [] if n % 5 == 0 else [label]) for n, label in enumerate(FRAME.label)]
    found = prepared(FRAME.assign(label=labels))
    assert found.labels.names == ("anger", "fear", "joy", "loud")
    assert found.sha256 == prepared(FRAME.assign(label=[sorted(label) for label in labels])).sha256


@pytest.mark.parametrize("columns", [(0, 1), (np.int64(0), [1]), ([0], "1")])
def test_columns_may_have_numbers_for_names(columns: Any) -> None:
    frame = FRAME.set_axis([0, 1], axis=1)
    options = DataOptions(text_column=columns[0], label_column=columns[1])
    assert prepare_training_data(frame, options=options, seed=1).labels.names == ("anger", "fear", "joy")
    with pytest.raises(DataError, match="data-frame: no column '5'; the columns are '0', '1'"):
        prepare_training_data(frame, options=DataOptions(text_column=5), seed=1)


def test_whole_floats_are_asked_about_where_a_file_has_them(tmp_path: Path) -> None:
    numbers = FRAME.assign(label=FRAME.label.map({"joy": 0.0, "fear": 1.0, "anger": 2.0}))
    numbers.to_csv(tmp_path / "numbers.csv", index=False)
    assert prepared(numbers).labels.names == ("0", "1", "2")
    with pytest.raises(DataError, match=r"is '0\.0' the class '0'\?"):
        prepared(numbers, val=tmp_path / "numbers.csv")
    with pytest.raises(DataError, match=r"is '0' the class '0\.0'\?"):
        prepared(tmp_path / "numbers.csv", val=numbers)


@pytest.mark.parametrize("cells", [{"text": "so \ud800"}, {"label": "joy\udfff"}, {"label": ["joy", "\ud800"]}])
def test_half_a_surrogate_pair_is_found_before_anything_is_computed(cells: Any, tiny_model: Path) -> None:
    frame = pd.DataFrame([*FRAME.to_dict("records"), {"text": "so", "label": "joy"} | cells], dtype=object)
    message = f"^data-frame: row 61: column '{min(cells)}' holds half of a surrogate pair .*: repair the cell$"
    for task in ("single", "multi"):
        with pytest.raises(DataError, match=message):
            prepare_training_data(frame, options=DataOptions(task=task), seed=1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        emoclass.evaluate(frame, model=tiny_model)


@pytest.mark.parametrize(
    "ratios", [(80, 20), (80, 10, 10, 0), "80/10/10", ("80", "10", "10"), 80, None], ids=lambda ratios: repr(ratios)
)
def test_ratios_are_three_numbers(ratios: Any) -> None:
    with pytest.raises(ConfigError, match=r"^--ratios .* are not three numbers: pass train, val and test as in \(80, "):
        prepared(FRAME, ratios=ratios)
    prepared(FRAME, ratios=np.array([80, 10, 10]))


def test_no_advice_on_a_frame_is_a_command(tiny_model: Path) -> None:
    several = FRAME.assign(label=["joy,fear" if n % 12 == 0 else label for n, label in enumerate(FRAME.label)])
    unlabelled = FRAME[["text"]]
    with pytest.raises(DataError, match="or choose one for each$"):
        prepare_training_data(several, options=DataOptions(task="single"), seed=1)
    with pytest.raises(DataError, match="add the labels, or leave it out$"):
        prepared(FRAME, val=unlabelled)
    for frame in (unlabelled, FRAME.assign(label=None)):
        with pytest.raises(DataError, match="pass --label-column or, if it has no labels, predict its texts$"):
            emoclass.evaluate(frame, model=tiny_model)


def test_sets_may_be_frames_or_files(emotions_csv: Path) -> None:
    data = prepared(FRAME[::2], val=FRAME[1::2], test=emotions_csv)
    assert (len(data.train), len(data.val), len(data.test)) == (30, 30, 60)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (FRAME[:0], "^data-frame: has no data rows"),
        (pd.concat([FRAME, FRAME.text], axis=1), "^data-frame: has several columns 'text': rename or drop one"),
        (FRAME.text, "^data-frame: Series is no table: pass a path or a pandas DataFrame"),
        ({"text": ["a"]}, "^data-frame: dict is no table: pass a path or a pandas DataFrame"),
        (None, "^data-frame: NoneType is no table: pass a path or a pandas DataFrame"),
        (pa.table({"text": ["a"]}), r"^data-frame: pyarrow Table is not read: pass its to_pandas\(\)"),
        (FRAME[["text"]], "^data-frame: .*label"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared(source)


def test_a_set_that_lacks_labels_is_named() -> None:
    with pytest.raises(DataError, match="^val: "):
        prepared(FRAME, val=FRAME[["text"]])


def test_a_frame_is_evaluated_like_its_file(tiny_model: Path, emotions_csv: Path, tmp_path: Path) -> None:
    def scores(source: Any, name: str) -> Any:
        return {**emoclass.evaluate(source, model=tiny_model, predictions=tmp_path / name).to_dict(), "source": ""}

    frame = FRAME.set_index(np.arange(len(FRAME))[::-1])
    assert scores(frame, "frame.csv") == scores(emotions_csv, "file.csv")
    assert (tmp_path / "frame.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
    with pytest.raises(DataError, match="^data-frame: dict is no table"):
        scores({"text": ["a"]}, "dict.csv")
    with pytest.raises(DataError, match="^data-frame: NoneType is no table"):
        scores(None, "dict.csv")
    assert not (tmp_path / "dict.csv").exists()
    with pytest.raises(ConfigError, match="p.csv: there is no directory .*; make it first$"):
        scores(frame, "missing/p.csv")
    with pytest.raises(ConfigError, match="would replace the data: name another file"):
        emoclass.evaluate(emotions_csv, model=tiny_model, predictions=emotions_csv)


def test_a_model_can_go_to_a_directory_of_its_own(tiny_base: Path, tmp_path: Path) -> None:
    settings = {"base_model": str(tiny_base), "max_length": 40, "epochs": 1, "recipe": "reference"}
    directory = tmp_path / "here"
    result = emoclass.train(FRAME, directory=directory, **settings)
    assert result.model.directory == directory
    assert emoclass.load(directory).predict_text("so happy")
    with pytest.raises(emoclass.EmoclassError, match="here exists: choose a new directory"):
        emoclass.train(FRAME, directory=directory, **settings)
    with pytest.raises(ConfigError, match="unknown settings"):
        emoclass.train(FRAME, folder=directory, **settings)
