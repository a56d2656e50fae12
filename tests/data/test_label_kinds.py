"""Labels that are no classes: several in a cell, scores, counts, objects, and labels spread over columns."""

import json
from collections import Counter

import pandas as pd
import pytest

from emoclass.data.cleaning.label_checks import rare_classes, require_classes
from emoclass.data.columns.label_kinds import unusual_kind
from emoclass.data.columns.labels import LabelSet, meant
from emoclass.data.columns.spread import find_spread

CLASSES = {"joy": 40, "anger": 40, "fear": 30}
IDS = {"2": 40, "3": 30, "7": 20, "10": 20}


def kind_of(counts):
    kind = unusual_kind(counts)
    return None if kind is None else kind.code


@pytest.mark.parametrize(
    "cell",
    ["joy,anger", "joy|anger", "joy#anger", "joy;anger", "joy / anger", "Joy, Anger, fear", "joy & anger", "joy+anger",
     "joy and anger", "joy\nanger", '["joy", "anger"]', "['joy' 'anger']", '{"choices": ["joy", "pride"]}'],
)  # fmt: skip
def test_cells_of_several_names_are_recognized(cell):
    assert unusual_kind({**CLASSES, cell: 2}).names.keys() == {cell}
    assert kind_of({**CLASSES, cell: 2}) == "several_labels"


@pytest.mark.parametrize("cell", ["2,7", "2, 7", "2|7", "2 7", "2#7", "[2, 7]", "[2 7]", "10,2,3", "2;99"])
def test_cells_of_several_ids_are_recognized(cell):
    assert kind_of({**IDS, cell: 2}) == "several_labels"


@pytest.mark.parametrize(
    "names",
    [
        ["happy, but tired", "happy", "sad, and cold", "calm"],
        ["New York, NY", "Boston, MA", "Albany, NY"],
        ["very sad", "sad", "very happy", "happy"],
        ["n/a", "a/b testing", "yes"],
        ["C++", "C#", "C"],
        ["3/5", "4/5", "1/5"],
        ["joy,", "sad", "fear"],
        ["-1", "0", "1"],
        ["1", "2", "3", "4", "5"],
        [str(n) for n in range(28)],
        ["1.0", "2.0"],
        ["2024-01-02", "2024-01-03"],
    ],
)
def test_names_with_punctuation_and_ratings_are_classes(names):
    assert kind_of(dict.fromkeys(names, 12)) is None


@pytest.mark.parametrize(
    ("names", "rows", "code", "fatal"),
    [
        (["0.354", "0.12", "0.9", "1"], 1, "scores", True),
        (["0,354", "0,12", "0,7"], 1, "scores", True),
        (["1", "1,5", "2", "2,5", "3", "3,5", "5"], 12, "scores", False),
        (["0", "0.5", "1"], 12, "scores", False),
        ([f"{n / 100}" for n in range(100)], 30, "scores", True),
        ([str(n) for n in range(1000, 1100)], 1, "many_numbers", True),
        (["[0, 0, 1]", "[1, 0, 0]"], 12, "vectors", True),
        (["0,0,1,0", "1,0,0,0"], 12, "vectors", True),
        (["[0.1, 0.2, 0.7]", "[0.3, 0.3, 0.4]"], 12, "vectors", True),
        (['{"valence": 1}', '{"valence": 2}'], 12, "objects", True),
    ],
)
def test_numbers_and_objects_are_no_classes(names, rows, code, fatal):
    kind = unusual_kind(dict.fromkeys(names, rows))
    assert (kind.code, kind.fatal) == (code, fatal)


def rows_of(counts):
    return "text,label\n" + "".join(f'text {n},"{label}"\n' for n, label in enumerate(Counter(counts).elements()))


def test_several_labels_are_an_error_with_row_share_and_remedy(cleaned, error_of):
    message = error_of(require_classes, cleaned(rows_of({"2": 500, "3": 500, "2,3": 5})))
    assert message.startswith("data.csv: row 1001 (line 1002) has the labels '2', '3'; 0.5% of the rows have several")
    assert "learn any number of them with --task multi, or choose one for each" in message
    assert message.endswith(
        "emoclass inspect-data data.csv --text-column text --label-column label --task single --fix one-label.csv"
    )
    everywhere = cleaned(rows_of({"[2, 3]": 10, "[3, 4]": 10}), task="single")
    everywhere = error_of(require_classes, everywhere)
    assert everywhere.endswith("choose one for each")


def test_scores_are_an_error_or_at_least_a_note(cleaned, error_of):
    scores = rows_of({f"0.{n}": 1 for n in range(100, 130)})
    assert "the first '0.100' in row 1 (line 2): scores on a scale" in error_of(require_classes, cleaned(scores))
    (note,) = require_classes(cleaned(rows_of({"0": 10, "0.5": 10, "1": 10})))
    assert note.startswith(
        "data.csv: 33.3% of the rows have numbers with fractions as labels, the first '0.5' in row 11"
    )
    assert require_classes(cleaned(rows_of({"1": 10, "2": 10}))) == ()


def test_long_cells_are_cut_in_messages(cleaned, error_of):
    objects = {json.dumps({"note": "long " * 200, "number": n}): 1 for n in range(5)}
    content = "".join(json.dumps({"text": f"t{n}", "label": cell}) + "\n" for n, cell in enumerate(objects))
    assert len(error_of(require_classes, cleaned(content, "d.jsonl"))) < 400


def test_rare_classes_are_those_with_one_or_two_rows_where_others_have_more(cleaned):
    data = cleaned(rows_of({"joy": 5, "odd": 1, "end": 2}))
    assert [(each.name, each.rows, each.lines) for each in rare_classes(data)] == [
        ("odd", (6,), (7,)),
        ("end", (7, 8), (8, 9)),
    ]
    assert rare_classes(cleaned(rows_of({"joy": 2, "odd": 1}))) == ()


