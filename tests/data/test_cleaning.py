import decimal
import json

import numpy as np
import pandas as pd
import pytest

from emoclass.data.cleaning.cleaning import Conflict, clean
from emoclass.data.columns.cells import cell_label, cell_text, labels_in
from emoclass.data.columns.choosing import Wanted
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
        ("3.0", "3.0"),
        ("007", "007"),
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
    assert cleaned('{"text": "a", "label": 1.0}\n{"text": "b", "label": 0}\n', "d.jsonl").labels == ["1", "0"]


def test_class_names_in_text_formats_are_what_the_cells_say(cleaned):
    names = ["1", "1.0", "007", "True", "true", "None", "NA", "nan", "null", "1e3", "[red]", "{x}", "[/]"]
    assert cleaned("text,label\n" + "".join(f"t{n},{name}\n" for n, name in enumerate(names))).labels == names


LISTS_OF_ONE = [
    '["joy"]',
    "['joy']",
    "[ 'joy', ]",
    '{"choices": ["joy"]}',
    '[{"label": "joy"}]',
    '{"label": "joy"}',
    "{'label': 'joy', 'score': 0.9}",
    "[np.str_('joy')]",
    '["joy", null]',
    "('joy',)",
    "{'joy'}",
    '["joy", "joy"]',
    "c('joy')",
    '{"joy": 1, "sad": 0}',
    "{'joy': True, 'sad': False}",
    "joy|joy",
    "joy, joy",
    "joy;joy;joy",
]
EMPTY_LISTS = ["[]", "[ ]", '{"choices": []}', '[""]', "[None]", "[nan]", "{}", '{"joy": 0, "sad": 0}']


@pytest.mark.parametrize("cell", LISTS_OF_ONE)
def test_a_list_of_one_label_is_that_label(cell):
    assert cell_label(f" {cell} ") == "joy"


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("[2]", "2"),
        ("[2.0]", "2"),
        ("[True]", "True"),
        ('["it\'s"]', "it's"),
        ("['it\\'s']", "it's"),
        ('["1.0"]', "1.0"),
    ],
)
def test_a_list_of_one_number_or_name_is_spelled_like_the_cell_without_it(cell, label):
    assert cell_label(cell) == label


@pytest.mark.parametrize("cell", EMPTY_LISTS)
def test_an_empty_list_is_no_label(cell):
    assert cell_label(cell) == ""


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ('["joy", "sad"]', ["joy", "sad"]),
        ("['joy' 'sad']", ["joy", "sad"]),
        ("[2 7]", ["2", "7"]),
        ("[0, 0]", ["0", "0"]),
        ("('joy', 'sad')", ["joy", "sad"]),
        ("{'joy', 'sad'}", ["joy", "sad"]),
        ("[np.int64(2), np.int64(7)]", ["2", "7"]),
        ('{"choices": ["joy", "sad"]}', ["joy", "sad"]),
        ('[{"label": "joy"}, {"label": "sad"}]', ["joy", "sad"]),
        ("c('joy', 'sad')", ["joy", "sad"]),
        ('{"joy": 1, "fear": 0, "sad": 1}', ["joy", "sad"]),
    ],
)
def test_a_list_of_several_labels_stays_as_it_is_and_its_labels_are_known(cell, labels):
    assert cell_label(cell) == cell
    assert labels_in(cell) == labels


@pytest.mark.parametrize(
    "cell",
    [
        "[joy]",
        "(joy)",
        "(1)",
        "{x}",
        "(joy, sad)",
        "[joy, sad]",
        "[",
        "{",
        "[]]",
        '{"ImportId": "Q"}',
        '[["joy"]]',
        "[" * 99,
        "c(joy)",
        "so-so",
        "1|1",
        '{"joy": 0.9, "sad": 0.1}',
        "['a': 1]",
        "{1: 2}",
    ],
)
def test_a_text_that_is_no_list_of_labels_is_a_name(cell):
    assert (cell_label(cell), labels_in(cell)) == (cell, [])


def test_lists_of_json_lines_are_read_like_those_in_text(cleaned):
    cells = [["joy"], [2.0], {"choices": ["joy"]}, [], {"choices": []}, [None], ["joy", "sad"], "['joy']"]
    lines = [json.dumps({"text": f"t{n}", "label": cell}) + "\n" for n, cell in enumerate(cells)]
    data = cleaned("".join(lines), "d.jsonl", task="single")
    assert data.labels == ["joy", "2", "joy", '["joy", "sad"]', "joy"]
    assert data.removed == {"empty_label_list": (4, 5, 6)}
    assert data.notes == ("d.jsonl: 4 labels are lists of one, such as [\"joy\"] in row 1 (line 1): read as 'joy'",)


def test_lists_of_parquet_are_read_like_those_in_text(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b", "c", "d"], "label": [["joy"], [], None, ["joy", "sad"]]})
    frame.to_parquet(tmp_path / "d.parquet")
    table = read_table(tmp_path / "d.parquet")
    data = clean(table, table.choose_columns(Wanted(task="single")))
    assert data.labels == ["joy", '["joy", "sad"]']
    assert data.removed == {"null_label": (3,), "empty_label_list": (2,)}


@pytest.mark.parametrize("cell", [{"id": 3}, [["joy"]], {"label": "joy", "start": 1}, {"label": "a", "labels": ["b"]}])
def test_an_object_that_is_no_label_is_shown_with_its_row(cleaned, error_of, cell):
    lines = [{"text": "a", "label": "joy"}, {"text": "b", "label": cell}]
    message = error_of(cleaned, "".join(json.dumps(line) + "\n" for line in lines), "d.jsonl")
    assert message.startswith(f"d.jsonl: row 2 (line 2): the label is {json.dumps(cell)}: ")


def test_rows_that_repeat_the_header_are_removed_and_named(cleaned):
    data = cleaned('Text ,Label\na,joy\nText ,Label\n"b\nb",sad\n text,LABEL\nText,joy\n\ufefftext,label\n')
    assert data.labels == ["joy", "sad", "joy"]
    assert data.removed == {"repeated_header": (2, 4, 6)}
    places = "row 2 (line 3), row 4 (line 6), row 6 (line 8)"
    assert data.notes == (f"data.csv: {places} repeat the header: removed",)


def test_texts_of_other_types_become_strings():
    assert cell_text(12) == "12"
    assert cell_text(1.0) == "1.0"
    assert cell_text("1.0") == "1.0"
    assert cell_text("café".encode()) == "café"


def test_a_table_without_remaining_rows_says_why(error_of, write):
    table = read_table(write("text,label\n ,joy\nb,\nc,\n"))
    message = error_of(clean, table, Columns(("text",), ("label",)))
    assert "1 blank text" in message
    assert "2 blank label" in message
    assert "'text'" in message


def test_binary_cells_are_rejected_with_their_row(error_of):
    frame = pd.DataFrame({"text": ["a", b"\xff\xd8"], "label": ["joy", "sad"]}, dtype=object)
    message = error_of(
        clean, Table("x.parquet", frame, np.zeros(2, np.int64), "parquet"), Columns(("text",), ("label",))
    )
    assert message.startswith("x.parquet: row 2: column 'text': a value is binary")


def test_a_header_in_another_order_is_an_error_that_names_its_row(write, error_of):
    part = "".join(f"some words {n},joy\n" for n in range(6))
    other = "".join(f"fear,other words {n}\n" for n in range(6))
    table = read_table(write(f"text,label\n{part}label,text\n{other}"))
    message = error_of(clean, table, table.choose_columns())
    assert "row 7 (line 8) repeats the header in another order" in message
