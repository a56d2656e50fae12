"""Any number of labels a text: how they are recognized, read, cleaned and split."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from emoclass.data.cleaning.label_checks import require_classes
from emoclass.data.columns.labels import LabelSet, each_name
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.data.split.splitting import largest_deviation, split_indices
from emoclass.errors import ConfigError

NAMES = ("anger", "fear", "joy", "love")
# Every fifth text has two labels, and every tenth none.
LABELS = [() if n % 10 == 9 else tuple(sorted({NAMES[n % 4], NAMES[n % 3]})) for n in range(60)]
TEXTS = [
    f"sentence number {n} about {'nothing' if not label else ' and '.join(label)}" for n, label in enumerate(LABELS)
]


def csv_of(separator=",", labels=LABELS):
    rows = [f'{text},"{separator.join(label)}"\n' for text, label in zip(TEXTS, labels, strict=True)]
    return "text,labels\n" + "".join(rows)


def flags_of(labels=LABELS, cells=("0", "1")):
    rows = [[text, *(cells[name in label] for name in NAMES)] for text, label in zip(TEXTS, labels, strict=True)]
    return "\n".join(",".join(row) for row in [["text", *NAMES], *rows])


def lines_of(labels=LABELS):
    return "".join(
        json.dumps({"text": text, "labels": label}) + "\n" for text, label in zip(TEXTS, labels, strict=True)
    )


@pytest.mark.parametrize("separator", [",", ";", "|", " | ", "/", "+", "、", ";#"])
def test_a_separator_is_found_in_the_cells(cleaned, separator):
    data = cleaned(csv_of(separator))
    assert data.labels == LABELS
    assert data.columns.task == "multi"
    assert "rows have several labels separated by" in data.notes[0]
    assert data.notes[0].endswith("read as any number of labels a text; --task single expects one")
    assert data.notes[1] == "data.csv: 6 rows have no label: kept, as texts to which no label applies"


@pytest.mark.parametrize("content", [lines_of(), flags_of(), csv_of(), flags_of(cells=("", "x"))])
def test_all_notations_are_read_alike(cleaned, content):
    name = "data.jsonl" if content.startswith("{") else "data.csv"
    assert cleaned(content, name).labels == LABELS


def test_lists_as_text_are_lists(cleaned):
    rows = [f'{text},"{list(label)}"\n' for text, label in zip(TEXTS, LABELS, strict=True)]
    assert cleaned("text,labels\n" + "".join(rows)).labels == LABELS


def test_lists_of_one_label_are_read_as_that_label(cleaned):
    one = [label[:1] or ("joy",) for label in LABELS]
    data = cleaned(lines_of(one), "data.jsonl")
    assert (data.columns.task, data.labels) == ("single", [label for (label,) in one])


def test_one_flag_in_each_row_is_one_label(cleaned):
    one = [label[:1] or ("joy",) for label in LABELS]
    data = cleaned(flags_of(one))
    assert (data.columns.task, data.labels) == ("single", [label for (label,) in one])
    assert "one in each row" in data.notes[0]
    assert cleaned(flags_of(one), task="multi").labels == one


def test_the_task_can_be_named(cleaned, error_of):
    message = error_of(require_classes, cleaned(csv_of(), task="single"))
    assert "one label per text is learned: learn any number of them with --task multi" in message
    once = csv_of(labels=[label[:1] for label in LABELS])
    assert cleaned(once).columns.task == "single"
    assert cleaned(once, task="multi").labels == [label[:1] for label in LABELS]


def test_a_few_cells_with_several_labels_are_not_enough(cleaned, error_of):
    rows = [f"text {n},{'joy,fear'[: 3 + 5 * (n == 7)]!r}".replace("'", '"') for n in range(300)]
    data = cleaned("text,label\n" + "\n".join([*rows, "more,fear"]))
    assert data.columns.task == "single"
    assert "--task multi" in error_of(require_classes, data)


def test_a_name_with_spaces_is_divided_only_where_that_is_asked_for(cleaned):
    content = csv_of(" ")
    assert cleaned(content).columns.task == "single"
    assert cleaned(content, label_separator=" ").labels == LABELS


def test_columns_can_be_named_one_by_one_or_by_a_pattern(cleaned, error_of):
    content = flags_of().replace("anger", "is_anger", 1).replace("fear", "is_fear", 1)
    data = cleaned(content, label_column=("joy", "love"))
    assert data.labels[:3] == [tuple(name for name in label if name in ("joy", "love")) for label in LABELS[:3]]
    data = cleaned(content, label_column="is_*")
    assert data.columns.labels == ("is_anger", "is_fear")
    assert "no column 'was_*'" in error_of(cleaned, content, label_column="was_*")
    assert "given twice as label" in error_of(cleaned, content, label_column=("joy", "j*"))


def test_a_cell_that_is_no_flag_is_named(cleaned, error_of):
    content = flags_of().replace(",0,0\n", ",0,2\n", 1)
    row = next(n for n, label in enumerate(LABELS, start=1) if not {"joy", "love"} & {*label})
    message = error_of(cleaned, content, label_column=NAMES)
    assert message == f"data.csv: row {row} (line {row + 1}): column 'love' holds '2', not 0 or 1: correct the cell"


def test_a_separator_makes_no_sense_beside_flags_or_a_single_label(cleaned, error_of):
    for options in ({"task": "single"}, {"label_column": NAMES}):
        content = flags_of() if "label_column" in options else csv_of()
        assert "leave it out" in error_of(cleaned, content, label_separator=",", kind=ConfigError, **options)


def test_vectors_are_no_names(cleaned, error_of):
    rows = [f'{text},"{[int(name in label) for name in NAMES]}"\n' for text, label in zip(TEXTS, LABELS, strict=True)]
    content = "text,labels\n" + "".join(rows)
    assert "lists of 4 numbers" in error_of(require_classes, cleaned(content))
    assert "lists of 4 numbers" in error_of(cleaned, content, task="multi")


def test_repetitions_and_order_make_no_difference(cleaned):
    lines = [
        ("a b", "joy,fear"),
        ("a b", "fear, joy"),
        ("a b", "joy,joy,fear"),
        ("a b", "joy"),
        *zip(TEXTS, map(",".join, LABELS), strict=True),
    ]
    data = cleaned("text,labels\n" + "".join(f'{text},"{label}"\n' for text, label in lines))
    assert data.labels[:2] == [("fear", "joy"), ("joy",)]
    assert data.removed == {"duplicate": (2, 3)}
    (conflict,) = data.conflicts
    assert conflict.labels == (("fear", "joy"), ("joy",))


def test_label_sets_are_encoded_as_rows_of_flags():
    labels = LabelSet.from_labels([("joy",), (), ("fear", "joy")], task="multi")
    assert labels.names == ("fear", "joy")
    assert labels.encode([("joy",), (), ("fear", "joy")]).tolist() == [[False, True], [False, False], [True, True]]


def rows_like_goemotions(rows=3000, names=12, seed=0):
    rng = np.random.default_rng(seed)
    shares = 0.5 ** np.arange(names) + 0.01
    return [tuple(f"c{n:02}" for n in np.flatnonzero(rng.random(names) < shares * 0.6)) for _ in range(rows)]


def test_a_split_has_the_same_share_of_every_label_and_of_pairs_of_labels():
    labels = rows_like_goemotions()
    texts = [f"text number {n}" for n in range(len(labels))]
    groups = np.arange(len(labels))
    groups[1:300:3] = groups[0:300:3]  # pairs of rows that belong together
    splits = split_indices(texts, labels, seed=1, groups=groups)
    assert sorted(np.concatenate(list(splits.values()))) == list(range(len(labels)))
    assert [len(rows) for rows in splits.values()] == pytest.approx([2400, 300, 300], abs=6)
    assert largest_deviation(labels, splits, (80, 10, 10))[0] < 0.03
    for rows in splits.values():
        chosen = {int(groups[row]) for row in rows}
        assert not chosen & {int(groups[row]) for other in splits.values() if other is not rows for row in other}
    pairs = Counter(pair for label in labels for pair in combinations(label, 2))
    in_test = Counter(pair for row in splits["test"] for pair in combinations(labels[row], 2))
    frequent = [pair for pair, count in pairs.items() if count >= 40]
    assert len(frequent) > 5
    assert all(abs(in_test[pair] / pairs[pair] - 0.1) < 0.05 for pair in frequent)


def test_a_split_of_label_sets_does_not_depend_on_the_order_of_rows():
    labels = rows_like_goemotions(400, 5)
    texts = [f"text number {n}" for n in range(len(labels))]
    first = {texts[row] for row in split_indices(texts, labels, seed=3)["test"]}
    again = split_indices(texts[::-1], labels[::-1], seed=3)["test"]
    assert {texts[::-1][row] for row in again} == first


def test_every_part_of_the_training_data_has_every_label(write):
    data = prepare_training_data(write(csv_of()), options=DataOptions(), seed=0)
    assert data.labels == LabelSet(NAMES, "multi")
    for part in (data.train, data.val, data.test):
        assert set(each_name(part.labels)) == set(NAMES)


@pytest.mark.parametrize(
    ("first", "second"), [(csv_of("; "), csv_of("|")), (csv_of(), lines_of()), (lines_of(), csv_of())]
)
def test_sets_may_be_written_in_different_notations(write, first, second):
    names = [
        f"{part}.{'jsonl' if content.startswith('{') else 'csv'}"
        for part, content in zip("tv", (first, second), strict=True)
    ]
    train, val = (write(content, name) for content, name in zip((first, second), names, strict=True))
    data = prepare_training_data(train, val=val, options=DataOptions(), seed=0)
    assert data.val.labels == data.train.labels == LABELS
