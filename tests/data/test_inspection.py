import json

import pytest

from emoclass.data.cleaning.cleaning import clean
from emoclass.data.inspection.inspection import inspect
from tests.data.conftest import read_table


def table(counts, start=0):
    rows = [f"text {label} {i},{label}\n" for label, n in counts.items() for i in range(start, start + n)]
    return "text,label\n" + "".join(rows)


def codes(inspection, severity=None):
    return [finding.code for finding in inspection.findings if severity in (None, finding.severity)]


def test_clean_data_has_no_findings(cleaned):
    inspection = inspect({"all": cleaned(table({"joy": 12, "sad": 18}))})
    part = inspection.parts[0]
    assert inspection.findings == ()
    assert not inspection.needs_decision
    assert (part.rows, part.kept_rows) == (30, 30)
    assert [(entry.name, entry.count, entry.share) for entry in part.classes] == [("sad", 18, 0.6), ("joy", 12, 0.4)]
    assert part.imbalance_ratio == 1.5


def test_lengths_are_described_in_characters_words_and_tokens(cleaned):
    rows = "".join(f"{'w ' * i}w,{'ab'[i % 2]}\n" for i in range(100))
    data = cleaned("text,label\n" + rows)
    inspection = inspect(
        {"all": data}, token_counter=lambda texts: ([10 * len(t.split()) for t in texts], [1] * len(texts))
    )
    part = inspection.parts[0]
    assert (part.words.min, part.words.p50, part.words.p95, part.words.p99, part.words.max) == (1, 50, 95, 99, 100)
    assert part.words.mean == 50.5
    assert part.characters.max == 199
    assert part.tokens.max == 1000
    assert (part.tokens.limit, part.tokens.over_limit, part.tokens.share_over_limit) == (510, 49, 0.49)
    assert part.tokens.dropped == sum(10 * words - 510 for words in range(52, 101))
    assert part.tokens.unknown == 100
    assert sum(part.words.histogram) == 100
    assert set(codes(inspection)) == {"long_texts", "near_duplicates", "near_conflicts"}


def test_without_a_token_counter_there_are_no_tokens(cleaned):
    assert inspect({"all": cleaned(table({"a": 10, "b": 10}))}).parts[0].tokens is None


@pytest.mark.parametrize(
    ("content", "code", "severity", "said"),
    [
        (
            table({"joy": 10, "sad": 10}) + "oh,joy\noh,sad\n",
            "conflicting_labels",
            "decide",
            "row 21 (line 22) 'joy', row 22 (line 23) 'sad'",
        ),
        (
            table({"joy": 10, "sad": 9}),
            "small_class",
            "decide",
            "'sad' (9) below 10 rows, 'sad' is first in row 11 (line 12): ",
        ),
        (table({"joy": 200, "sad": 20}), "imbalance", "decide", "10 times"),
        (table({"joy": 10, "Joy": 10, "sad": 10}), "similar_labels", "decide", "'Joy', 'joy'"),
        (
            table({"so sad": 10, "sosad": 10}),
            "similar_labels",
            "decide",
            "differ only by case, whitespace, punctuation or accents",
        ),
        (table({"1": 10, "1.0": 10, "2": 10}), "similar_labels", "decide", "'1', '1.0' are the same number"),
        (table({"True": 10, "TRUE": 10, "False": 10}), "similar_labels", "decide", "'TRUE', 'True' differ only by"),
        (table({"2": 10, "\uff12": 10, "3": 10}), "similar_labels", "decide", "are the same number"),
        (
            table({"joy": 250, "sad": 250, "joy; sad": 3}),
            "several_labels",
            "decide",
            "0.6% of the rows have several labels separated by ';', the first 'joy; sad' in row 501 (line 502): ",
        ),
        (table({"0.5": 10, "1": 10, "0": 10}), "scores", "decide", "the first '0.5' in row 1 (line 2): each is"),
        (table({"joy": 10, "sad": 10}) + "text,label\n", "repeated_headers", "info", "1 row repeats the header"),
        (table({"joy": 10, "sad": 10}) + "x,[]\n", "empty_rows", "decide", "(1 empty label list)"),
        (table({"joy": 10}), "single_class", "decide", "all rows are 'joy'"),
        (table({"joy": 10, "sad": 10}) + " ,joy\nx,\n", "empty_rows", "decide", "1 blank text, 1 blank label"),
        (table({"joy": 10, "sad": 10}) + "text joy 0,joy\n", "duplicates", "info", "1 row repeats"),
    ],
)
def test_each_problem_is_a_finding(cleaned, content, code, severity, said):
    inspection = inspect({"all": cleaned(content)})
    # Texts that contain their class are nearly the same where the classes are.
    (finding,) = (each for each in inspection.findings if each.code not in ("near_duplicates", "near_conflicts"))
    assert (finding.code, finding.severity, finding.part) == (code, severity, "all")
    assert said in finding.message
    assert inspection.needs_decision == (severity == "decide")


