import decimal

import numpy as np
import pandas as pd
import pytest

from emoclass.data.cleaning.cleaning import Conflict, clean
from emoclass.data.columns.cells import cell_label, cell_text
from emoclass.data.columns.chosen import Columns
from emoclass.data.tables.table import Table
from tests.data.conftest import read_table


def test_texts_are_unchanged_and_labels_stripped(cleaned):
    data = cleaned("text,label\n  Ein  Text! ,  joy \nb,sad\n")
    assert data.texts == ["  Ein  Text! ", "b"]
    assert data.labels == ["joy", "sad"]


def test_every_removed_row_has_its_reason(cleaned):
    lines = [
        '{"text": "a", "label": "joy"}',
        '{"text": null, "label": "joy"}',
        '{"text": " \\t", "label": "joy"}',
        '{"text": "b", "label": null}',
        '{"text": "c", "label": " "}',
        '{"text": "a", "label": " joy"}',
        '{"label": "joy"}',
        '{"text": "d", "label": "sad"}',
    ]
    data = cleaned("\n".join(lines), "data.jsonl")
    assert data.rows.tolist() == [1, 8]
    assert data.total_rows == 8
    assert data.removed == {
        "null_text": (2, 7),
        "blank_text": (3,),
        "null_label": (4,),
        "blank_label": (5,),
        "duplicate": (6,),
    }
    assert sum(data.removed_counts.values()) + len(data) == data.total_rows


def test_texts_that_differ_at_all_are_not_duplicates(cleaned):
    assert len(cleaned("text,label\na,joy\nA,joy\na ,joy\n a,joy\n")) == 4


def test_conflicts_are_kept_and_reported_with_their_rows(cleaned):
    data = cleaned("text,label\na,joy\nb,sad\na,sad\na,joy\na,fear\na,sad\n")
    assert data.conflicts == (Conflict("a", ("joy", "sad", "fear"), (1, 3, 5), (2, 4, 6)),)
    assert data.rows.tolist() == [1, 2, 3, 5]
    assert data.removed == {"duplicate": (4, 6)}


def test_names_of_missing_values_are_texts_and_labels(cleaned):
    data = cleaned("text,label\nNA,None\nnull,nan\nnan,NULL\n")
    assert data.texts == ["NA", "null", "nan"]
    assert data.labels == ["None", "nan", "NULL"]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("joy", "joy"),
        (3, "3"),
        (3.0, "3"),
        ("3.0", "3"),
        ("3", "3"),
        (-0.0, "0"),
        (np.float32(2), "2"),
        (np.int64(2), "2"),
        (1.5, "1.5"),
        (True, "True"),
        (np.True_, "True"),
        ("True", "True"),
        (1e20, "100000000000000000000"),
        (float("inf"), "inf"),
        (decimal.Decimal("1.00"), "1"),
        (b"joy", "joy"),
        ("  ", ""),
        (None, None),
        (float("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (decimal.Decimal("NaN"), None),
    ],
)
def test_labels_are_the_same_from_any_format(value, label):
    assert cell_label(value) == label


def test_integer_labels_that_became_floats_are_the_same_classes(cleaned):
    assert cleaned("text,label\na,1.0\nb,0.0\n").labels == ["1", "0"]
    assert cleaned('{"text": "a", "label": 1.0}\n{"text": "b", "label": 0}\n', "d.jsonl").labels == ["1", "0"]


def test_texts_of_other_types_become_strings():
    assert cell_text(12) == "12"
    assert cell_text(1.0) == "1.0"
    assert cell_text("1.0") == "1.0"
    assert cell_text("café".encode()) == "café"


def test_a_table_without_remaining_rows_says_why(error_of, write):
    table = read_table(write("text,label\n ,joy\nb,\nc,\n"))
    message = error_of(clean, table, Columns(("text",), "label"))
    assert "1 blank text" in message
    assert "2 blank label" in message
    assert "'text'" in message


def test_binary_cells_are_rejected_with_their_row(error_of):
    frame = pd.DataFrame({"text": ["a", b"\xff\xd8"], "label": ["joy", "sad"]}, dtype=object)
    message = error_of(clean, Table("x.parquet", frame, np.zeros(2, np.int64), "parquet"), Columns(("text",), "label"))
    assert message.startswith("x.parquet: row 2: column 'text': a value is binary")
