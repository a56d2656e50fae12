"""Prediction on Ray writes the rows of a single process, also if a worker is killed."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import emoclass as emoclass_package
from tests.conftest import emotion_rows, many_processes, until

HAS_RAY = importlib.util.find_spec("ray") is not None
WORKERS = min(2, os.cpu_count() or 1)
TEXTS = [text for text, _ in emotion_rows()] + ["", "very " * 60]


@pytest.fixture
def emoclass(trained_model: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in a process of its own: Ray opens sockets, and warns."""
    source = str(Path(emoclass_package.__file__).parents[1])
    environment = {**os.environ, "HOME": str(tmp_path), "TEST_RUN": str(tmp_path), "PYTHONPATH": source}
    environment.pop("RAY_ADDRESS", None)

    def start(*arguments: object, code: str = "") -> subprocess.Popen[str]:
        command = ["-c", code] if code else ["-m", "emoclass"]
        return subprocess.Popen(
            [sys.executable, *command, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def done(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output + errors


def by_id(path: Path) -> tuple[pa.Schema, list[dict[str, Any]]]:
    table = pq.read_table(path)
    return table.schema, sorted(table.to_pylist(), key=lambda row: row["id"])


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Return whether all fields are equal; confidences differ by rounding because batches differ."""
    return len(one) == len(other) and all(
        value == (pytest.approx(second[name], abs=1e-5) if isinstance(value, float) else second[name])
        for first, second in zip(one, other, strict=True)
        for name, value in first.items()
    )


def busy_worker(run: str, process: subprocess.Popen[str]) -> int:
    """Return the process of an actor that is at work, among those of this test."""
    others, found = set[str](), list[int]()

    def look() -> bool:
        for entry in Path("/proc").glob("[0-9]*"):
            if entry.name not in others:
                with suppress(OSError):
                    title = (entry / "cmdline").read_bytes()
                    if run.encode() not in (entry / "environ").read_bytes():
                        others.add(entry.name)
                    elif b"TablePredictor" in title and b".submit" in title:
                        found.append(int(entry.name))
        return bool(found) or process.poll() is not None

    until(look, seconds=240, interval=0.05)
    assert found, process.communicate(timeout=60)[1]
    return found[0]


@many_processes
@pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_a_killed_worker_changes_nothing(
    emoclass: Callable[..., subprocess.Popen[str]], cli: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for part in range(8):
        ids = range(part, 16_000, 8)
        columns = {"id": ids, "label": ["x"] * len(ids), "text": [TEXTS[i % len(TEXTS)] for i in ids]}
        columns["more"] = [("so sad", None)[i // 8 % 2] for i in ids]
        table = pa.table({name: list(values) for name, values in columns.items()})
        pq.write_table(table.replace_schema_metadata({"about": "rows"}), tmp_path / f"in/{part}.parquet")
    how = ["--top-k", "2", "--probabilities", "--min-confidence", "0.6", "--precision", "fp32"]
    how += ["--text-column", "text", "--text-column", "more"]
    ray = emoclass("predict", "--engine", "ray", "--input", "in", "--output", "out", "--workers", WORKERS, *how)
    worker = busy_worker(str(tmp_path), ray)
    os.kill(worker, signal.SIGKILL)
    summary = done(ray)
    inputs = [argument for path in sorted((tmp_path / "in").iterdir()) for argument in ("--input", path)]
    local = cli("predict", *inputs, "--output", tmp_path / "local.parquet", *how).stderr
    schema, expected = by_id(tmp_path / "out")[0], by_id(tmp_path / "local.parquet")[0]
    assert schema.equals(expected, check_metadata=True)
    assert schema.metadata == {b"about": b"rows"}
    assert same(by_id(tmp_path / "out")[1], by_id(tmp_path / "local.parquet")[1])
    counts = [line.split(", ")[2:] for line in (summary + local).splitlines() if "16,000 records" in line]
    assert len(counts) == 2
    assert counts[0] == counts[1]
    assert "predicted_label" in summary
    assert not list(tmp_path.glob(".out*"))


SEVERAL = """
import json, os, sys, ray
from pathlib import Path
from emoclass.errors import EmoclassError
from emoclass.inference.ray.engine import predict_tables

ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
MORE = {"precision": "fp16", "device": "cuda:1"}
told = []
uri = Path("uri").absolute().as_uri()
for source, output in [("a.csv", "csv"), ("more", uri), ("none.csv", "none")]:
    predict_tables([source], output, on_note=told.append)
for source, settings in [("bad", {}), ("a.csv", {"workers": 2}), *(("a.csv", {k: v}) for k, v in MORE.items())]:
    try:
        predict_tables([source], "refused", **settings)
    except EmoclassError as error:
        told.append(f"{type(error).__name__}: {error}")
assert ray.is_initialized()
print("TOLD", json.dumps(told))
"""


@many_processes
@pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")
def test_formats_destinations_and_errors(emoclass: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    for name in ("more", "bad"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.csv").write_text(
        "id,what they said\n007,so very glad to be here\n008,\n009,I am mad at all of you\n"
    )
    (tmp_path / "none.csv").write_text("id,text\n")
    (tmp_path / "more" / "a.jsonl").write_text('{"id": 1, "text": "glad", "tags": ["x"]}\n')
    (tmp_path / "more" / "b.jsonl").write_text('{"id": 2}\n')
    (tmp_path / "bad" / "a.jsonl").write_text('{"text": "glad"}\n')
    (tmp_path / "bad" / "b.jsonl").write_text('{"text": "glad"}\n{"text"\n')
    output = done(emoclass(code=SEVERAL))
    told = json.loads(output.split("TOLD ")[1].splitlines()[0])
    assert any("column 'what they said' taken as the text" in note for note in told)
    schema, rows = by_id(tmp_path / "csv")
    assert schema.names == ["id", "what they said", "label", "confidence"]
    assert [(row["id"], bool(row["label"]), row["confidence"] > 0) for row in rows] == [
        ("007", True, True), ("008", False, False), ("009", True, True),
    ]  # fmt: skip
    assert [(row["id"], row["tags"], bool(row["label"])) for row in by_id(tmp_path / "uri")[1]] == [
        (1, ["x"], True), (2, None, False),
    ]  # fmt: skip
    assert by_id(tmp_path / "none")[0].names == ["id", "text", "label", "confidence"]
    bad, *refused = told[-4:]
    assert bad.startswith(("DataError: ", "RowError: "))
    assert "b.jsonl" in bad
    assert "line 2" in bad
    assert [message.split(":")[0] for message in refused] == ["ConfigError", "DeviceError", "ConfigError"]
    assert "--workers 2: give 1 to 1" in refused[0]
    assert not (tmp_path / "refused").exists()
    assert not list(tmp_path.glob(".refused*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a text"], "give --input"),
        (["--output", "out"], "give --input"),
        (["--input", "-", "--output", "out"], "give --input"),
        (["--input", "a.csv"], "give --output DIRECTORY"),
        (["--input", "a.csv", "--output", "out", "--output-format", "csv"], "a directory of Parquet files"),
        (["--input", "a.csv", "--output", "out", "--on-error", "skip"], "do not go with --engine ray"),
        (["--input", "a.csv", "--output", "out", "--escape-formulas"], "do not go with --engine ray"),
    ],
)
def test_options_that_ray_does_not_support_are_rejected(
    cli: Callable[..., Any], arguments: list[str], message: str
) -> None:
    result = cli("predict", "--engine", "ray", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_unknown_engines_and_workers_without_ray_are_rejected(cli: Callable[..., Any]) -> None:
    assert (
        "--engine spark is not known; use auto, numpy, torch or ray" in cli("predict", "--engine", "spark", "x").stderr
    )
    assert "--workers needs --engine ray" in cli("predict", "--workers", "2", "x").stderr


def test_a_missing_package_is_named(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "emoclass.inference.ray.engine", raising=False)
    result = cli("predict", "--engine", "ray", "--input", "a.csv", "--output", "out")
    assert result.exit_code == 2
    assert 'pip install "emoclass[ray]"' in result.stderr
    assert len(result.stderr.splitlines()) == 1
