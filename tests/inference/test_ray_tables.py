"""Directories, patterns and URIs are found and read as Arrow tables of one schema."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoclass.data.options import DataOptions
from emoclass.errors import DataError
from emoclass.inference.ray.locations import TableFiles, find_tables
from emoclass.inference.ray.tables import read_tables, table_schema


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("a.csv", "deep/b.csv", "_SUCCESS", ".c.csv", "deep/notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("id,text\n1,glad\n")
    return tmp_path / "in"


def names(files: TableFiles) -> list[str]:
    return [Path(path).name for path in files.paths]


def rows(files: TableFiles, **options: str) -> list[dict[str, object]]:
    reading = DataOptions(**options)
    schema = table_schema(files, reading)
    tables = [table for path in files.paths for table in read_tables(files, path, schema, reading)]
    assert {table.schema for table in tables} == {schema}
    return pa.concat_tables(tables).to_pylist()


def test_directories_patterns_uris_and_files_name_tables(directory: Path) -> None:
    assert names(find_tables([str(directory)])) == ["a.csv", "b.csv"]
    assert names(find_tables([f"{directory}/*.csv"])) == [".c.csv", "a.csv"]
    assert names(find_tables([f"{directory}/*/?.csv"])) == ["b.csv"]
    assert names(find_tables([directory.as_uri()])) == ["a.csv", "b.csv"]
    assert names(find_tables([str(directory / "deep"), str(directory / "a.csv")])) == ["a.csv", "b.csv"]
    assert find_tables([str(directory / "deep" / "notes.txt")], format="csv").format == "csv"


def test_notes_of_the_first_file_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;text\n1;glad\n")
    told: list[str] = []
    table_schema(find_tables([str(tmp_path)]), DataOptions(), told.append)
    assert len(told) == 1
    assert "a.csv" in told[0]


def test_a_name_with_wildcards_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text("text\nglad\n")
    assert names(find_tables([str(tmp_path / "a[1].csv")])) == ["a[1].csv"]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["nowhere"], "nowhere: there is no table file: check the path"),
        (["*.parquet"], r"\*.parquet: there is no table file: check the path"),
        (["notes.txt"], "notes.txt: the name does not tell the format"),
        (["a.csv", "notes.txt"], "notes.txt: the name does not tell the format"),
        (["a.csv", "b.jsonl"], "csv and jsonl files: name files of one format"),
        (["odd://x/y"], "odd://x/y: cannot be read"),
    ],
)
def test_sources_without_tables_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("notes.txt", "a.csv", "b.jsonl"):
        Path(name).write_text("text\nglad\n")
    with pytest.raises(DataError, match=message):
        find_tables(sources)


def test_text_files_give_the_records_of_their_reader(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id;text\n007;"two\nlines"\n')
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"text;id\n;8\n"))
    assert rows(find_tables([str(tmp_path)])) == [{"id": "007", "text": "two\nlines"}, {"id": "8", "text": ""}]


def test_json_fields_may_be_missing_and_keep_their_types(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "glad"}\n{"text": "mad", "more": [1.5]}\n')
    (tmp_path / "b.jsonl").write_text('{"text": null}\n')
    assert rows(find_tables([str(tmp_path)])) == [
        {"id": 1, "text": "glad", "more": None},
        {"id": None, "text": "mad", "more": [1.5]},
        {"id": None, "text": None, "more": None},
    ]


def test_parquet_files_take_the_types_of_the_first(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": pa.array([1], pa.int64()), "text": ["glad"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["mad"], "id": pa.array([2], pa.int32())}), tmp_path / "b.parquet")
    assert rows(find_tables([str(tmp_path)])) == [{"id": 1, "text": "glad"}, {"id": 2, "text": "mad"}]


@pytest.mark.parametrize(
    ("name", "first", "second", "message"),
    [
        ("csv", "id,text\n1,a\n", "id,other\n1,a\n", r"b.csv: a record has the fields id, other, the first file has"),
        ("jsonl", '{"id": 1}\n', '{"id": 1, "z": 2}\n', "b.jsonl: a record has the fields id, z"),
        ("jsonl", '{"id": 1}\n', '{"id": "x"}\n', "b.jsonl: column 'id' cannot be stored as parquet"),
    ],
)
def test_fields_that_the_first_file_lacks_are_an_error(
    tmp_path: Path, name: str, first: str, second: str, message: str
) -> None:
    (tmp_path / f"a.{name}").write_text(first)
    (tmp_path / f"b.{name}").write_text(second)
    with pytest.raises(DataError, match=message):
        rows(find_tables([str(tmp_path)]))


def test_parquet_of_other_types_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["mad"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="b.parquet: has other types than the first file"):
        rows(find_tables([str(tmp_path)]))
