import csv
import io
import itertools

import pytest

from emoclass.errors import ConfigError
from tests.data.conftest import open_records, read_table


def rows(source, **options):
    with open_records(source, **options) as reader:
        return [(record.number, record.line, record.values) for record in reader]


def test_records_carry_row_number_line_and_values(write):
    name = write('text,label\n"two\nlines",joy\n\nplain,sad\n')
    assert rows(name) == [(1, 2, ["two\nlines", "joy"]), (2, 5, ["plain", "sad"])]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends_are_read(write, end):
    name = write(end.join(["text,label", "a b,joy", "", "c d,sad", ""]))
    assert rows(name) == [(1, 2, ["a b", "joy"]), (2, 4, ["c d", "sad"])]


def test_line_ends_inside_quotes_stay_as_they_are(write):
    name = write('text,label\r\n"a\r\nb\rc",joy\r\n')
    assert rows(name)[0][2] == ["a\r\nb\rc", "joy"]


def test_other_unicode_separators_stay_in_the_text(write):
    text = "a\u2028b\x0bc\x1cd\x85e"
    assert rows(write(f"text,label\n{text},joy\n"))[0][2] == [text, "joy"]


def test_names_of_missing_values_are_ordinary_texts(write):
    table = read_table(write("text,label\nNA,None\nnull,nan\n,#N/A\n"))
    assert table.frame["text"].tolist() == ["NA", "null", ""]
    assert table.frame["label"].tolist() == ["None", "nan", "#N/A"]


def test_a_field_of_megabytes_is_read(write):
    text = "word " * 600_000
    assert rows(write(f"text,label\n{text},joy\n"))[0][2] == [text, "joy"]


def test_blank_lines_are_skipped_but_empty_fields_are_a_row(write):
    name = write("\n \ntext,label\n\n   \n,\na,joy\n\n\n")
    assert rows(name) == [(1, 6, ["", ""]), (2, 7, ["a", "joy"])]


def test_an_empty_field_of_a_single_column_is_a_row(write):
    assert rows(write('text\n""\n\nb\n')) == [(1, 2, [""]), (2, 4, ["b"])]


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolon"), ("\t", "tab"), ("|", "vertical bar")])
def test_another_delimiter_is_detected_in_the_header(write, delimiter, word):
    name = write(f"text{delimiter}label\nyes, well{delimiter}joy\n")
    with open_records(name) as reader:
        assert reader.columns == ["text", "label"]
        assert [record.values for record in reader] == [["yes, well", "joy"]]
        assert word in reader.notes[0]


def test_a_header_with_commas_is_comma_separated(write):
    name = write('"text;x",label\na;b,joy\n')
    with open_records(name) as reader:
        assert reader.columns == ["text;x", "label"]
        assert reader.notes == []


def test_the_delimiter_can_be_given(write):
    assert rows(write("a,b#c\n1,2#3\n"), delimiter="#") == [(1, 2, ["1,2", "3"])]
    assert rows(write("a,b\tc\n1,2\t3\n"), delimiter="tab") == [(1, 2, ["1,2", "3"])]


@pytest.mark.parametrize("delimiter", ["", "::", '"', "\n"])
def test_an_unusable_delimiter_is_rejected(read_error, delimiter):
    assert "delimiter" in read_error("a,b\n1,2\n", delimiter=delimiter, kind=ConfigError)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_separator_line_of_excel_is_recognized(write, end):
    name = write(end.join(["sep=;", "text;label", "a, b;joy", ""]))
    assert rows(name) == [(1, 3, ["a, b", "joy"])]


def test_tsv_takes_quotes_inside_fields(write):
    name = write('text\tlabel\nshe said "no", twice\tsad\n"quoted\ttab"\tjoy\n', "data.tsv")
    assert [values for _, _, values in rows(name)] == [
        ['she said "no", twice', "sad"],
        ["quoted\ttab", "joy"],
    ]


def test_too_many_fields_name_row_line_counts_and_fix(read_error):
    message = read_error("text,label\n\na,joy\nwell, yes,joy\n")
    assert message.startswith("data.csv: row 2 (line 4) has 3 fields, the header has 2:")
    assert "comma" in message
    assert "quotes" in message


def test_too_few_fields_name_row_line_and_counts(read_error):
    assert "data.csv: row 1 (line 2) has 1 field, the header has 2" in read_error("text,label\njoy\n")


def test_an_open_quote_names_where_it_starts_and_where_the_file_ends(read_error):
    message = read_error('text,label\n"well, a",joy\n"never closed,joy\nb,sad\nc,sad\n')
    assert message.startswith("data.csv: row 2 (line 3): a quoted field starts here")
    assert "line 5" in message
    assert "--quoting none" in message


@pytest.mark.parametrize("name", ["data.csv", "data.tsv"])
def test_text_after_a_closing_quote_is_an_error_that_names_the_line(read_error, name):
    separator = "\t" if name.endswith("tsv") else ","
    message = read_error(f'text{separator}label\n"no" she said{separator}sad\n"a{separator}b"{separator}joy\n', name)
    assert "row 1 (line 2)" in message
    assert '"" ' in message or '""' in message


def test_repeated_column_names_are_named(read_error):
    assert "'text'" in read_error("text,label,text\na,joy,b\n")


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_rejected(read_error, content):
    assert "is empty" in read_error(content)


def test_a_header_alone_is_an_empty_stream_but_no_table(write, read_error):
    assert rows(write("text,label\n")) == []
    assert "no data rows" in read_error("text,label\n")


def test_column_names_are_kept_as_they_are(write):
    with open_records(write(" Text ,LABEL\na,b\n")) as reader:
        assert reader.columns == [" Text ", "LABEL"]


class Endless(io.RawIOBase):
    """A table without end."""

    def __init__(self):
        super().__init__()
        self._chunks = itertools.chain([b"text,label\n"], itertools.repeat(b"a b c,joy\n" * 100))

    def readable(self):
        return True

    def read(self, size=-1):
        return next(self._chunks)


def test_an_endless_input_is_streamed():
    with open_records("-", stdin=Endless()) as reader:
        records = list(itertools.islice(reader, 1000))
    assert records[-1] == (1000, 1001, ["a b c", "joy"])


def test_the_field_limit_of_the_csv_module_is_never_lowered(write):
    before = csv.field_size_limit(1 << 29)
    try:
        rows(write("text,label\na,b\n"))
        assert csv.field_size_limit() == 1 << 29
    finally:
        csv.field_size_limit(before)


def test_many_rows_come_in_order(write):
    count = 100_000
    table = read_table(write("text,label\n" + "".join(f"text {i},{i % 7}\n" for i in range(count))))
    assert table.frame["text"].tolist() == [f"text {i}" for i in range(count)]
    assert table.lines.tolist() == list(range(2, count + 2))


@pytest.mark.parametrize(
    ("mark", "row"),
    [("::", "so good :) yes::joy"), ("=>", "what => joy"), ("\\t", "why not?\\tjoy"), ("<tab>", "so<tab>joy")],
)
def test_fields_that_several_characters_separate_are_said_with_a_command(write, error_of, mark, row):
    path = write(f"text{mark}label\n" + f"{row}\n" * 4, "data.csv")
    message = error_of(read_table, path)
    assert f"fields seem to be separated by {mark!r}" in message
    assert message.endswith(f"perl -pe 's{{\\Q{mark}\\E}}{{\\t}}g' {path} > table.tsv")
