import pytest

from emoclass.data.columns.choosing import Wanted, choose_columns
from emoclass.data.options import DataOptions
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


def test_a_first_line_of_data_is_detected(choose_error):
    message = choose_error("i feel so good,joy\nthis is bad,sad\nhow nice of you,joy\n")
    assert "first line seems to be data" in message
    assert "text,label" in message


def test_a_first_line_of_one_word_is_detected(choose_error):
    message = choose_error("Wow!,joy\nSo nice of you to come,joy\nI hate this thing,anger\nme too,joy\n")
    assert "first line seems to be data" in message


def test_a_label_column_may_be_named_like_a_label(choose):
    lines = "answer,sarcasm\noh how nice of you,sarcasm\nit is raining again,none\nso great today,sarcasm\nwell,none\n"
    assert choose(lines).label == "sarcasm"


def test_a_first_line_of_data_is_detected_without_labels(choose_text, error_of):
    lines = "i am so happy today,joy\nthis is really sad news,sadness\nso glad to be here,joy\nall is lost,sadness\n"
    assert "first line seems to be data" in error_of(choose_text, lines)
    assert "'joy'" in error_of(choose_text, "7," + lines.replace("\n", "\n8,", 3))


def test_a_first_line_of_data_is_detected_in_a_stream(error_of):
    sample = {"i am so happy today": ["what a day", "what a night"], "joy": ["sad", "joy"]}
    message = error_of(choose_columns, "x.csv", list(sample), sample.__getitem__, Wanted(labels="none"))
    assert "first line seems to be data" in message


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
