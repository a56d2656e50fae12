import datetime
import gzip
import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoclass.data.cleaning.cleaning import clean
from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.options import DataOptions
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


NAMES = ["sadness", "joy", "love"]
LABEL = {"names": NAMES, "_type": "ClassLabel"}


def write_features(features, columns, path="data.parquet"):
    """Write a table with the metadata of the datasets library."""
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def labels_of(path, **options):
    """Return the labels of a file, of which table and stream must know the same, and the notes."""
    table = DataOptions(**options).read(path)
    columns = DataOptions(**options).choose_columns(table)
    data = clean(table, columns)
    with LabelledReader(path, DataOptions(**options)) as reader:
        streamed = [label for block in reader.blocks() for label in block.labels]
        assert list(reader.notes) == [*table.notes, *columns.notes]
    assert data.labels == streamed
    return data.labels, list(columns.notes)


TEXTS = ["one text", "another text", "a third text", "the last text"]


@pytest.mark.parametrize("type_", [pa.int64(), pa.int8(), pa.float64()])
def test_class_names_of_the_metadata_are_the_labels(type_):
    path = write_features({"label": LABEL}, {"text": TEXTS, "label": pa.array([2, 0, 1, 1], type_)})
    labels, notes = labels_of(path)
    assert labels == ["love", "sadness", "joy", "joy"]
    assert notes == ["data.parquet: class names from the file's metadata: 'sadness', 'joy', 'love'"]
    assert labels_of(path, label_column="label")[0] == labels


def test_the_id_of_no_label_is_null():
    path = write_features({"label": LABEL}, {"text": TEXTS, "label": [2, -1, None, 1]})
    table = read_table(path)
    data = clean(table, table.choose_columns())
    assert (data.labels, data.removed_counts["null_label"]) == (["love", "joy"], 2)
    assert labels_of(path)[0] == data.labels


def test_an_id_without_a_name_is_an_error_with_its_row(error_of):
    path = write_features({"label": LABEL}, {"text": TEXTS, "label": [2, 0, 3, 1]})
    message = error_of(labels_of, path)
    assert message.startswith("data.parquet: row 3: class id 3 has no name")
    assert "0 to 2" in message

    def stream():
        with LabelledReader(path, DataOptions()) as reader:
            list(reader.blocks())

    assert error_of(stream) == message


@pytest.mark.parametrize(
    "feature",
    [
        {"feature": LABEL, "_type": "List"},
        {"feature": LABEL, "length": -1, "_type": "Sequence"},
        {"feature": LABEL, "_type": "LargeList"},
        [LABEL],
    ],
)
def test_ids_in_lists_have_names(feature):
    path = write_features({"labels": feature}, {"text": TEXTS, "labels": [[0, 2], [1], [], None]})
    table = read_table(path)
    columns = table.choose_columns(DataOptions(label_column="labels").wanted)
    assert table.label_cells(columns) == [(["sadness", "love"],), (["joy"],), ([],), (None,)]


@pytest.mark.parametrize(
    "metadata",
    [b"{", b"[]", b'{"info": null}', b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 3}}}}'],
)
def test_metadata_that_is_not_understood_is_ignored(metadata):
    table = pa.table({"text": TEXTS, "label": [0, 1, 0, 1]}).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, "data.parquet")
    assert labels_of("data.parquet") == (["0", "1", "0", "1"], [])


def test_names_in_the_label_column_stay():
    path = write_features({"label": LABEL}, {"text": TEXTS, "label": ["a", "b", "a", "b"]})
    assert labels_of(path) == (["a", "b", "a", "b"], [])


def test_the_shards_of_a_split_have_the_same_class_names(tmp_path, error_of):
    def write(number, names, labels):
        feature = {"label": {"names": names, "_type": "ClassLabel"}}
        columns = {"text": [f"{text} {number}" for text in TEXTS], "label": labels}
        write_features(feature, columns, f"train-0000{number}-of-00002.parquet")

    write(0, NAMES, pa.array([0, 1, 2, 0], pa.int64()))
    write(1, NAMES, pa.array([2, 2, 1, 0], pa.int32()))
    table = DataOptions().read_splits(tmp_path)["train"]
    data = clean(table, table.choose_columns())
    assert data.labels == ["sadness", "joy", "love", "sadness", "love", "love", "joy", "sadness"]
    write(1, NAMES[::-1], [2, 2, 1, 0])
    assert "train-00001-of-00002.parquet: has other class names" in error_of(DataOptions().read_splits, tmp_path)
    write(1, NAMES, ["2", "2", "1", "0"])
    assert "train-00001-of-00002.parquet: has other" in error_of(DataOptions().read_splits, tmp_path)


@pytest.mark.parametrize(
    "values",
    [["a", "b"], [1, 2], [1.5, 2.5], [True, False], [datetime.date(2024, 1, n) for n in (1, 2)], [b"a", b"b"]],
)
def test_dictionary_columns_are_read_as_their_values(values):
    path = write_parquet({"text": ["a", "b"], "x": pa.array(values).dictionary_encode()})
    assert read_table(path).frame["x"].tolist() == values


@pytest.mark.parametrize("type_", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_and_labels_of_any_string_type(type_):
    path = write_parquet({"text": pa.array(TEXTS, pa.large_string()), "label": pa.array(["a", "b", "a", "b"], type_)})
    assert labels_of(path)[0] == ["a", "b", "a", "b"]


def test_the_index_of_pandas_is_neither_text_nor_label():
    frame = pd.DataFrame({"what": [f"a text of several words {i}" for i in range(40)], "how": ["x", "y"] * 20})
    frame.index = ["some longer name of the row"] * 40
    frame.to_parquet("data.parquet")
    table = read_table("data.parquet")
    columns = table.choose_columns()
    assert (columns.text, columns.label) == ("what", "how")
    assert "__index_level_0__" in table.frame.columns
