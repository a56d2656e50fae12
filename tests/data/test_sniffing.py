"""What is decided about an input by looking at its first part."""

import gzip
import io
import json

import pytest

from emoclass.data.tables.options import ReadOptions
from emoclass.data.tables.records import open_records
from emoclass.errors import ConfigError
from tests.data.conftest import read_table

TEXTS = [
    ("the lift stopped and the light went out", "fear"),
    ("we won the raffle and laughed until it hurt", "joy"),
    ("they charged me twice and then hung up", "anger"),
    ("i read his last postcard and wept", "sadness"),
]
ROWS = [(f"on day {number} {text}", label) for number in range(8) for text, label in TEXTS]


def rows_of(table):
    return [tuple(row) for row in table.frame.itertuples(index=False, name=None)]


def lines_of(rows, delimiter, header=("text", "label")):
    return "".join(delimiter.join(row) + "\n" for row in ([header, *rows] if header else rows))


def test_a_separator_is_chosen_by_many_lines_not_by_the_header(write):
    table = read_table(write(lines_of(((str(n), text) for n, (text, _) in enumerate(ROWS)), ";", ("id", "text, free"))))
    assert list(table.frame.columns) == ["id", "text, free"]
    assert len(table.frame) == len(ROWS)
    assert "semicolon" in table.notes[0]


@pytest.mark.parametrize(("name", "delimiter"), [("data.csv", "\t"), ("data.tsv", ","), ("data.tsv", ";")])
def test_a_suffix_gives_way_to_the_content(write, name, delimiter):
    table = read_table(write(lines_of(ROWS, delimiter), name))
    assert rows_of(table) == ROWS
    assert "separated" in table.notes[0]


def test_commas_of_prose_separate_no_fields(write):
    rows = [(f"{text}, and more", label) for text, label in ROWS]
    assert rows_of(read_table(write(lines_of(rows, ";")))) == rows


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_without_a_header_is_named_with_the_header_to_add(write, read_error, delimiter):
    content = lines_of(((label, text) for text, label in ROWS), delimiter, header=None)
    message = read_error(content)
    header = f"label{delimiter}text"
    assert "seems to be data" in message
    assert repr(header) in message
    assert len(read_table(write(f"{header}\n{content}")).frame) == len(ROWS)
    table = read_table(write(content), header=False)
    assert rows_of(table) == [(label, text) for text, label in ROWS]
    assert list(table.frame.columns) == ["column_1", "column_2"]
    assert len(read_table(write(content), header=True).frame) == len(ROWS) - 1


@pytest.mark.parametrize(
    "header", ["what they said,how", "text,joy", "Which feeling was it and why did you have it?,how", "said,joy"]
)
def test_names_are_not_taken_for_data(write, header):
    assert len(read_table(write(lines_of(ROWS, ",", header.split(",")))).frame) == len(ROWS)


def test_a_header_above_numbers_is_missing_if_it_is_a_number(read_error):
    rows = [(text, str(len(label))) for text, label in ROWS]
    assert "'text,label'" in read_error(lines_of(rows, ",", header=None))


def unquoted(delimiter):
    """A table without quoting, in which one text begins with a quotation mark and a later one ends with it."""
    rows = [(str(10_000 + n), text, label) for n, (text, label) in enumerate(ROWS)]
    rows[3] = (rows[3][0], f'"{rows[3][1]}', rows[3][2])
    rows[9] = (rows[9][0], f'{rows[9][1]}"', rows[9][2])
    return rows, lines_of(rows, delimiter, ("id", "document", "label"))


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_quotes_that_swallow_rows_are_read_as_characters(write, delimiter):
    rows, content = unquoted(delimiter)
    table = read_table(write(content, "data.tsv" if delimiter == "\t" else "data.csv"))
    assert rows_of(table) == rows
    assert "plain characters" in table.notes[-1]
    assert "line 5" in table.notes[-1]
    assert len(read_table(write(content, "data.tsv"), delimiter=delimiter, quoting="double").frame) == len(rows) - 6


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_quote_that_is_never_closed_is_read_as_a_character(write, delimiter):
    rows = [(text, label) for text, label in ROWS]
    rows[5] = (f'"{rows[5][0]}', rows[5][1])
    assert rows_of(read_table(write(lines_of(rows, delimiter)))) == rows


