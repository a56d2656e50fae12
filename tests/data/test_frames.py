"""A table that a program has in memory is read like a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
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
    assert not (tmp_path / "dict.csv").exists()


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
