"""Data sets as the Hugging Face hub has them, from inspecting to predicting."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import WORDS, emotion_rows

Run = Callable[..., Any]
NAMES = list(WORDS)
METADATA = {"huggingface": json.dumps({"info": {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}}}})}


def write_part(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"text": [text for text, _ in rows], "label": [NAMES.index(label) for _, label in rows]}
    pq.write_table(pa.table(columns).replace_schema_metadata(METADATA), path)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A downloaded data set: class ids in Parquet, the train set in two files."""
    rows = emotion_rows()
    train = [row for number, row in enumerate(rows) if number % 5]
    write_part(tmp_path / "hub/data/train-00000-of-00002.parquet", train[::2])
    write_part(tmp_path / "hub/data/train-00001-of-00002.parquet", train[1::2])
    write_part(tmp_path / "hub/data/validation-00000-of-00001.parquet", rows[::10])
    write_part(tmp_path / "hub/data/test-00000-of-00001.parquet", rows[5::10])
    (tmp_path / "hub/README.md").write_text("# Emotions\n")
    return tmp_path / "hub"


def test_a_hub_data_set_is_trained_on_and_evaluated_by_its_names(
    cli: Run, hub: Path, tiny_base: Path, tmp_path: Path
) -> None:
    recipe = ["--learning-rate", "0.02", "--epochs", "1", "--batch-size", "8", "--max-length", "40"]
    trained = cli("train", hub, "--base-model", tiny_base, "--name", "hub", *recipe)
    assert trained.exit_code == 0, trained.output
    assert "train-*-of-00002.parquet: 2 files, read as one table" in trained.stderr
    assert "class names from the file's metadata: 'joy', 'fear', 'anger'" in trained.stderr
    manifest = json.loads(cli("models", "show", "hub", "--json").stdout)
    assert manifest["data"]["rows"] == {"train": 48, "val": 6, "test": 6}
    evaluated = json.loads(cli("eval", hub, "--model", "hub", "--json").stdout)
    assert {entry["label"] for entry in evaluated["per_class"]} == {*NAMES}
    source = hub / "data" / "test-00000-of-00001.parquet"
    cli("predict", "--model", "hub", "-i", source, "-o", tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert (schema.metadata[b"huggingface"].decode(), schema.field("label").type) == (
        METADATA["huggingface"],
        pa.int64(),
    )
    cli("predict", "--model", "hub", "-i", source, "-o", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == [NAMES[number] for number in pq.read_table(source)["label"].to_pylist()]


def test_findings_name_the_file_of_a_row(cli: Run, tmp_path: Path) -> None:
    rows = [(f"i feel {label} about thing number {number}", label) for number in range(12) for label in NAMES]
    write_part(tmp_path / "train/0000.parquet", rows)
    write_part(tmp_path / "train/0001.parquet", [*rows[:2], ("N/A", "joy"), ("a second thing to say", "fear")])
    (tmp_path / "train/0002.csv.part").write_text("half a download")
    document = json.loads(cli("inspect-data", tmp_path, "--json", "--base-model", "none").stdout)
    (finding,) = (each for each in document["findings"] if each["code"] == "placeholder")
    assert "'N/A' in row 39 (0001.parquet, row 3)" in finding["message"]
    (part,) = document["parts"]
    assert [entry["first_row"] for entry in part["files"]] == [1, 37]
    assert part["removed"]["duplicate"] == 2
    shown = cli("inspect-data", tmp_path, "--base-model", "none", "--report", tmp_path / "page.html")
    assert shown.exit_code == 0, shown.output


def test_a_directory_of_text_files_without_header_is_read_as_the_message_says(
    cli: Run, tmp_path: Path, tiny_base: Path
) -> None:
    rows = emotion_rows()
    for name, part in (("train", rows), ("val", rows[::7]), ("test", rows[1::7])):
        (tmp_path / f"{name}.txt").write_text("".join(f"{text};{label}\n" for text, label in part))
    options = ["--base-model", tiny_base, "--epochs", "1", "--max-length", "40"]
    answer = cli("train", tmp_path, *options)
    assert answer.exit_code == 1
    assert "'text;label'" in answer.stderr
    assert "--no-header" in answer.stderr
    trained = cli("train", tmp_path, "--no-header", *options)
    assert trained.exit_code == 0, trained.output


def test_a_missing_shard_stops_a_training(cli: Run, hub: Path) -> None:
    (hub / "data/train-00000-of-00002.parquet").unlink()
    for command in ("train", "inspect-data"):
        result = cli(command, hub)
        assert result.exit_code == 1
        assert "data: train-00000-of-00002.parquet is missing beside train-00001-of-00002.parquet" in result.stderr
