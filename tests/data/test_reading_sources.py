import codecs
import gzip
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from emoclass.errors import ConfigError
from tests.data.conftest import open_records, read_table

CSV = "text,label\nI’m so glad — café,joy\nplain,sad\n"


def texts(source, **options):
    return read_table(source, **options).frame["text"].tolist()


EXPECTED = ["I’m so glad — café", "plain"]


@pytest.mark.parametrize("name", ["data.csv.gz", "DATA.CSV.GZ"])
def test_gzip_is_read(write, name):
    assert texts(write(gzip.compress(CSV.encode()), name)) == EXPECTED


def test_gzip_of_several_members_is_read(write):
    content = gzip.compress(CSV.encode()) + gzip.compress(b"more,joy\n")
    assert texts(write(content, "data.csv.gz")) == [*EXPECTED, "more"]


def test_gzip_without_its_suffix_is_read_with_a_note(write):
    table = read_table(write(gzip.compress(CSV.encode())))
    assert table.frame["text"].tolist() == EXPECTED
    assert "gzip" in table.notes[0]


def test_damaged_gzip_is_rejected(read_error):
    content = gzip.compress(CSV.encode() * 50)
    assert "cut off" in read_error(content[:-20], "data.csv.gz")
    assert "damaged" in read_error(content[:30] + b"xxxx" + content[34:], "data.csv.gz")
    assert "not gzip" in read_error(CSV, "data.csv.gz")


def test_standard_input_is_csv_unless_a_format_is_given():
    with open_records("-", stdin=io.BytesIO(CSV.encode())) as reader:
        assert reader.name == "standard input"
        assert [record.values[0] for record in reader] == EXPECTED
    assert texts("-", stdin=io.BytesIO(b'{"text": "a"}\n'), format="jsonl") == ["a"]
    assert texts("-", stdin=io.BytesIO(gzip.compress(CSV.encode()))) == EXPECTED


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_standard_input_is_read_to_its_end_once(format):
    """On a terminal each further read would need another Ctrl-D."""

    chunks = [b'{"text": "a"}\n', b'{"text": "b"}\n', b""]

    class Terminal(io.RawIOBase):
        def readable(self):
            return True

        def read(self, size=-1):
            return chunks.pop(0)

    with open_records("-", stdin=Terminal(), format=format) as reader:
        list(reader)
    assert chunks == []


def test_standard_input_stays_open():
    stdin = io.BytesIO(CSV.encode())
    read_table("-", stdin=stdin)
    assert not stdin.closed


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd here")
def test_a_pipe_named_as_a_file_is_read(pipe):
    assert texts(pipe(CSV.encode()), format="csv") == EXPECTED


