import csv
import io
import itertools
from dataclasses import replace

import pytest

from emoclass.data.columns.choosing import Wanted, choose_columns
from emoclass.data.columns.chosen import Columns
from emoclass.data.options import DataOptions
from emoclass.errors import ConfigError
from tests.data.conftest import read_table


@pytest.fixture
def choose(write):
    def choose(content, name="data.csv", **options):
        return DataOptions(**options).choose_columns(read_table(write(content, name)))

    return choose


@pytest.fixture
def choose_error(write, error_of):
    def choose_error(content, name="data.csv", **options):
        return error_of(DataOptions(**options).choose_columns, read_table(write(content, name)))

    return choose_error


@pytest.fixture
def choose_text(write):
    """Choose columns as ``predict`` does, which needs no labels."""

    def choose_text(content, name="data.csv"):
        frame = read_table(write(content, name)).frame
        return choose_columns(name, list(frame.columns), lambda column: frame[column].tolist(), Wanted(labels="none"))

    return choose_text


PEOPLE = "id,author,said,feels\n" + "".join(
    f"{i},ann_{i},today I feel like number {i},{'joy' if i % 2 else 'sadness'}\n" for i in range(30)
)


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("text,label", "text", "label"),
        ("label,text", "text", "label"),
        ("Emotion, Sentence ", " Sentence ", "Emotion"),
        ("id,Tweet,CLASS", "Tweet", "CLASS"),
        ("emotion,text,label", "text", "label"),
        ("content,text,emotions", "text", "emotions"),
        ("_text_,lab el", "_text_", "lab el"),
    ],
)
def test_known_names_are_found_in_their_order_of_priority(choose, header, text, label):
    columns = choose(header + "\n" + ",".join("abc"[: header.count(",") + 1]) + "\n")
    assert (columns.text, columns.label, columns.notes) == (text, label, ())


def test_explicit_names_win_over_known_names(choose):
    columns = choose("text,label,title,mood\na,b,c,d\n", text_column="title", label_column="mood")
    assert (columns.text, columns.label) == ("title", "mood")


def test_explicit_names_match_without_case_whitespace_and_underscores(choose):
    columns = choose("Text , MOOD\na,b\n", text_column="text", label_column="Mood ")
    assert (columns.text, columns.label) == ("Text ", " MOOD")
    assert choose("A,a,label\nx,y,z\n", text_column="a").text == "a"
    assert choose("user text,a_b,AB\nx,y,z\n", text_column="User_Text", label_column="a_b").text == "user text"


def test_a_missing_name_lists_the_columns_and_the_closest(choose_error):
    message = choose_error("sentence,emotion\na,b\n", label_column="emotoin")
    assert "no column 'emotoin'" in message
    assert "'sentence', 'emotion'" in message
    assert "did you mean 'emotion'?" in message


def test_two_columns_of_the_same_name_are_ambiguous(choose_error):
    message = choose_error("Text,text ,label\na,b,c\n")
    assert "'Text', 'text '" in message
    assert "--text-column" in message
    assert "'Text', 'TEXT'" in choose_error("Text,TEXT,label\na,b,c\n", text_column="text")


def test_one_column_cannot_be_both(choose_error):
    message = choose_error("text,label\na,b\n", text_column="text", label_column="TEXT")
    assert "two different columns" in message


def test_an_explicit_label_column_is_never_the_text(choose):
    columns = choose("text,said\njoy,I am happy today\nsad,I am not so happy\n", label_column="Text")
    assert (columns.text, columns.label) == ("said", "text")


def test_content_distinguishes_text_and_label_with_a_note_on_overriding(choose):
    columns = choose(PEOPLE)
    assert (columns.text, columns.label) == ("said", "feels")
    assert "'said'" in columns.notes[0]
    assert "--text-column" in columns.notes[0]
    assert "'feels'" in columns.notes[1]
    assert "--label-column" in columns.notes[1]


