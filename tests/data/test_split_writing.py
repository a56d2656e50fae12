import gzip
import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoclass.data.cleaning.cleaning import clean
from emoclass.data.cleaning.fixing import fix_table
from emoclass.data.options import DataOptions
from emoclass.data.split import writing as split_writing
from emoclass.data.split.writing import SplitOptions, write_split
from tests.data.conftest import read_table

ROWS = [(f'say "{i}", ok;\nor\rnot\t{i}', "joy" if i % 2 else "sad", f"né {i}") for i in range(40)]
CSV = 'text,label,"a note"\n' + "".join(
    '"{}",{},{}\n'.format(text.replace('"', '""'), label, note) for text, label, note in ROWS
)


def split(source, directory="out", **options):
    table = read_table(source)
    data = clean(table, table.choose_columns())
    return write_split(directory, table, data, SplitOptions(**{"seed": 1, **options}), version="1.2.3")


def content(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def convert(source, target):
    frame = read_table(source).frame
    if target.endswith(".jsonl"):
        frame.to_json(target, orient="records", lines=True)
    elif target.endswith(".parquet"):
        frame.to_parquet(target)
    else:
        frame.to_csv(target, sep="\t", index=False)
    return target


@pytest.mark.parametrize("name", ["data.csv", "data.tsv", "data.jsonl", "data.parquet"])
def test_splits_hold_all_rows_and_columns(write, name):
    write(CSV)
    result = split(name if name == "data.csv" else convert("data.csv", name))
    suffix = name.removeprefix("data")
    files = {split: part["file"] for split, part in result["parts"].items()}
    assert files == {"train": f"train{suffix}", "val": f"val{suffix}", "test": f"test{suffix}"}
    parts = DataOptions().read_splits("out")
    rows = {part: [tuple(row) for row in table.frame.itertuples(index=False)] for part, table in parts.items()}
    assert {part: len(part_rows) for part, part_rows in rows.items()} == {"train": 32, "val": 4, "test": 4}
    assert sorted(rows["train"] + rows["val"] + rows["test"]) == sorted(ROWS)
    assert parts["train"].frame.columns.tolist() == ["text", "label", "a note"]


def test_split_json_describes_input_and_split(write):
    name = write(CSV + "again,joy,x\nagain,joy,y\n ,joy,z\nagain,sad,\n")
    result = split(name, ratios=(70, 15, 15))
    record = json.loads(Path("out/split.json").read_text(encoding="utf-8"))
    assert record == result
    assert record["input"] == {"name": "data.csv", "sha256": read_table(name).sha256, "rows": 44}
    assert record["columns"] == {"text": "text", "label": "label"}
    assert (record["seed"], record["ratios"], record["emoclass_version"]) == (1, [70, 15, 15], "1.2.3")
    assert record["removed"]["duplicate"] == 1
    assert record["removed"]["blank_text"] == 1
    assert record["conflicts"] == 1
    assert sum(part["rows"] for part in record["parts"].values()) == 42
    for part in record["parts"].values():
        assert sum(part["classes"].values()) == part["rows"]


@pytest.mark.parametrize("name", ["data.csv", "data.jsonl", "data.parquet"])
def test_the_same_seed_gives_the_same_bytes(write, name):
    write(CSV)
    source = name if name == "data.csv" else convert("data.csv", name)
    for directory in ("one", "deep/two"):
        split(source, directory)
    assert content("one") == content("deep/two")
    split(source, "three", seed=2)
    assert content("one") != content("three")


def test_parquet_splits_have_the_same_types(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {"text": [text for text, _, _ in ROWS], "label": [label for _, label, _ in ROWS]}
    pq.write_table(pa.table({**columns, "n": pa.array([7] + [None] * 39, pa.int64())}), "data.parquet")
    split("data.parquet")
    schemas = [pq.read_schema(f"out/{part}.parquet") for part in ("train", "val", "test")]
    assert schemas == [schemas[0]] * 3


def test_parquet_splits_have_the_types_of_the_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {
        "text": pa.array([text for text, _, _ in ROWS], pa.large_string()),
        "label": pa.array([label for _, label, _ in ROWS]).dictionary_encode(),
        "small": pa.array(range(40), pa.int32()),
        "at": pa.array([1_600_000_000_000_000_001 + i for i in range(40)], pa.timestamp("ns", "UTC")),
        "more": pa.array([[("a", i)] for i in range(40)], pa.map_(pa.string(), pa.int16())),
        "nothing": pa.nulls(40),
    }
    table = pa.table(columns)
    pq.write_table(table, "data.parquet")
    split("data.parquet")
    parts = [pq.read_table(f"out/{part}.parquet") for part in ("train", "val", "test")]
    assert [part.schema for part in parts] == [pq.read_schema("data.parquet")] * 3
    written = pa.concat_tables(parts).sort_by("small")
    assert written.to_pylist() == table.to_pylist()


def test_json_becomes_parquet_with_the_same_types_in_all_splits(write):
    rows = [{"text": text, "label": label, **({"n": 0.5} if i == 7 else {})} for i, (text, label, _) in enumerate(ROWS)]
    split(write("".join(json.dumps(row) + "\n" for row in rows), "data.jsonl"), format="parquet")
    schemas = [pq.read_schema(f"out/{part}.parquet") for part in ("train", "val", "test")]
    assert schemas == [schemas[0]] * 3
    assert schemas[0].field("n").type == pa.float64()


def test_compressed_input_gives_plain_files(write):
    split(write(gzip.compress(CSV.encode()), "data.csv.gz"))
    assert sorted(content("out")) == ["split.json", "test.csv", "train.csv", "val.csv"]


def test_a_split_of_ratio_zero_is_not_written(write):
    split(write(CSV), ratios=(90, 0, 10))
    assert sorted(content("out")) == ["split.json", "test.csv", "train.csv"]


def test_an_empty_directory_is_used(write):
    name = write(CSV)
    Path("out").mkdir()
    split(name)
    assert "train.csv" in content("out")


def test_the_current_directory_is_kept(write, tmp_path, monkeypatch):
    source = Path(write(CSV)).resolve()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    split(source, ".")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["split.json", "test.csv", "train.csv", "val.csv"]
    assert content(".") == content(tmp_path / "here")


def test_a_move_that_fails_leaves_an_empty_directory_empty(write, error_of, monkeypatch):
    source = write(CSV)
    Path("out").mkdir()
    rename = Path.rename

    def full(self, target):
        if Path(target).name == "train.csv":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    def refuse(source, target):
        raise OSError(1, "no hard links here")

    monkeypatch.setattr(Path, "rename", full)
    monkeypatch.setattr("os.link", refuse)
    assert "No space left" in error_of(lambda: split(source))
    assert content("out") == {}


def test_a_directory_with_content_is_not_touched(write, error_of):
    name = write(CSV)
    Path("out").mkdir()
    Path("out/keep.txt").write_text("mine")
    assert error_of(split, name).startswith("out: is not empty")
    assert content("out") == {"keep.txt": b"mine"}
    Path("file").write_text("mine")
    assert "file" in error_of(split, name, "file")
    assert Path("file").read_text() == "mine"


def test_an_error_while_writing_leaves_nothing(write, error_of, monkeypatch):
    name = write(CSV)
    written = []

    def fail_at_the_second_file(path, frame, format, *, schema):
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        path.write_text("half")

    monkeypatch.setattr(split_writing, "write_rows", fail_at_the_second_file)
    message = error_of(split, name)
    assert message.startswith("out: the split could not be written: No space left on device")
    assert sorted(path.name for path in Path().iterdir()) == ["data.csv"]


def test_an_interruption_while_writing_leaves_nothing(write, monkeypatch):
    name = write(CSV)

    def interrupt(path, frame, format, *, schema):
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(split_writing, "write_rows", interrupt)
    with pytest.raises(KeyboardInterrupt):
        split(name)
    assert sorted(path.name for path in Path().iterdir()) == ["data.csv"]


def test_a_directory_that_cannot_be_created_is_named(write, error_of, monkeypatch):
    name = write(CSV)

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "out: the split could not be written: Permission denied" in error_of(split, name)


def test_a_class_that_is_too_small_leaves_no_files(write, error_of):
    name = write(CSV + "alone,fear,x\n")
    assert "'fear' (1)" in error_of(split, name)
    assert not Path("out").exists()


def test_a_split_can_be_moved(write):
    split(write(CSV))
    shutil.move("out", "moved")
    assert list(DataOptions().read_splits("moved")) == ["train", "val", "test"]


NAMES = ["sadness", "joy"]
HUB = {"info": {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}}}}