def test_a_record_is_available_before_the_pipe_is_closed():
    code = (
        "import sys; from emoclass.data.tables.records import open_records\n"
        "for record in open_records('-'): print(record.values, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
    ) as process:
        process.stdin.write(b"text,label\na,joy\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"['a', 'joy']\n"
        process.stdin.write(b"b,sad\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"['b', 'sad']\n"


def test_the_reader_imports_no_heavy_library():
    heavy = {"numpy", "pandas", "pyarrow", "sklearn", "torch", "typer", "rich"}
    code = (
        "import sys, io; from emoclass.data.tables.records import open_records\n"
        "list(open_records('-', stdin=io.BytesIO(b'text\\na\\n')))\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), check=True)
    assert run.stdout == "[]\n"


def _environment():
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_the_digest_is_that_of_the_stored_bytes(write, tmp_path):
    for content, name in [(CSV.encode(), "a.csv"), (gzip.compress(CSV.encode()), "a.csv.gz")]:
        assert read_table(write(content, name)).sha256 == hashlib.sha256(content).hexdigest()
    read_table("a.csv").frame.to_parquet("a.parquet")
    stored = (tmp_path / "a.parquet").read_bytes()
    assert read_table("a.parquet").sha256 == hashlib.sha256(stored).hexdigest()


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"PK\x03\x04rest", "data.csv", "Excel or zip"),
        (b"PK\x03\x04rest", "data.xlsx", "save the table as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "data.xls", "Excel"),
        (b"%PDF-1.7", "data.csv", "PDF"),
        (b"\xfd7zXZ\x00", "data.csv.xz", "xz-compressed"),
        (b"text,label\na\0b,joy\n", "data.csv", "line 2 holds a NUL byte"),
        (CSV.encode("utf-16-le"), "data.csv", "--encoding utf-16-le"),
        ("text,label\nab,c\n".encode("utf-16-be"), "data.csv", "--encoding utf-16-be"),
        (b"text\n", "data.txt", "--format"),
        (b"text\n", "data", ".csv"),
        (b"[]", "data.json", "is empty"),
    ],
)
def test_files_that_are_not_tables_are_rejected_with_advice(read_error, content, name, expected):
    message = read_error(content, name)
    assert message.startswith(f"{name}: ")
    assert expected in message


def test_the_format_can_be_given_for_any_name(write):
    assert texts(write(CSV, "data.txt"), format="csv") == EXPECTED


def test_an_unknown_format_is_rejected(read_error):
    assert "csv, tsv, jsonl, parquet" in read_error(CSV, format="xml", kind=ConfigError)


def test_files_that_cannot_be_opened_are_rejected(error_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    assert error_of(read_table, "missing.csv").startswith("missing.csv: no such file")
    assert "is a directory" in error_of(read_table, "folder.csv")
    assert "cannot be opened" in error_of(read_table, "a\0b.csv")

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "no permission" in error_of(read_table, "secret.csv")


def test_a_read_that_fails_halfway_names_the_input(error_of):
    class Failing(io.RawIOBase):
        def readable(self):
            return True

        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    assert error_of(read_table, "-", stdin=Failing()) == "standard input: cannot be read: Input/output error"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_byte_order_marks_are_obeyed(write, mark, encoding):
    table = read_table(write(mark + CSV.encode(encoding)))
    assert table.frame.columns.tolist() == ["text", "label"]
    assert table.frame["text"].tolist() == EXPECTED
    assert table.encoding == encoding
    assert bool(table.notes) == (encoding != "utf-8")


@pytest.mark.parametrize("given", ["utf-8", "UTF8", "utf-8-sig"])
def test_explicit_utf8_accepts_a_byte_order_mark(write, given):
    for mark in (b"", codecs.BOM_UTF8):
        frame = read_table(write(mark + CSV.encode()), encoding=given).frame
        assert frame.columns.tolist() == ["text", "label"]


def test_explicit_utf16_accepts_a_byte_order_mark(write):
    assert texts(write(CSV.encode("utf-16")), encoding="utf-16") == EXPECTED


def test_a_byte_order_mark_counts_more_than_an_explicit_encoding(write):
    path = write(codecs.BOM_UTF8 + CSV.encode())
    assert texts(path, encoding="cp1252") == EXPECTED
    assert (
        "data.csv: decoded as utf-8, as its byte order mark says, not as cp1252"
        in read_table(path, encoding="cp1252").notes
    )


def test_other_encodings_are_named_with_byte_and_line_and_read_when_given(write, read_error):
    content = CSV.encode("cp1252")
    message = read_error(content)
    assert message.startswith("data.csv: line 2 is not valid UTF-8 (byte 0x92 at offset 12)")
    assert "pass --encoding cp1252" in message
    assert texts(write(content), encoding="cp1252") == EXPECTED


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "señor niño, ¿qué pasó mañana?"),
        ("cp1251", "Я так счастлив сегодня вечером"),
        ("cp932", "今日はとても楽しい一日でした"),
    ],
)
def test_the_encoding_is_detected(read_error, encoding, text):
    assert f"--encoding {encoding}" in read_error(f'text,label\n"{text}",x\n'.encode(encoding))


def test_an_error_far_into_the_file_has_the_right_line_and_offset(read_error):
    before = "text,label\n" + "some plain text,joy\n" * 5000
    message = read_error(before.encode() + b"caf\xe9,joy\n")
    assert f"line 5002 is not valid UTF-8 (byte 0xe9 at offset {len(before) + 3})" in message


def test_an_explicit_encoding_is_strict(read_error):
    assert "line 2 is not valid ASCII" in read_error(CSV, encoding="ascii")
    assert "pass --encoding" in read_error(b"text,label\n\x81,joy\n", encoding="cp1252")


@pytest.mark.parametrize("given", ["utf-9", "hex", "", "a\0b"])
def test_an_unknown_encoding_is_rejected(read_error, given):
    assert "unknown encoding" in read_error(CSV, encoding=given, kind=ConfigError)


def test_a_truncated_character_at_the_end_is_rejected(read_error):
    assert "line 2 is not valid UTF-8" in read_error(b"text,label\na,caf\xc3")
