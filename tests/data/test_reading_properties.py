import csv
import io
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from emoclass.data.cleaning.cleaning import clean
from emoclass.data.inspection.inspection import inspect
from emoclass.errors import DataError
from tests.data.conftest import read_table

# Neither half surrogates nor NUL can stand in a text file.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ROWS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=8)
JSON_VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS


def read(content, format, **options):
    table = read_table("-", stdin=io.BytesIO(content), format=format, **options)
    return [tuple(row) for row in table.frame.itertuples(index=False, name=None)]


@given(ROWS, st.sampled_from([(",", "csv"), ("\t", "tsv")]), st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
@settings(max_examples=80, deadline=None)
def test_delimited_rows_round_trip(rows, kind, encoding):
    delimiter, format = kind
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows([("text", "label", "id"), *rows])
    assert read(buffer.getvalue().encode(encoding), format) == rows


@given(st.lists(st.tuples(TEXTS, JSON_VALUES), min_size=1, max_size=8), st.booleans())
@settings(max_examples=80, deadline=None)
def test_json_lines_round_trip(rows, ascii_only):
    lines = [json.dumps({"text": text, "n": value}, ensure_ascii=ascii_only) + "\n" for text, value in rows]
    assert read("".join(lines).encode(), "jsonl") == rows


PIECES = st.sampled_from(
    [b"text,label\n", b"text\tlabel\n", b'"', b'""', b",", b"\n", b"\r", b"\t", b"joy", b"\xff\xfe", b"\xef\xbb\xbf",
     b"\0", b"\x1f\x8b", b"\xc3", b"\xe9", b"\x92", b'{"text": "a", "label": "b"}\n', b"{", b"}", b"[", b"]", b":",
     b"1e999", b"NaN", b"\\ud800", b"\\u00e9", b"+2AA-", b"PAR1", b"-", b"1.0", b"a day,joy\n", b"a day\tsad\n"]
)  # fmt: skip


@given(
    st.binary(max_size=60) | st.lists(PIECES, max_size=25).map(b"".join),
    st.sampled_from(["csv", "tsv", "jsonl", "parquet"]),
    st.sampled_from([None, None, "cp1252", "utf-16", "utf-7", "raw_unicode_escape", "idna"]),
)
@example(b"text,label\na day,joy\n\nanother day,sad\n", "csv", None)
@example(b'{"text": "a", "label": "b"}\n{"text": "\xc3\xa9", "label": "b"}\n', "jsonl", None)
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_their_rows_or_a_data_error_of_one_line_that_names_the_input(content, format, encoding):
    rows, error = rows_or_error(content, format, encoding)
    if error is not None:
        assert error.startswith("standard input: ")
        assert len(error.splitlines()) == 1
    if encoding is None and (expected := plain_rows(content, format)):
        assert rows == expected


def rows_or_error(content, format, encoding):
    """Read, clean and describe a table; return the rows that were read, and the message of a DataError."""
    rows = None
    try:
        table = read_table("-", stdin=io.BytesIO(content), format=format, encoding=encoding)
        rows = [list(row) for row in table.frame.itertuples(index=False, name=None)]
        data = clean(table, table.choose_columns())
        json.dumps(inspect({"all": data}).to_dict(), ensure_ascii=False).encode()
    except DataError as error:
        return rows, str(error)
    return rows, None


def plain_rows(content, format):
    """Return the rows that Python's own parsers see, if there is nothing special about them."""
    try:
        text = content.decode()
        if format == "jsonl":
            objects = [json.loads(line) for line in text.split("\n") if line.strip()]
            header, rows = list(objects[0]), [list(each.values()) for each in objects]
            same = all(each.keys() == objects[0].keys() for each in objects)
        else:
            delimiter = {"csv": ",", "tsv": "\t"}[format]
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            header, *rows = [line for line in lines if line]
            same = all(len(row) == len(header) for row in rows)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, csv.Error):
        return None
    is_plain = same and len(set(header)) == len(header) > 1 and all(map(str.isidentifier, header))
    return rows if is_plain and "NaN" not in text and not set(text) & set("\0\ufeff\\") else None