def test_a_quote_that_swallows_rows_far_below_is_an_error_with_an_option_that_works(write, read_error):
    rows, content = unquoted("\t")
    many = [(str(n), f"{text} again", label) for n, (text, label) in enumerate(ROWS * 300)]
    content = lines_of(many, "\t", ("id", "document", "label")) + content.split("\n", 1)[1]
    message = read_error(content, "data.tsv")
    assert f"row {len(many) + 4} (line {len(many) + 5})" in message
    assert "look like rows" in message
    assert rows_of(read_table(write(content, "data.tsv"), quoting="none")) == many + rows
    skipped = read_table(write(content, "data.tsv"), skip=True)
    assert len(skipped.frame) == len(many) + len(rows) - 1
    assert "1 row left out" in skipped.notes[-1]


def test_values_that_occur_once_above_are_no_sign_of_rows_inside_a_quote(write):
    table = read_table(write('label,text\njoy,one\nsad,two\nfear,"line\njoy,end"\n'))
    assert rows_of(table)[-1] == ("fear", "line\njoy,end")


def test_texts_of_several_lines_are_not_taken_for_rows(write):
    rows = [(label, f"{text},\nand then, {label}") for text, label in ROWS]
    content = "label,text\n" + "".join(f'{label},"{text}"\n' for label, text in rows)
    assert rows_of(read_table(write(content))) == rows


def test_escaped_quotes_are_read_where_no_other_reading_fits(write):
    rows = [(f'she said "{text}", twice', label) for text, label in ROWS]
    content = "text,label\n" + "".join('"' + text.replace('"', '\\"') + f'",{label}\n' for text, label in rows)
    table = read_table(write(content))
    assert rows_of(table) == rows
    assert "backslash" in table.notes[0]


def test_a_backslash_elsewhere_stays_as_it_is(write):
    rows = [(f'C:\\new "{text}"', label) for text, label in ROWS]
    content = "text,label\n" + "".join('"' + text.replace('"', '\\"') + f'",{label}\n' for text, label in rows)
    assert rows_of(read_table(write(content))) == rows


def test_apostrophes_around_all_fields_are_quotes(write):
    rows = [(f"well, {text}", label) for text, label in ROWS]
    table = read_table(write("".join(f"'{text}','{label}'\n" for text, label in [("text", "label"), *rows])))
    assert list(table.frame.columns) == ["text", "label"]
    assert rows_of(table) == rows
    assert "apostrophes" in table.notes[0]


def test_spaces_before_quotes_are_no_part_of_a_field(write):
    rows = [(label, f"well, {text}") for text, label in ROWS]
    content = "label, text\n" + "".join(f'{label}, "{text}"\n' for label, text in rows)
    assert rows_of(read_table(write(content))) == rows


def test_how_quotes_are_written_can_be_given(write, error_of):
    content = 'text,label\n"a b",joy\n"c d",sad\n'
    assert rows_of(read_table(write(content), quoting="none"))[0] == ('"a b"', "joy")
    assert "quoting" in error_of(read_table, write(content), quoting="loud", kind=ConfigError)