def test_content_distinguishes_them_in_a_file_sorted_by_label(choose):
    rows = "".join(f"{label},today I feel {label} {i}\n" for label in ("joy", "fear") for i in range(6000))
    columns = choose("a,b\n" + rows)
    assert (columns.text, columns.label) == ("b", "a")


@pytest.mark.parametrize("rows", ["good day to you,joy\nwhat a pity,sad\n", "hooray,1\noh,0\n", "yes,y\nno,n\n"])
def test_two_columns_are_text_and_label_in_this_order(choose, rows):
    columns = choose("a,b\n" + rows)
    assert (columns.text, columns.label) == ("a", "b")


def test_only_the_missing_one_is_chosen_by_content(choose):
    columns = choose("text,feels\nwhat a day,joy\nwhat a night,joy\n")
    assert (columns.text, columns.label) == ("text", "feels")
    assert len(columns.notes) == 1


def test_numbers_are_not_texts(choose_error):
    message = choose_error("a,b\n1,2\n3,4\n")
    assert "no column looks like text" in message
    assert "'a': '1'" in message
    assert "--text-column" in message


def test_several_likely_labels_are_listed_with_examples(choose_error):
    rows = "".join(f"what a day it was {i},{i % 2},{i % 3}\n" for i in range(40))
    message = choose_error("said,joy,fear\n" + rows)
    assert "'joy', 'fear' could all hold the labels" in message
    assert "'joy': '0', 'fear': '0'" in message


def test_several_likely_texts_are_listed(choose_error):
    rows = "".join(f"the title is {i},the story is {i},{'ab'[i % 2]}\n" for i in range(40))
    assert "'title', 'story' could all hold the texts" in choose_error("title,story,feels\n" + rows)


def test_a_table_without_labels_has_a_text_column_only(choose_text, choose_error):
    assert "add a label column" in choose_error("text\na\n")
    columns = choose_text("text\na\n")
    assert (columns.text, columns.label) == ("text", "")


def test_a_label_column_may_be_named_like_a_label(choose):
    lines = "answer,sarcasm\noh how nice of you,sarcasm\nit is raining again,none\nso great today,sarcasm\nwell,none\n"
    assert choose(lines).label == "sarcasm"


def test_a_first_line_that_is_said_to_be_a_header_is_one(write):
    lines = "i am so happy today,joy\nwhat a day it is,sad\nwhat a night it was,joy\n"
    options = DataOptions(header=True)
    chosen = options.choose_columns(options.read(write(lines, "data.csv")))
    assert (chosen.text, chosen.label) == ("i am so happy today", "joy")


@pytest.mark.parametrize("header", ["what they said,joy", "said,how", "what they said,id"])
def test_column_names_are_not_data_without_labels(choose_text, header):
    lines = f"{header}\n" + "what a good day it was,0\nwhat a bad day it was,1\n" * 5
    assert choose_text(lines).text == header.split(",")[0]


def test_a_question_as_column_name_is_not_data(choose):
    assert choose("how do you feel,mood\nso good,joy\nso bad,sad\n").text == "how do you feel"


def test_json_keys_are_never_data(choose):
    lines = '{"i feel so": "so very good", "joy": "joy"}\n{"i feel so": "no so good", "joy": "sad"}\n'
    assert choose(lines, "data.jsonl").label == "joy"


def test_columns_may_have_nulls_and_numbers(choose):
    lines = '{"x": null, "said": "what a day", "n": 1}\n{"x": null, "said": null, "n": 1.5}\n'
    columns = choose(lines, "data.jsonl", label_column="n")
    assert (columns.text, columns.label) == ("said", "n")


def test_a_stream_chooses_from_names_and_a_sample():
    sample = {"id": ["1", "2"], "said": ["what a day", "what a night"]}
    columns = choose_columns("standard input", list(sample), sample.__getitem__, Wanted(labels="none"))
    assert columns.text == "said"