@pytest.mark.parametrize(
    ("unknown", "names", "question"),
    [
        ("1.0", ("1", "2"), " (is '1.0' the class '1'?)"),
        ("1", ("1.0", "2.0"), " (is '1' the class '1.0'?)"),
        ("true", ("True", "False"), " (is 'true' the class 'True'?)"),
        ("\uff11", ("1", "2"), " (is '\uff11' (\\uff11) the class '1'?)"),
        ("10", ("1.0", "2"), ""),
        ("x", ("true", "True", "1"), ""),
        ("TRUE", ("true", "True"), ""),
    ],
)
def test_an_unknown_label_is_asked_about_if_it_looks_like_one_class(unknown, names, question):
    assert meant([unknown], names) == question


def test_the_error_for_unknown_labels_asks_which_class_is_meant(error_of):
    message = error_of(LabelSet(("1", "2")).encode, ["1", "1.0", "x"])
    assert message.startswith("unknown labels '1.0', 'x'; the classes are '1', '2' (is '1.0' the class '1'?): ")


EMOTIONS = ("joy", "anger", "fear", "sadness", "pride", "calm")


def spread(one, *, cells=("0", "1"), **others):
    """Write a table with a column for each emotion; ``one`` returns the emotions of a row by its number."""
    rows = []
    for n in range(40):
        flags = [cells[emotion in one(n)] for emotion in EMOTIONS]
        rows.append([f"a sentence of some words {n}", *(column[n] for column in others.values()), *flags])
    return pd.DataFrame(rows, columns=["text", *others, *EMOTIONS]).to_csv(index=False)


def test_columns_of_zeros_and_ones_are_labels_of_which_rows_have_any_number(cleaned):
    one = lambda n: [EMOTIONS[n % 6], *["calm"] * (n % 3 == 0)] if n % 5 else []  # noqa: E731
    others = {"forum": ["cats", "dogs"] * 20, "rater": [1, 2, 3, 4] * 10, "unclear": [True, False] * 20}
    data = cleaned(spread(one, **others))
    assert data.columns.labels == EMOTIONS
    assert data.labels[:4] == [(), ("anger",), ("fear",), ("calm", "sadness")]
    assert data.notes[0] == (
        "data.csv: 6 columns of 0 and 1 ('joy', 'anger', 'fear', 'sadness', …) taken as the labels, any number in a"
        " row; --label-column names others"
    )
    assert set(cleaned(spread(one, **others), label_column="joy").labels) == {"0", "1"}


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (("0", "1"), "0 and 1"),
        (("False", "True"), "true and false"),
        (("No", "Yes"), "yes and no"),
        (("0.0", "1.0"), "0 and 1"),
        (("", "1"), "0 and 1"),
    ],
)
def test_one_column_for_each_class_is_recognized_however_it_is_written(cleaned, cells, what):
    data = cleaned(spread(lambda n: [EMOTIONS[n % 6]], cells=cells))
    assert f"6 columns of {what}" in data.notes[0]
    assert data.labels[:7] == [*EMOTIONS, "joy"]
    data = cleaned(spread(lambda n: [EMOTIONS[n % 6]], cells=cells), task="multi")
    assert data.labels[:2] == [("joy",), ("anger",)]


def test_one_column_for_each_class_is_recognized_if_most_rows_have_none(cleaned):
    data = cleaned(spread(lambda n: EMOTIONS[:1] if n == 20 else []))
    assert "6 columns of 0 and 1" in data.notes[0]
    assert [n for n, label in enumerate(data.labels) if label] == [20]


def test_columns_of_scores_are_recognized(cleaned, error_of):
    for others in ({}, {"forum": ["cats", "dogs"] * 20}):
        message = error_of(cleaned, spread(lambda n: [EMOTIONS[n % 6]], cells=("0.017", "0.915"), **others))
        assert "6 columns of scores" in message


def test_flags_beside_a_column_of_classes_do_not_hide_it(cleaned):
    one = lambda n: EMOTIONS[: n % 7]  # noqa: E731
    data = cleaned(spread(one, label=["good", "bad"] * 20))
    assert data.columns.label == "label"


@pytest.mark.parametrize(
    "cell",
    ["{joy,sad}", "[joy, sad]", "(joy,sad)", "joy;sad;", "joy;#sad", "joy::sad", "joy sad", "joy-sad", "joy_sad",
     "joy:0.9;sad:0.1", "joy=1, sad=2"],
)  # fmt: skip
def test_several_labels_are_recognized_in_the_notations_of_programs(cell):
    kind = unusual_kind({"joy": 20, "sad": 20, "anger": 20, cell: 3})
    assert kind is not None
    assert kind.code == "several_labels"
    assert kind.names[cell] == ("joy", "sad")


@pytest.mark.parametrize("name", ["no emotion", "joy of life", "self-hate", "very_sad", "joy (mild)", "New York, NY"])
def test_names_of_several_words_are_classes(name):
    assert unusual_kind({"joy": 20, "sad": 20, "anger": 20, name: 3}) is None


@pytest.mark.parametrize(
    ("cells", "what"), [(("x", "", ""), "marks"), (("80%", "15%", "5 %"), "percentages"), (("✓", "", ""), "marks")]
)
def test_marks_and_percentages_side_by_side_are_labels_spread_over_columns(cells, what):
    columns = ["joy", "sadness", "anger"]
    table = {name: [cells[(row + number) % 3] for row in range(30)] for number, name in enumerate(columns)}
    spread = find_spread(columns, table.__getitem__)
    assert spread is not None
    assert f"3 columns of {what}" in spread.fact
    assert spread.is_flags == (what == "marks")