def test_a_lone_carriage_return_is_part_of_its_text(write):
    rows = [(label, f"{text}\rand then, {text}" if n % 9 == 2 else text) for n, (text, label) in enumerate(ROWS)]
    content = "label,text\n" + "".join(
        f'{label},"{text}"\n' if "," in text and n % 2 else f"{label},{text.replace(',', '')}\n"
        for n, (label, text) in enumerate(rows)
    )
    table = read_table(write(content))
    assert [label for label, _ in rows_of(table)] == [label for label, _ in rows]
    assert sum("\r" in text for _, text in rows_of(table)) == sum("\r" in text for _, text in rows)
    assert "line 4" in table.notes[0]
    assert table.lines.tolist() == list(range(2, len(rows) + 2))


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("text", "so happy\rand then so sad\n"),
        ("text", "so happy\rand\rthen\rso sad\nwell\n"),
        ("jsonl", '{"text": "so happy"}\r\r\n{"text":\r"sad"}\n'),
    ],
)
@pytest.mark.parametrize("wait", [True, False])
def test_carriage_returns_end_no_lines_of_text_or_json(format, content, wait):
    stdin = io.BytesIO(content.encode())
    with open_records("-", ReadOptions(format=format), stdin=stdin, prediction=True, wait=wait) as records:
        assert len(list(records)) == content.count("\n")


def test_a_carriage_return_that_gives_a_row_more_fields_is_named(read_error):
    content = lines_of(ROWS, ",").replace("day 3 the lift stopped", "day 3 the lift\rwell, stopped")
    message = read_error(content)
    assert "row 13 (line 14) has 3 fields" in message
    assert "carriage return" in message


def test_trailing_separators_of_rows_or_header_are_ignored_with_a_note(write):
    content = lines_of(ROWS, ",")
    table = read_table(write(content.replace("\n", ",\n").replace("label,\n", "label\n", 1)))
    assert [row[:2] for row in rows_of(table)] == ROWS
    assert "lacks" in table.notes[0]
    table = read_table(write(content.replace("label\n", "label,,\n", 1)))
    assert rows_of(table) == ROWS
    assert "ignored" in table.notes[0]


def test_columns_without_names_get_one(write):
    content = lines_of([(label, text, "", "") for text, label in ROWS], ",", ("v1", "v2", "", ""))
    table = read_table(write(content))
    assert list(table.frame.columns) == ["v1", "v2", "column_3", "column_4"]
    assert "no name" in table.notes[0]
    assert list(read_table(write(lines_of(ROWS, ",", ("text", "")))).frame.columns) == ["text", ""]


def test_a_header_that_names_too_few_columns_is_told_from_broken_rows(read_error):
    rows = [(f"user {n % 5}", *row) for n, row in enumerate(ROWS)]
    message = read_error(lines_of(rows, ","))
    assert "rows have 3 fields, the header has 2" in message
    assert "row 1" not in message


def test_row_numbers_without_a_name_are_read_as_r_writes_them(write):
    rows = [(str(n), *row) for n, row in enumerate(ROWS, start=1)]
    lines = ["\t".join(f'"{cell}"' for cell in row) + "\n" for row in [("text", "label"), *rows]]
    table = read_table(write("".join(lines)))
    assert list(table.frame.columns) == ["", "text", "label"]
    assert rows_of(table) == rows


def test_names_that_are_glued_together_are_told_from_broken_rows(read_error):
    message = read_error(lines_of(ROWS, "\t", ("text label",)), "data.tsv")
    assert "the header has 1 field" in message
    assert "'text\\tlabel'" in message


def test_all_broken_rows_are_named_at_once_and_can_be_left_out(write, read_error):
    rows = list(ROWS)
    rows[4] = (*rows[4], "more")
    rows[20] = rows[20][:1]
    message = read_error(lines_of(rows, ","))
    assert "2 rows cannot be read" in message
    assert "row 5 (line 6) has 3 fields" in message
    assert "row 21 (line 22) has 1 field" in message
    assert "--on-error skip" in message
    table = read_table(write(lines_of(rows, ",")), skip=True)
    assert rows_of(table) == [row for row in rows if len(row) == 2]
    assert table.lines.tolist() == [n for n in range(2, len(rows) + 2) if n not in (6, 22)]
    assert "2 rows left out: row 5 (line 6)" in table.notes[-1]


