"""Fixtures that write tables and return the messages of errors."""

import os

import pytest

from emoclass.data.cleaning.cleaning import clean
from emoclass.data.options import DataOptions
from emoclass.data.tables import records, table
from emoclass.data.tables.options import ReadOptions
from emoclass.data.tables.row_errors import RowErrors
from emoclass.errors import DataError


def open_records(source, **options):
    """Open an input; the options are those of ``ReadOptions`` and ``open_records``."""
    reading = {name: options.pop(name) for name in list(options) if name in ReadOptions.__dataclass_fields__}
    return records.open_records(source, ReadOptions(**reading), **options)


def read_table(source, *, skip=False, **options):
    """Read a whole table; the options are those of ``open_records``."""
    errors = RowErrors(skip=skip)
    return table.read_table(open_records(source, wait=True, on_error=errors, **options), errors=errors)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file into the current directory, so that messages show its bare name."""
    monkeypatch.chdir(tmp_path)

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


@pytest.fixture
def error_of():
    """Return the message of the error, a DataError by default, that a call raises; it must be one line."""

    def error_of(function, *args, kind=DataError, **options):
        with pytest.raises(kind) as caught:
            function(*args, **options)
        message = str(caught.value)
        assert len(message.splitlines()) == 1
        return message

    return error_of


@pytest.fixture
def read_error(write, error_of):
    """Write a file, read it as a table, and return the error."""

    def read_error(content, name="data.csv", **options):
        return error_of(read_table, write(content, name), **options)

    return read_error


@pytest.fixture
def cleaned(write):
    """Write a file, read, choose columns and clean."""

    def cleaned(content, name="data.csv", **options):
        read = read_table(write(content, name))
        return clean(read, DataOptions(**options).choose_columns(read))

    return cleaned


@pytest.fixture
def pipe():
    """Return the path of a pipe that holds some bytes, as a shell's ``<(command)`` gives."""
    opened = []

    def pipe(content):
        read_end, write_end = os.pipe()
        os.write(write_end, content)
        os.close(write_end)
        opened.append(read_end)
        return f"/dev/fd/{read_end}"

    yield pipe
    for descriptor in opened:
        os.close(descriptor)
