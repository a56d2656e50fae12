import numpy as np
import pytest

from emoclass.data.columns.labels import LabelSet
from emoclass.errors import DataError


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["sad", "joy", "sad", "Joy"], ("Joy", "joy", "sad")),
        (["10", "9", "-1", "0"], ("-1", "0", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["1", "01"], ("01", "1")),
        (["é", "z"], ("z", "é")),
    ],
)
def test_names_are_sorted_as_numbers_or_by_code_point(labels, names):
    assert LabelSet.from_labels(labels).names == names


def test_labels_become_ids_and_back():
    labels = LabelSet.from_labels(["b", "a", "c"])
    assert labels.label2id == {"a": 0, "b": 1, "c": 2}
    assert labels.id2label == {0: "a", 1: "b", 2: "c"}
    assert len(labels) == 3
    ids = labels.encode(["c", "a", "a"])
    assert ids.dtype == np.int64
    assert ids.tolist() == [2, 0, 0]
    assert labels.decode(ids) == ["c", "a", "a"]


def test_unknown_labels_are_named_with_the_known():
    with pytest.raises(DataError, match=r"unknown labels 'x', 'y'; the classes are 'a', 'b'"):
        LabelSet(("a", "b")).encode(["a", "y", "x"])


def test_two_classes_are_needed():
    with pytest.raises(DataError, match="only 'joy'"):
        LabelSet.from_labels(["joy", "joy"])
    with pytest.raises(DataError, match="found none"):
        LabelSet.from_labels([])


def test_names_must_differ():
    with pytest.raises(DataError, match="must differ"):
        LabelSet(("a", "a"))