def table_of(**columns):
    """Return a table as CSV: each column is a list of cells, or a format of the row number."""
    rows = len(next(cells for cells in columns.values() if isinstance(cells, list)))
    cells = [c if isinstance(c, list) else [c.format(n=n) for n in range(rows)] for c in columns.values()]
    return csv_of([list(columns), *map(list, zip(*cells, strict=True))])


def csv_of(rows):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


SAID = [f"what a {'good' if n % 2 else 'bad'} day number {n} was" for n in range(40)]
FEELS = ["joy" if n % 2 else "sadness" for n in range(40)]
NEITHER = {
    "code": "a{n:03d}f",
    "who": "user{n}",
    "turn": "hit:{n}_conv:{n}",
    "key": "6ba7b810-9dad-11d1-80b4-00c04fd4{n:04x}",
    "count": "{n}",
    "seconds": "15483{n:02d}013.0",
    "milliseconds": "15483{n:02d}013000",
    "day": "2024-01-{n:02d}",
    "at": "{n:02d}:30",
    "when": "Mon Apr 06 22:19:{n:02d} PDT 2009",
    "posted": "April {n}, 2009 at 10:15 am",
    "written": "{n:02d}/03/2019 10:15",
    "link": "https://example.org/{n}",
    "mail": "ann{n}@example.org",
    "file": "audio/part one/{n}.wav".replace(" ", "-"),
    "path": "/home/ann/{n}",
    "language": "english",
    "source": "a survey of last year",
    "nothing": "",
}


@pytest.mark.parametrize("column", NEITHER)
def test_what_is_neither_text_nor_label_is_not_a_candidate(choose, choose_error, column):
    cells = NEITHER[column]
    columns = choose(table_of(**{column: cells, "said": SAID, "feels": FEELS}))
    assert (columns.texts, columns.label) == (("said",), "feels")
    assert "no column looks like text" in choose_error(table_of(**{column: cells, "n": ["1", "2"] * 20}))
    assert "no column looks like labels" in choose_error(table_of(said=SAID, **{column: cells}))


