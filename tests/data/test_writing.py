"""Values that JSON has no type for, from real Parquet files to JSON lines and CSV."""

import csv
import datetime
import decimal
import io
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoclass.data.tables.records import open_records
from emoclass.data.tables.writing import record_writer
from emoclass.errors import DataError

STRUCT = pa.struct({"b": pa.float64()})
NOT_NUMBERS = [math.nan, math.inf, -math.inf]


def convert(source, format):
    """Read a table and write it in another format."""
    file = io.BytesIO()
    writer = record_writer(file, format)
    with open_records(source) as reader:
        for record in reader:
            writer.write(reader.columns, [record.values])
    writer.close()
    return file.getvalue().decode()


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def one_row(tmp_path, **columns):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"text": ["glad"], **columns}), path)
    return path


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize(
    ("make", "type", "expected"),
    [
        (lambda x: x, pa.float32(), None),
        (lambda x: np.float16(x), pa.float16(), None),
        (lambda x: [1.0, x], pa.list_(pa.float64()), [1.0, None]),
        (lambda x: {"a": [{"b": x}]}, pa.struct({"a": pa.list_(STRUCT)}), {"a": [{"b": None}]}),
        (lambda x: [("a", x)], pa.map_(pa.string(), pa.float64()), [["a", None]]),
        (lambda x: [("a", [{"b": x}])], pa.map_(pa.string(), pa.list_(STRUCT)), [["a", [{"b": None}]]]),
        (lambda x: [(x, x)], pa.map_(pa.float64(), pa.float64()), [[None, None]]),
    ],
)  # fmt: skip
def test_nan_and_infinities_are_null_at_any_depth(tmp_path, value, make, type, expected):
    path = one_row(tmp_path, x=pa.array([make(value)], type))
    assert strict(convert(path, "jsonl")) == {"text": "glad", "x": expected}
    (cell,) = (row["x"] for row in csv.DictReader(io.StringIO(convert(path, "csv"))))
    if expected is not None:
        assert strict(cell) == expected


def test_half_precision_stays_a_number(tmp_path):
    path = one_row(
        tmp_path, x=pa.array([np.float16(0.5)], pa.float16()), y=pa.array([[np.float16(2)]], pa.list_(pa.float16()))
    )
    assert strict(convert(path, "jsonl")) == {"text": "glad", "x": 0.5, "y": [2.0]}


def test_nested_values_of_other_types_are_strings(tmp_path):
    path = one_row(
        tmp_path,
        x=[
            {
                "price": decimal.Decimal("1.50"),
                "at": datetime.datetime(2024, 1, 2, 3, 4),
                "on": datetime.date(2024, 1, 2),
            }
        ],
        raw=[["né".encode()]],
        gone=pa.array([[None]], pa.list_(pa.timestamp("ns"))),
    )
    expected = {"price": "1.50", "at": "2024-01-02 03:04:00", "on": "2024-01-02"}
    assert strict(convert(path, "jsonl")) == {"text": "glad", "x": expected, "raw": ["né"], "gone": [None]}
    (row,) = csv.DictReader(io.StringIO(convert(path, "csv")))
    assert (strict(row["x"]), strict(row["raw"]), strict(row["gone"])) == (expected, ["né"], [None])


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_bytes_that_are_not_text_are_an_error_at_any_depth(tmp_path, format):
    with pytest.raises(DataError, match="binary"):
        convert(one_row(tmp_path, raw=[[{"deep": b"\xff\xd8"}]]), format)


@pytest.mark.parametrize("depth", [3, 600, 800])
def test_an_infinity_beside_deep_nesting_is_written(tmp_path, depth):
    path = tmp_path / "data.jsonl"
    nested = "[" * depth + "Infinity" + "]" * depth
    path.write_text(f'{{"text": "glad", "deep": {nested}, "x": -Infinity}}\n')
    written = convert(path, "jsonl")
    assert written == f'{{"text": "glad", "deep": {nested.replace("Infinity", "null")}, "x": null}}\n'