def write_hub(path="data.parquet"):
    """Write a table of 40 rows with class ids, as the datasets library does."""
    columns = {"text": [text for text, _, _ in ROWS], "label": [number % 2 for number in range(40)]}
    pq.write_table(pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(HUB)}), path)
    return path


def test_parquet_splits_keep_ids_and_the_names_in_the_metadata(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = split(write_hub())
    assert record["parts"]["val"]["classes"] == {"joy": 2, "sadness": 2}
    for part in ("train", "val", "test"):
        table = pq.read_table(f"out/{part}.parquet")
        assert table.schema.field("label").type == pa.int64()
        assert json.loads(table.schema.metadata[b"huggingface"]) == HUB
        assert set(table["label"].to_pylist()) == {0, 1}


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl"])
def test_splits_of_other_formats_get_the_names(tmp_path, monkeypatch, format):
    monkeypatch.chdir(tmp_path)
    split(write_hub(), format=format)
    assert set(read_table(f"out/test.{format}").frame["label"]) == {"sadness", "joy"}


@pytest.mark.parametrize("index", [None, list(range(100, 140)), [f"row {i}" for i in range(40)]])
def test_pandas_reads_parquet_splits_with_their_index(tmp_path, monkeypatch, index):
    monkeypatch.chdir(tmp_path)
    columns = {"text": [text for text, _, _ in ROWS], "label": [label for _, label, _ in ROWS]}
    frame = pd.DataFrame(columns, index=index).astype({"label": "category"})
    frame.to_parquet("data.parquet")
    split("data.parquet")
    parts = [pd.read_parquet(f"out/{part}.parquet") for part in ("train", "val", "test")]
    for part in parts:
        assert part.columns.tolist() == ["text", "label"]
        assert part["label"].dtype == "category"
        if index is None:
            assert part.index.equals(pd.RangeIndex(len(part)))
        else:
            assert part["text"].equals(frame.loc[part.index, "text"])


def test_a_fixed_table_keeps_the_metadata(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = read_table(write_hub())
    data = clean(table, table.choose_columns())
    fix_table(table, data, "fixed.parquet")
    assert json.loads(pq.read_schema("fixed.parquet").metadata[b"huggingface"]) == HUB
    fix_table(table, data, "named.csv")
    assert set(read_table("named.csv").frame["label"]) == {"sadness", "joy"}