PLANTED = {
    "placeholder": ["[ No response.]", "N/A", "...", "-", "null"],
    "damaged_encoding": ["il est allÃ© au cafÃ© ce matin", "a broken \ufffd letter here", "donâ€™t you dare say it"],
    "html": ["a <b>bold</b> claim about it", "fish &amp; chips for dinner"],
    "urls": ["look at https://example.org/x now", "www.example.org was down"],
    "mentions": ["thanks @someone for all of it"],
    "emoji": ["so happy today \U0001f600 really"],
}


@pytest.mark.parametrize("name", PLANTED)
def test_traits_that_a_model_cannot_read_are_found(cleaned, name):
    rows = "".join(f'"{text}",joy\n' for text in PLANTED[name])
    data = cleaned(table({"joy": 20, "sad": 25}) + "in all honesty none of it was nothing,joy\nnaïve café,joy\n" + rows)
    traits = {trait.name: trait.rows for trait in inspect({"all": data}).parts[0].traits}
    assert traits == {name: len(PLANTED[name])}


def test_numbers_are_similar_labels_only_if_they_are_equal(cleaned):
    assert inspect({"all": cleaned(table({"-1": 10, "1": 10, "10": 10, "0": 10}))}).findings == ()


def test_all_classes_with_a_row_or_two_are_named_up_to_a_limit(cleaned):
    inspection = inspect({"all": cleaned(table({"joy": 30, "sad": 30, "odd": 1, "end": 2, "few": 9}))})
    message = next(f.message for f in inspection.findings if f.code == "small_class")
    assert "'odd' is only in row 61 (line 62); 'end' is only in row 62 (line 63), row 63 (line 64): " in message
    inspection = inspect({"all": cleaned(table({"joy": 20, "sad": 20, **{f"odd{'x' * n}": 1 for n in range(12)}}))})
    message = next(f.message for f in inspection.findings if f.code == "small_class")
    assert message.count(" is only in row ") == 10
    assert "; and 2 more: add rows" in message


def test_near_duplicates_and_their_conflicts_are_found(cleaned):
    rows = [
        "my neighbour shouted at me all morning long,anger",
        "my neighbor shouted at me all morning long,anger",
        "My neighbour  shouted at me all morning long,anger",
        "we walked home through the rain laughing loudly,joy",
        "we walked home through rain the laughing loudly,sad",
        "i feel so sad,sad",
        "i feel so bad,sad",
    ]
    data = cleaned(table({"joy": 20, "sad": 25, "anger": 20}) + "\n".join(rows) + "\n")
    inspection = inspect({"all": data})
    found = inspection.parts[0].duplicates
    assert (found.folded, found.near, found.near_conflicts) == (1, 2, 1)
    assert found.near_conflict_examples[0].labels == ("joy", "sad")
    assert codes(inspection, "decide") == ["near_conflicts"]


def test_labels_that_differ_are_found_between_texts_that_differ_by_case(cleaned):
    rows = "I feel so sad,joy\ni feel so sad,sad\n"
    inspection = inspect({"all": cleaned(table({"joy": 20, "sad": 25}) + rows)})
    assert codes(inspection, "decide") == ["near_conflicts"]
    assert inspection.parts[0].duplicates.near_examples == ()


def test_the_first_rows_of_a_near_conflict_have_different_labels(cleaned):
    text = "my neighbour shouted at me all morning long{},{}\n"
    rows = "".join(text.format("!" * n, "sad" if n == 7 else "joy") for n in range(9))
    inspection = inspect({"all": cleaned(table({"joy": 20, "sad": 25}) + rows)})
    (example,) = inspection.parts[0].duplicates.near_conflict_examples
    assert (example.labels[:2], example.rows[:2], example.size) == (("joy", "sad"), (46, 53), 9)
    assert "row 46 (line 47) 'joy', row 53 (line 54) 'sad'" in next(
        f.message for f in inspection.findings if f.code == "near_conflicts"
    )


