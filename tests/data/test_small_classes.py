"""Classes of few rows are left out or merged, with a word, and the model knows it."""

from collections import Counter

import pytest

from emoclass.data.cleaning.small_classes import SmallClasses
from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.labels import each_name
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.errors import ConfigError

COUNTS = {"joy": 30, "fear": 20, "envy": 2, "awe": 1}


def table(counts=COUNTS):
    rows = [f"{name} sentence {n} of its own kind,{name}\n" for name, count in counts.items() for n in range(count)]
    return "text,label\n" + "".join(rows)


def prepared(path, fewest, merged_into=None, **options):
    reading = DataOptions(min_class_rows=fewest, merge_into=merged_into, **options)
    return prepare_training_data(path, options=reading, seed=0)


def test_they_are_left_out_and_counted(write):
    data = prepared(write(table()), 3)
    assert data.labels.names == ("fear", "joy")
    assert data.removed_rows["small_class"] == 3
    assert "data.csv: 2 classes with fewer than 3 rows left out (3 rows): 'awe', 'envy'" in data.notes


def test_they_become_one_class(write):
    data = prepared(write(table()), 3, "other")
    assert data.labels.names == ("fear", "joy", "other")
    rows = Counter(each_name([*data.train.labels, *data.val.labels, *data.test.labels]))
    assert rows == {"joy": 30, "fear": 20, "other": 3}
    assert data.removed_rows["small_class"] == 0


def test_the_training_set_decides_for_all_sets(write):
    train, test = write(table(), "train.csv"), write(table({"joy": 4, "fear": 4, "envy": 4}), "test.csv")
    data = prepare_training_data(train, test=test, options=DataOptions(min_class_rows=3), seed=0)
    assert Counter(data.test.labels) == {"joy": 4, "fear": 4}
    assert data.test.removed_counts["small_class"] == 4


def test_rows_of_several_labels_lose_only_the_small_ones(write):
    rows = [f"a sentence number {n},{'joy;fear' if n % 3 else 'joy'}\n" for n in range(40)]
    rows += ["a rare one,joy;envy\n", "another one,envy\n", "fears alone,fear\n"]
    data = prepared(write("text,label\n" + "".join(rows)), 5)
    assert data.labels.names == ("fear", "joy")
    labels = {text: label for part in (data.train, data.val, data.test) for text, label in zip(part.texts, part.labels)}  # noqa: B905
    assert labels["a rare one"] == ("joy",)
    assert "another one" not in labels


def test_columns_remember_what_classes_became():
    columns = Columns(("text",), ("label",), becomes=(("envy", "other"), ("awe", "")))
    again = Columns.from_dict(columns.to_dict())
    assert again.becomes == columns.becomes
    assert (again.renamed("envy"), again.renamed("awe"), again.renamed("joy")) == ("other", "", "joy")
    assert again.renamed(("awe", "envy", "joy")) == ("joy", "other")
    with pytest.raises(ValueError, match="no names"):
        Columns.from_dict({"text": "text", "label": "label", "becomes": {"envy": 3}})


def test_a_class_to_merge_into_needs_a_number():
    for options in ({"merged_into": "other"}, {"fewest": -1}, {"fewest": 3, "merged_into": " "}):
        with pytest.raises(ConfigError):
            SmallClasses(**options)