def test_after_a_broken_quote_the_next_line_is_read(write):
    lines = [f'"{text}, really",{label}\n' for text, label in ROWS]
    lines[3] = lines[3].replace('really"', "really")
    lines[10] = lines[10].replace("on day", 'on "day')
    table = read_table(write("text,label\n" + "".join(lines)), skip=True)
    kept = [(f"{text}, really", label) for n, (text, label) in enumerate(ROWS) if n not in (3, 10)]
    assert rows_of(table) == kept
    assert "2 rows left out" in table.notes[-1]


JSON_ROWS = [{"text": text, "label": label} for text, label in ROWS]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(JSON_ROWS),
        json.dumps(JSON_ROWS, indent=1),
        "\n".join(json.dumps(row, indent=2) for row in JSON_ROWS),
        "\n".join(json.dumps(JSON_ROWS[n : n + 8]) for n in range(0, len(JSON_ROWS), 8)),
        "\ufeff" + "\n".join(map(json.dumps, JSON_ROWS)),
        "\n".join(map(str, JSON_ROWS)),
        json.dumps({"version": 2, "data": JSON_ROWS}),
        json.dumps({"version": 2, "data": JSON_ROWS}, indent=2),
        json.dumps({"result": {"page": 1, "rows": JSON_ROWS}}),
        json.dumps({key: [row[key] for row in JSON_ROWS] for key in ("text", "label")}),
        json.dumps({key: {str(n): row[key] for n, row in enumerate(JSON_ROWS)} for key in ("text", "label")}),
        json.dumps({str(n): row for n, row in enumerate(JSON_ROWS)}),
        json.dumps({"columns": ["text", "label"], "index": [0], "data": [list(row.values()) for row in JSON_ROWS]}),
    ],
    ids=[
        "array", "pretty array", "pretty objects", "array per line", "mark", "python", "key", "pretty key", "deep key",
        "columns", "pandas columns", "pandas index", "pandas split",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["data.json", "data.jsonl", "data.csv", "data.txt"])
def test_json_is_read_in_every_form_under_every_name(write, content, name):
    assert rows_of(read_table(write(content, name))) == ROWS
    assert rows_of(read_table("-", stdin=io.BytesIO(content.encode()), format="jsonl")) == ROWS


def test_rows_of_a_document_have_their_lines(write):
    table = read_table(write(json.dumps(JSON_ROWS, indent=1), "data.json"))
    assert table.lines.tolist()[:3] == [2, 6, 10]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps({"train": JSON_ROWS, "test": JSON_ROWS}), "jq -c '.train[]' data.json"),
        (json.dumps({"error": "not found", "status": 404}), "error message"),
        (json.dumps({"message": "Not Found", "documentation_url": "x", "status": "404"}), "error message"),
        (json.dumps(JSON_ROWS)[:-40], "line 1"),
        ('[{"text": "a"} {"text": "b"}]', "comma"),
        ('[["text", "label"], ["a", "b"]]', "an array"),
        ("[1, 2]", "a number"),
        ("[]", "is empty"),
        ('{"text": "a", "label": "b"},\n{"text": "a", "label": "b"},\n', "comma at its end"),
    ],
)
def test_json_without_rows_says_what_it_is(read_error, content, expected):
    assert expected in read_error(content, "data.json")


def test_one_object_with_a_text_is_a_row_whatever_it_holds(write):
    row = {"text": "hello", "label": "joy", "spans": [{"start": 1}]}
    assert len(read_table(write(json.dumps(row), "data.jsonl")).frame) == 1


def test_fasttext_is_read(write):
    content = "".join(f"__label__{label} {text}\n" for text, label in ROWS) + "__label__a __label__b both\nnone\n"
    for name in ("data.txt", "train.csv", "model.train"):
        table = read_table(write(content, name))
        assert rows_of(table)[:-2] == [(label, text) for text, label in ROWS]
        assert rows_of(table)[-2:] == [(["a", "b"], "both"), (None, "none")]
        assert "fastText" in table.notes[0]