def test_near_duplicates_between_splits_are_leaks(write):
    def part(content, name):
        read = read_table(write(content, name))
        return clean(read, read.choose_columns())

    train = table({"joy": 20, "sad": 20}) + "my neighbour shouted at me all morning long,joy\n"
    test = table({"joy": 10, "sad": 10}, start=100) + "my neighbor shouted at me all morning long,joy\n"
    (leak,) = inspect({"train": part(train, "train.csv"), "test": part(test, "test.csv")}).leaks
    assert (leak.rows, leak.near) == (0, 1)
    assert leak.examples == (
        ("my neighbor shouted at me all morning long", "my neighbour shouted at me all morning long"),
    )


def test_texts_in_more_than_one_split_are_leaks(write):
    def part(content, name):
        read = read_table(write(content, name))
        return clean(read, read.choose_columns())

    train = table({"joy": 20, "sad": 20})
    test = table({"joy": 10, "sad": 10}, start=100) + "TEXT  joy 3,joy\ntext sad 4,sad\n"
    inspection = inspect({"train": part(train, "train.csv"), "test": part(test, "test.csv")})
    assert [(leak.part, leak.other, leak.rows) for leak in inspection.leaks] == [("test", "train", 2)]
    assert codes(inspection, "decide") == ["leakage"]
    assert inspection.findings[0].part == "test"


def test_classes_missing_from_train_are_found(write):
    parts = {}
    for name, counts in {"train": {"joy": 10, "sad": 10}, "test": {"joy": 10, "fear": 10}}.items():
        read = read_table(write(table(counts, start=len(name)), f"{name}.csv"))
        parts[name] = clean(read, read.choose_columns())
    finding = next(finding for finding in inspect(parts).findings if finding.code == "unseen_class")
    assert finding.part == "test"
    assert "'fear'" in finding.message


def test_tables_without_train_are_compared_with_the_first(write):
    parts = {}
    for name, counts in {"old.csv": {"joy": 10, "sad": 10}, "new.csv": {"joy": 30, "fear": 10}}.items():
        read = read_table(write(table(counts, start=len(parts) * 50), name))
        parts[name] = clean(read, read.choose_columns())
    found = {finding.code: finding for finding in inspect(parts).findings}
    assert {found["unseen_class"].part, found["class_shares"].part} == {"new.csv"}
    assert "'fear' appear here but not in old.csv" in found["unseen_class"].message
    assert "of old.csv's" in found["class_shares"].message


def test_the_dictionary_is_plain_json_in_snake_case(cleaned):
    data = cleaned(table({"joy": 10, "sad": 10}) + "oh,joy\noh,sad\n")
    inspection = inspect({"all": data}, token_counter=lambda texts: ([len(text) for text in texts], [0] * len(texts)))
    described = json.loads(json.dumps(inspection.to_dict()))
    assert set(described) == {"parts", "leaks", "findings", "needs_decision"}
    part = described["parts"][0]
    assert part["part"] == "all"
    assert part["classes"][0] == {"name": "joy", "count": 11, "share": 0.5, "first_row": 1, "first_line": 2}
    assert part["conflict_examples"] == [{"text": "oh", "labels": ["joy", "sad"], "rows": [21, 22], "lines": [22, 23]}]
    assert part["tokens"]["share_over_limit"] == 0.0
    assert part["removed"]["duplicate"] == 0


TWO_LINES = '"a\nb",joy\n\n'


def test_rows_are_named_with_the_lines_where_they_start(cleaned):
    rows = TWO_LINES + table({"joy": 20, "sad": 20}).removeprefix("text,label\n") + "oh,joy\noh,sad\nN/A,envy\n"
    inspection = inspect({"all": cleaned("text,label\n" + rows)})
    messages = {finding.code: finding.message for finding in inspection.findings}
    assert "row 42 (line 45) 'joy', row 43 (line 46) 'sad'" in messages["conflicting_labels"]
    assert "'envy' is only in row 44 (line 47):" in messages["small_class"]
    assert "'N/A' in row 44 (line 47)" in messages["placeholder"]


def test_rows_of_parquet_have_no_lines(cleaned, write, tmp_path):
    content = "text,label\n" + table({"joy": 20, "sad": 20}).removeprefix("text,label\n") + "oh,joy\noh,sad\nx,envy\n"
    read_table(write(content)).frame.to_parquet(tmp_path / "data.parquet")
    read = read_table("data.parquet")
    inspection = inspect({"all": clean(read, read.choose_columns())})
    messages = {finding.code: finding.message for finding in inspection.findings}
    assert "row 41 'joy', row 42 'sad'" in messages["conflicting_labels"]
    assert "'envy' is only in row 43:" in messages["small_class"]
    (part,) = inspection.to_dict()["parts"]
    assert (part["conflict_examples"][0]["lines"], part["classes"][-1]["first_line"]) == ((), None)
