import json

import pytest

from tests.data.conftest import open_records, read_table


def test_values_keep_their_types(write):
    name = write('{"text": "a", "label": 1, "ok": true, "x": null, "tags": ["é", {"k": 2}]}\n', "data.jsonl")
    table = read_table(name)
    assert table.frame.iloc[0].tolist() == ["a", 1, True, None, ["é", {"k": 2}]]


def test_blank_lines_are_skipped_and_lines_counted(write):
    with open_records(write('\n{"text": "a"}\n \r\n{"text": "b"}\n', "data.ndjson")) as reader:
        assert [(record.number, record.line, record.values) for record in reader] == [
            (1, 2, ["a"]),
            (2, 4, ["b"]),
        ]


def test_missing_and_new_keys_are_null_in_other_objects(write):
    lines = [{"text": "a", "label": "x"}] * 300 + [{"text": "b"}] * 300 + [{"label": "y", "id": 7, "text": "c"}]
    name = write("".join(json.dumps(line) + "\n" for line in lines), "data.jsonl")
    frame = read_table(name).frame
    assert frame.columns.tolist() == ["text", "label", "id"]
    assert frame.iloc[0].tolist() == ["a", "x", None]
    assert frame.iloc[300].tolist() == ["b", None, None]
    assert frame.iloc[600].tolist() == ["c", "y", 7]


def test_a_stream_shows_new_keys_when_they_come(write):
    with open_records(write('{"a": 1}\n{"b": 2}\n', "data.jsonl")) as reader:
        seen = [dict(zip(reader.columns, record.values, strict=True)) for record in reader]
    assert seen == [{"a": 1}, {"a": None, "b": 2}]


def test_nan_is_null(write):
    assert read_table(write('{"text": "a", "x": NaN}\n', "d.jsonl")).frame["x"].tolist() == [None]


def test_line_separators_of_unicode_do_not_end_a_line(write):
    assert read_table(write('{"text": "a\u2028b\x85c"}\n', "d.jsonl")).frame["text"].tolist() == ["a\u2028b\x85c"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"text": "a"}\n{"text": \n', "line 2 is not valid JSON"),
        ('{"text": "a"}\n\n[1, 2]\n', "line 3 is not a JSON object"),
        ('{"text": "a"}\n"b"\n', "line 2 is not a JSON object"),
        ('{"text": "\\ud800"}\n', "line 1 holds half of a surrogate pair"),
        ('{"text": ["\\ud800"]}\n', "line 1 holds half of a surrogate pair"),
        ('{"text": ' + "9" * 5000 + "}\n", "line 1 holds a number that is too long"),
        ('{"text": ' + "[" * 100_000 + "}\n", "line 1"),
        ("", "is empty"),
        ("{}\n", "has no columns"),
    ],
)
def test_lines_that_are_not_json_objects_are_named(read_error, content, expected):
    message = read_error(content, "data.jsonl")
    assert message.startswith("data.jsonl")
    assert expected in message


def test_a_surrogate_pair_is_one_character(write):
    assert read_table(write('{"text": "\\ud83d\\ude00"}\n', "d.jsonl")).frame["text"].tolist() == ["😀"]


def test_a_delimiter_is_rejected(read_error):
    assert "--delimiter" in read_error('{"text": "a"}\n', "data.jsonl", delimiter=";")


def test_columns_come_from_the_first_object_that_has_any(write):
    table = read_table(write('{}\n{}\n{"text": "a", "label": "x"}\n', "d.jsonl"))
    assert table.frame.columns.tolist() == ["text", "label"]
    assert table.frame["text"].tolist() == [None, None, "a"]