def test_a_text_file_is_read_as_the_table_that_it_holds(write, read_error):
    table = read_table(write(lines_of(ROWS, ";"), "data.txt"))
    assert rows_of(table) == ROWS
    assert "read as csv" in table.notes[0]
    assert "--format" in read_error("just a line\nand another\n", "data.txt")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (POINTER, "git lfs pull"),
        ("<!DOCTYPE html>\n<html><body>404</body></html>\n", "web page"),
        ("\n <html>\n", "web page"),
        ('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n', "XML"),
        ("<Error><Code>AccessDenied</Code></Error>\n", "XML"),
    ],
)
@pytest.mark.parametrize("name", ["data.csv", "data.tsv", "data.jsonl", "data.parquet", "data.txt", "data.json"])
def test_what_is_no_table_is_named(read_error, content, expected, name):
    message = read_error(content, name)
    assert expected in message or (name == "data.parquet" and "not a parquet file" in message)


def test_an_excel_workbook_is_read(write, tmp_path, read_error):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["text", "label", None])
    for text, label in ROWS:
        sheet.append([text, label])
    sheet.append([None, None])
    sheet.append(["an empty cell", None])
    book.create_sheet("notes")
    book.save(tmp_path / "data.xlsx")
    content = (tmp_path / "data.xlsx").read_bytes()
    for name in ("data.xlsx", "data.csv"):
        table = read_table(write(content, name))
        assert rows_of(table) == [*ROWS, ("an empty cell", None)]
        assert any("'Sheet'" in note for note in table.notes)
        assert table.lines.tolist()[-1] == len(ROWS) + 3
    assert "gz" not in read_error(content[:300], "data.xlsx")
    assert "gzipped xlsx" in read_error(gzip.compress(content), "data.xlsx.gz")


def test_other_zip_files_are_named(tmp_path, read_error):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train.csv", "text,label\n")
    assert "'train.csv'" in read_error((tmp_path / "a.zip").read_bytes(), "data.csv")


def test_after_a_quote_that_is_open_to_the_end_the_next_line_is_read(write):
    rows = [(f"day {n} of many", "joy" if n % 2 else "fear") for n in range(9000)]
    lines = [f"{text},{label}\n" for text, label in rows]
    content = "text,label\n" + "".join([*lines[:-20], '"never closed,joy\n', *lines[-20:]])
    table = read_table(write(content), skip=True, quoting="double")
    assert rows_of(table) == rows
    assert "1 row left out" in table.notes[-1]


def test_rows_that_end_with_a_line_feed_alone_among_others_are_named(write):
    rows = "".join(f"joy,good news {n}\r\n" for n in range(20))
    table = read_table(write(f"label,text\r\n{rows}joy,cut here\nanger, the rest\r\n"))
    assert len(table.frame) == 22
    assert "1 of 23 rows end with a line feed alone, the first in line 22" in table.notes[-1]


def test_a_line_feed_inside_a_line_of_other_ends_is_part_of_the_text(write):
    content = "text,label\r\n" + "".join(f"day {n},joy\r\n" for n in range(20)) + "cut\nhere,fear\r\n"
    table = read_table(write(content))
    assert rows_of(table)[-1] == ("cut\nhere", "fear")
    assert "line 22" in table.notes[-1]


def test_doubled_carriage_returns_end_lines(write):
    table = read_table(write("text,label\r\r\n" + "".join(f"day {n},joy\r\r\n" for n in range(9))))
    assert rows_of(table) == [(f"day {n}", "joy") for n in range(9)]
    assert list(table.frame.columns) == ["text", "label"]


def test_carriage_returns_end_rows_whose_quotes_hold_line_feeds(write):
    rows = [(f"day {n}\nagain", "joy" if n % 2 else "fear") for n in range(30)]
    table = read_table(write("text,label\r" + "".join(f'"{text}",{label}\r' for text, label in rows)))
    assert rows_of(table) == rows


def test_a_header_is_suggested_as_the_content_shows(read_error):
    rows = [(str(4 * (n % 2)), str(1467810369 + n), f"user{n % 5}", f"day {n} was fun for us") for n in range(30)]
    assert "'label,column_2,column_3,text'" in read_error(lines_of(rows, ",", header=None))


