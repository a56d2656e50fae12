"""What the estimator of scikit-learn takes for labels, and what it refuses."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from emoclass.sklearn_labels import read_targets

FLAGS = pd.DataFrame({"joy": [1, 0, 1], "fear": [0, 0, 1]})
NAMED = [["joy"], [], ["joy", "fear"]]
NUMBERED = [["0"], [], ["0", "1"]]
LABELS = ["joy", "fear", "joy"]


@pytest.mark.parametrize("dtype", [int, float, bool, object, "Int64", "boolean", "Float64"])
def test_a_table_of_flags_of_any_kind_is_a_matrix(dtype: Any) -> None:
    read = read_targets(FLAGS.astype(dtype))
    assert (read.is_multi, read.classes.tolist(), read.names) == (True, ["joy", "fear"], NAMED)


@pytest.mark.parametrize(
    "y",
    [
        FLAGS.to_numpy(),
        FLAGS.to_numpy().tolist(),
        [tuple(row) for row in FLAGS.to_numpy()],
        list(FLAGS.to_numpy()),
        pd.Series(FLAGS.to_numpy().tolist()),
        np.ma.array(FLAGS.to_numpy(), mask=False),
        scipy.sparse.csr_matrix(FLAGS.to_numpy()),
    ],
)
def test_lists_and_arrays_of_flags_are_a_matrix(y: Any) -> None:
    read = read_targets(y)
    assert (read.is_multi, read.classes.tolist(), read.names) == (True, [0, 1], NUMBERED)


@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        iter(LABELS),
        np.array(LABELS),
        np.array([LABELS]).T,
        pd.Series(LABELS, dtype="string"),
        pd.Series(LABELS, dtype="category"),
        pd.DataFrame({"label": LABELS}),
        pa.array(LABELS),
        pa.chunked_array([LABELS]),
    ],
)
def test_one_label_a_text_may_be_in_any_column(y: Any) -> None:
    read = read_targets(y)
    assert (read.is_multi, read.classes.tolist(), read.names) == (False, ["fear", "joy"], LABELS)


def test_numbers_keep_their_type() -> None:
    assert read_targets(np.array([3, 1], dtype=np.int16)).classes.dtype == np.int16
    assert read_targets(pd.Series([3, 1], dtype="Int64")).classes.tolist() == [1, 3]


NAN, MATRIX, SEVERAL = float("nan"), "pass 0 and 1 in each column$", r"MultiLabelBinarizer\(\)"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([[-1, 1], [1, -1]]), MATRIX),
        (np.array([[1, 2], [2, 1]]), MATRIX),
        (np.array([[0.5, 0], [0, 1]]), MATRIX),
        (np.array([["0", "1"], ["1", "0"]]), MATRIX),
        (np.array([["joy", "fear"], ["joy", "fear"]]), MATRIX),
        (np.zeros((2, 2, 2)), MATRIX),
        (["joy", NAN, "fear"], r"missing labels, the first in y\[1\]: "),
        (["joy", "fear", None], r"missing labels, the first in y\[2\]: "),
        (["joy", ""], r"missing labels, the first in y\[1\]: "),
        ([pd.NA, "joy"], r"missing labels, the first in y\[0\]: "),
        (pd.Series(["joy", None], dtype="string"), r"missing labels, the first in y\[1\]: "),
        (pa.array(["joy", None]), r"missing labels, the first in y\[1\]: "),
        (np.ma.array(LABELS, mask=[0, 1, 0]), r"missing labels, the first in y\[1\]: "),
        (np.ma.array([[0, 1], [1, 0]], mask=[[0, 0], [0, 1]]), r"missing labels, the first in y\[1\]: "),
        (FLAGS.astype("Int64").where(FLAGS.joy == 1), r"missing labels, the first in y\[1\]: "),
        ([["joy", "fear"], ["joy"]], SEVERAL),
        ([["joy"], ["fear"]], SEVERAL),
        ([[0, 1], [0]], SEVERAL),
        ([{"joy"}, frozenset({"fear", "joy"})], SEVERAL),
        (pd.Series([["joy"], ["fear", "joy"]]), SEVERAL),
        (np.array([["joy"], ["fear", "joy"]], dtype=object), SEVERAL),
        (pd.DataFrame([[0, 1], [1, 0]], columns=["joy", "joy"]), "several columns 'joy': rename or drop one"),
        (pd.DataFrame([[0, 1], [1, 0]], columns=[1, "1"]), "several columns '1': rename or drop one"),
        (pd.DataFrame([[0, 1], [1, 0]], columns=["joy", ""]), "a column without a name: rename it"),
        (pd.DataFrame([[0, 1], [1, 0]], columns=["joy", " "]), "the label ' ' would be read as ''"),
        ([1, "joy"], "mixes strings and other labels"),
        (None, "^y is None: pass a label for each text"),
    ],
)
def test_labels_that_would_disappear_or_change_are_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_targets(y)


@pytest.mark.parametrize("y", ["joy", {"joy": 1}, 3, np.array("joy")])
def test_what_holds_no_labels_is_refused(y: Any) -> None:
    with pytest.raises(TypeError, match="^y is of the type .*: pass a list with a label for each text"):
        read_targets(y)