def test_ids_that_repeat_are_not_labels(choose):
    who = [f"user{n % 7}" for n in range(40)]
    thread = [f"t3_{n % 25}f" for n in range(40)] + ["t3_1f", "t3_2f"] * 10
    text, feels = [*SAID, *SAID[:20]], [*FEELS, *FEELS[:20]]
    columns = choose(table_of(by=who + who[:20], thread=thread, said=text, feels=feels))
    assert (columns.text, columns.label) == ("said", "feels")
    assert choose(table_of(said=SAID, turn=[str(n // 2) for n in range(40)], feels=FEELS)).label == "feels"


@pytest.mark.parametrize("name", ["id", "ID", "user_id", "rater id", "raterId", "index", "Unnamed: 0", ""])
def test_columns_named_like_ids_are_never_chosen_by_content(choose, choose_error, name):
    groups = [f"the long name of group {n % 3}" for n in range(40)]
    columns = choose(table_of(**{name: groups, "said": SAID, "feels": FEELS}))
    assert (columns.text, columns.label) == ("said", "feels")
    assert "no column looks like labels" in choose_error(table_of(**{name: ["a", "b"] * 20, "said": SAID}))
    if name:
        assert choose(table_of(**{name: FEELS, "said": SAID}), label_column=name).label == name


def test_names_that_only_end_like_ids_are_ordinary(choose):
    assert choose(table_of(said=SAID, valid=["yes", "no"] * 20)).label == "valid"


def test_numbers_and_numbered_names_can_be_labels(choose):
    for labels in (["0", "1"] * 20, ["1.0", "2.0"] * 20, ["class_1", "class_2"] * 20, sorted("1234" * 10)):
        assert choose(table_of(said=SAID, how=labels)).label == "how"


def test_words_can_be_texts(choose):
    words = ["".join(pair) for pair in itertools.product("abcdefg", "hijklm")][:40]
    assert choose(table_of(said=words, feels=FEELS)).text == "said"


def test_two_likely_labels_beside_ids_are_asked_for(choose_error):
    message = choose_error(
        table_of(conv_id="hit:{n}", utterance_idx=["1", "2"] * 20, context=FEELS, prompt=SAID, utterance=SAID, tags="")
    )
    assert "'utterance_idx', 'context' could all hold the labels" in message
    assert "'context': 'sadness'" in message
    assert "conv_id" not in message


def test_errors_stay_short_however_many_columns_there_are(choose_error):
    names = [f"a rather long name of a column, the one with number {n}, of many" for n in range(60)]
    texts = [[f"{'some words ' * 30}{n} {k}" for n in range(60)] for k in range(30)]
    many = csv_of([names, *([*row, *("joy", "fear") * 15] for row in zip(*texts, strict=True))])
    for options in ({}, {"text_column": names[0]}, {"text_column": "x" * 500}, {"label_column": "no"}):
        message = choose_error(many, **options)
        assert len(message) < 700, message
    assert "(60 in all)" in choose_error(many, label_column="no")


def test_lists_and_objects_are_no_texts(choose, choose_error, cleaned, error_of):
    lines = "".join(f'{{"words": ["so", "very", "good {n}"], "said": "oh so good {n}", "n": 1}}\n' for n in range(3))
    assert choose(lines, "data.jsonl", label_column="n").text == "said"
    lines = '{"text": "fine", "label": "joy"}\n{"text": ["so", "good"], "label": "joy"}\n'
    message = error_of(cleaned, lines, "data.jsonl")
    assert message.startswith("data.jsonl: row 2 (line 2): column 'text' holds a list")
    assert '["so", "good"]' in message
    assert "--text-column" in message
    assert "an object" in error_of(cleaned, '{"text": {"de": "gut"}, "label": "x"}\n', "data.jsonl")


def test_several_text_columns_are_joined_in_the_given_order(cleaned):
    rows = "title,body,mood\nNews,it rains,sad\n,no title,sad\nno body, ,joy\n,,joy\n"
    data = cleaned(rows, text_column=("Title", "body"))
    assert data.columns.texts == ("title", "body")
    assert data.texts == ["News it rains", "no title", "no body"]
    assert data.removed_counts["blank_text"] == 1
    assert cleaned(rows, text_column=["body", "title"], text_separator=" | ").texts[0] == "it rains | News"


def test_a_row_without_any_text_is_null_if_all_cells_are(cleaned):
    lines = '{"a": "x", "b": "y", "label": 1}\n{"a": null, "label": 1}\n{"a": "", "b": null, "label": 0}\n'
    data = cleaned(lines, "data.jsonl", text_column=["a", "b"])
    assert (data.removed["null_text"], data.removed["blank_text"]) == ((2,), (3,))


def test_joined_columns_must_differ_and_a_separator_needs_several(choose_error, error_of, choose):
    assert "'a' is given twice" in choose_error("a,b,label\nx,y,z\n", text_column=["a", "A"])
    assert "as text and as label" in choose_error("a,b\nx,y\n", text_column=["a", "b"], label_column="b")
    message = error_of(choose, "a,label\nx,y\n", text_column="a", text_separator="; ", kind=ConfigError)
    assert "--text-column once for each" in message


def test_names_that_a_model_was_trained_with_come_before_known_names():
    trained = Wanted(trained=Columns(("said",), ("feels",)), labels="none")
    sample = {"text": ["an ordinary text"], "Said": ["another text"], "feels": ["joy"]}
    assert choose_columns("x", list(sample), sample.__getitem__, trained).text == "Said"
    both = replace(trained, trained=Columns(("said", "text"), ("feels",), " / "), labels="required")
    columns = choose_columns("x", list(sample), sample.__getitem__, both)
    assert (columns.texts, columns.label, columns.separator) == (("Said", "text"), "feels", " / ")
    columns = choose_columns("x", ["text", "label"], sample.__getitem__, both)
    assert (columns.texts, columns.label) == (("text",), "label")
    assert "lacks 'said'" in columns.notes[0]