def test_a_key_that_an_object_has_twice_is_an_error(read_error):
    assert "has the key 'text' twice" in read_error('{"text": "a", "text": "b", "label": "c"}\n', "data.jsonl")
    assert "has the key 'text' twice" in read_error('[{"text": "a",\n "text": "b"}]', "data.json")


@pytest.mark.parametrize(
    ("above", "lines"),
    [("Emotion survey 2024\n", 1), ("# source\n# license: CC, BY\n", 2), ('"Title",\n,\n', 2), ("Export,\n", 1)],
)
def test_lines_above_the_header_are_named_with_a_command_that_removes_them(write, read_error, above, lines):
    content = lines_of(ROWS, ",")
    message = read_error(above + content)
    assert f"{lines} line{'s' * (lines > 1)} above the header 'text,label'" in message
    assert f"tail -n +{lines + 1} data.csv > table.csv" in message


def test_a_name_of_columns_among_the_texts_is_no_header(write):
    rows = [("comment", "joy"), *ROWS]
    assert len(read_table(write(lines_of(rows, ",", ("said so", "feels")))).frame) == len(rows)


@pytest.mark.parametrize("header", ["text,label", '"text,label"'])
def test_lines_that_are_quoted_as_a_whole_are_named(read_error, header):
    message = read_error(header + "\n" + "".join(f'"{text},{label}"\n' for text, label in ROWS))
    assert "each line stands in quotes as a whole" in message
    assert "sed -E" in message


@pytest.mark.parametrize("mark", ["^", "~", "\x01"])
def test_a_rare_separator_is_suggested(write, read_error, mark):
    content = lines_of(ROWS, mark)
    assert f"--delimiter {mark!r}" in read_error(content)
    assert rows_of(read_table(write(content), delimiter=mark)) == ROWS


def test_the_answer_of_a_server_in_place_of_a_table_is_shown(read_error):
    assert "'404: Not Found'" in read_error("404: Not Found")


@pytest.mark.parametrize(
    ("last", "encoding", "shown"),
    [
        (b"je suis tr\xe8s triste,sad\n", "cp1252", "'très'"),
        (b"a na\xefve text,sad\n\xfcber alles m\xfcde,sad\n", "cp1252", "'naïve'"),
        ("今日はとても楽しい一日でした,joy\n本当に悲しい出来事があった,sad\n".encode("shift-jis"), "cp932", "楽しい"),
    ],
)
def test_the_likely_encoding_is_named_with_a_word_to_judge_by(read_error, last, encoding, shown):
    content = lines_of(ROWS, ",").encode() + last
    message = read_error(content)
    assert f"it looks like {encoding}" in message
    assert shown in message


def test_web_pages_are_recognized_by_any_of_their_usual_starts(read_error):
    for start in ("<!-- saved from x -->\n<html>", "<table><tr><td>a</td></tr></table>", "<script>x</script>"):
        assert "web page" in read_error(f"{start}\n", "data.xls")


@pytest.mark.parametrize("is_array", [True, False])
def test_texts_inside_objects_are_named_with_the_jq_line_that_lifts_them_out(read_error, is_array):
    rows = [
        {"id": n, "data": {"text": text}, "annotations": [{"result": [{"value": {"choices": [label]}}]}]}
        for n, (text, label) in enumerate(ROWS)
    ]
    message = read_error(json.dumps(rows) if is_array else "".join(json.dumps(row) + "\n" for row in rows), "data.json")
    fields = "{text: .data.text, label: .annotations[0].result[0].value.choices[0]}"
    assert f"jq -c '{'.[] | ' if is_array else ''}{fields}' data.json" in message


def test_a_row_without_its_text_is_a_row(write):
    rows = [{"text": None, "meta": {"note": "a few more words"}}, {"text": "a", "meta": {}}]
    assert len(read_table(write("".join(json.dumps(row) + "\n" for row in rows), "data.jsonl")).frame) == 2
