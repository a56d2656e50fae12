"""A column of numbers beside one that names them: the names are the classes."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoclass.data.cleaning.cleaning import clean
from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.columns.choosing import Wanted, choose_columns
from emoclass.data.columns.class_names import note_of
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data

NAMES = {"0": "sadness", "1": "joy", "2": "love"}


def rows(count, **columns):
    """Return rows with a text, a label of numbers and further columns, functions of the row's number."""
    return [
        {"text": f"text {n} has words", "label": n % 3, **{name: make(n) for name, make in columns.items()}}
        for n in range(count)
    ]


def named(n):
    return NAMES[str(n % 3)]


@pytest.fixture
def chosen(write):
    """Write rows as JSON lines and CSV, and return the label column and the notes, for table and stream the same."""

    def chosen(table_rows, **given):
        lines = "".join(json.dumps(row) + "\n" for row in table_rows)
        header = ",".join(table_rows[0])
        csv = "".join(",".join("" if v is None else str(v) for v in row.values()) + "\n" for row in table_rows)
        found = []
        for path in (write(lines, "data.jsonl"), write(f"{header}\n{csv}", "data.csv")):
            options = DataOptions(**given)
            table = options.read(path)
            columns = options.choose_columns(table)
            with LabelledReader(path, options) as reader:
                streamed = [label for block in reader.blocks() for label in block.labels]
                assert tuple(reader.notes) == columns.notes
            assert streamed == clean(table, columns).labels
            notes = [
                note.split(": ", 1)[1].replace("data.jsonl", "data").replace("data.csv", "data")
                for note in columns.notes
            ]
            found.append((columns.label, notes))
        assert found[0] == found[1]
        return found[0]

    return chosen


@pytest.mark.parametrize("name", ["label_text", "label_name", "emotion", "what"])
def test_the_column_that_names_the_numbers_is_the_label(chosen, name):
    label, notes = chosen(rows(30, **{name: named}))
    assert label == name
    assert notes == [
        f"column '{name}' names the classes of 'label' and is taken as the label;"
        " --label-column label takes the numbers"
    ]


def test_an_explicit_label_column_is_obeyed(chosen):
    assert chosen(rows(30, label_text=named), label_column="label") == ("label", [])


def test_rows_without_a_label_lack_both(chosen):
    table_rows = rows(30, label_text=named)
    table_rows[3].update(label=None, label_text=None)
    assert chosen(table_rows)[0] == "label_text"


@pytest.mark.parametrize(
    "columns",
    [
        {"source": lambda n: "abcd"[n % 4]},  # not one to one
        {"source": lambda n: "web" if n % 3 else "app"},  # two numbers have one name
        {"source": lambda n: "web"},
        {"code": lambda n: n % 3 + 10},  # numbers as well
        {"about": lambda n: f"a longer description of the class {named(n)}"},
        {"name": lambda n: named(n) if n % 3 else None},  # a class without a name would be lost
        {"label_text": named, "label_name": lambda n: named(n).upper()},  # which of them?
    ],
)
def test_other_columns_change_nothing(chosen, columns):
    assert chosen(rows(30, **columns)) == ("label", [])


def test_labels_that_are_words_stay(chosen):
    table_rows = [{**row, "label": named(n), "short": named(n)[0]} for n, row in enumerate(rows(30))]
    assert chosen(table_rows) == ("label", [])


def test_names_of_single_rows_are_no_classes(chosen):
    table_rows = [{**row, "label": n, "user": f"user{'x' * n}"} for n, row in enumerate(rows(12))]
    assert chosen(table_rows) == ("label", [])


def test_a_table_of_two_columns_is_not_sampled():
    def sample(column):
        raise AssertionError(column)

    assert choose_columns("data.csv", ["text", "label"], sample, Wanted(task="single")).label == "label"


def test_ids_without_a_name_in_a_whole_part_are_an_error_not_hidden_labels(tmp_path, error_of):
    metadata = {
        b"huggingface": json.dumps(
            {"info": {"features": {"label": {"names": ["joy", "sad", "anger"], "_type": "ClassLabel"}}}}
        ).encode()
    }
    for name, ids in (("train", [0, 1, 2] * 8), ("test", [3] * 6)):
        table = pa.table({"text": [f"some text {n} of {name}" for n in range(len(ids))], "label": ids})
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / f"{name}.parquet")
    message = error_of(prepare_training_data, tmp_path, options=DataOptions(), seed=1)
    assert "test.parquet: row 1: class id 3 has no name" in message


def test_names_that_a_few_rows_contradict_are_said(chosen):
    label, notes = chosen(rows(30, label_text=lambda n: named(n) if n != 4 else "love"))
    assert label == "label"
    (note,) = notes
    assert "'label_text' names them except that 1 is 'love' where it usually is 'joy'" in note
    assert "--label-column" in note


def test_classes_of_one_name_in_the_metadata_are_said():
    assert note_of(["joy", "sad", "joy"]).endswith("; classes of the same name are learned as one: 'joy'")
    assert "learned as one" not in note_of(["joy", "sad"])


def test_rejected_rows_of_an_annotation_tool_are_said(chosen):
    answers = ["accept", "reject", "accept", "ignore"]
    table_rows = [{**row, "label": named(n), "answer": answers[n % 4]} for n, row in enumerate(rows(30))]
    label, notes = chosen(table_rows)
    assert label == "label"
    assert "also 'ignore', 'reject'" in notes[0]
    assert "select(.answer" in notes[0]
    accepted = [{**row, "answer": "accept"} for row in table_rows]
    assert chosen(accepted) == ("label", [])
    others = [{**row, "answer": "maybe" if n else "reject"} for n, row in enumerate(table_rows)]
    assert chosen(others) == ("label", [])
