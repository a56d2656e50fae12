import datetime
import gzip
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.conftest import open_records, read_table


def write_parquet(columns, path="data.parquet"):
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_values_keep_their_types_and_nulls_are_none():
    day = datetime.date(2024, 1, 2)
    name = write_parquet(
        {
            "text": ["a", None],
            "label": pa.array(["x", "y"]).dictionary_encode(),
            "n": pa.array([1, None], pa.int64()),
            "day": [day, None],
            "tags": [["p", "q"], None],
            "info": [{"when": day}, None],
        }
    )
    frame = read_table(name).frame
    assert frame.iloc[0].tolist() == ["a", "x", 1, day, ["p", "q"], {"when": day}]
    assert frame.iloc[1].tolist() == [None, "y", None, None, None, None]


def test_records_have_numbers_but_no_lines():
    with open_records(write_parquet({"text": ["a", "b"]})) as reader:
        assert [tuple(record) for record in reader] == [(1, 0, ["a"]), (2, 0, ["b"])]
        assert reader.encoding is None


def test_many_batches_come_in_order():
    texts = [f"text {i}" for i in range(20_000)]
    assert read_table(write_parquet({"text": texts})).frame["text"].tolist() == texts


def test_parquet_is_read_from_a_pipe(tmp_path):
    content = (tmp_path / write_parquet({"text": ["a"]})).read_bytes()
    table = read_table("-", format="parquet", stdin=io.BytesIO(content))
    assert table.frame["text"].tolist() == ["a"]


def test_a_file_that_pandas_wrote_is_read():
    pd.DataFrame({"text": ["a", "b"], "label": [1.0, None]}).to_parquet("data.parquet")
    assert read_table("data.parquet").frame["label"].tolist() == [1.0, None]


def test_files_that_are_not_parquet_are_rejected(read_error):
    assert "is not a parquet file" in read_error("text,label\na,b\n", "data.parquet")
    assert "cannot be read as parquet" in read_error(b"PAR1 and nothing else", "data.parquet")
    assert "cannot be read as parquet" in read_error(b"", "data.parquet")


def test_a_damaged_file_is_rejected(tmp_path, read_error):
    content = (tmp_path / write_parquet({"text": ["some text"] * 5000})).read_bytes()
    assert "cannot be read as parquet" in read_error(content[:200] + content[300:], "cut.parquet")


def test_a_parquet_file_with_another_suffix_is_read_with_a_note(tmp_path, write, read_error):
    content = (tmp_path / write_parquet({"text": ["a"]})).read_bytes()
    table = read_table(write(content, "data.csv"))
    assert table.frame["text"].tolist() == ["a"]
    assert "read as parquet" in table.notes[0]
    assert "--format csv" in read_error(content, "data.parquet", format="csv")
    assert "not supported" in read_error(gzip.compress(content), "data.parquet.gz")


def test_an_encoding_is_rejected(error_of):
    assert "--encoding" in error_of(read_table, write_parquet({"text": ["a"]}), encoding="utf-8")


def test_repeated_names_and_missing_rows_are_rejected(error_of):
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), "twice.parquet")
    assert "'text'" in error_of(read_table, "twice.parquet")
    assert "no data rows" in error_of(read_table, write_parquet({"text": pa.array([], pa.string())}))
