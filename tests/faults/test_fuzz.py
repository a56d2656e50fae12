"""Any bytes as input, any values in a model's files: a result or one clear line, never a traceback or a hang.

In short form here; ``make soak`` tries ten thousand.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoclass.config import TrainConfig, TruncationConfig
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.data.tables.records import open_records
from emoclass.errors import EmoclassError
from emoclass.inference import records as records_module
from emoclass.inference.output import OutputOptions, PredictionWriter
from emoclass.inference.predictor import Classifier, load
from emoclass.inference.records import RecordInput
from emoclass.inference.streaming import predict_items
from tests.conftest import emotion_rows
from tests.runs import run_training

EXAMPLES = 5000 if os.environ.get("EMOCLASS_SOAK") else 60
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PIECES = st.sampled_from(
    [b"text,id\n", b"text\n", b'"', b'""', b",", b";", b"\n", b"\r\n", b"\r", b"\t", b"happy day", b"=1+1",
     b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\x1f\x8b", b"\xc3", b"\xe9", b'{"text": "a", "label": {"b": [1]}}\n',
     b'{"text": null}\n', b"{", b"}", b"[", b"1e999", b"NaN", b"\\ud800", b"PAR1",
     b"\xf0\x9f\x98\x80", b"\xe5\xa5\xbd" * 50, b"x" * 300]
)  # fmt: skip
BYTES = st.binary(max_size=80) | st.lists(PIECES, max_size=30).map(b"".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a tiny model."""
    home = tmp_path_factory.mktemp("fuzz")
    data = home / "emotions.csv"
    data.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in emotion_rows()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOCLASS_HOME", str(home / "home"))
        recipe = TrainConfig(
            base_model=str(tiny_base), truncation=TruncationConfig(max_length=40), epochs=1, learning_rate=0.01
        )
        parts = prepare_training_data(data, options=DataOptions(), seed=1)
        yield run_training(parts, recipe, cache_disk=0).model.directory


@pytest.fixture(scope="module")
def classifier(trained: Path) -> Classifier:
    return load(trained, precision="fp32")


@given(
    BYTES,
    st.sampled_from(["text", "csv", "tsv", "jsonl", "parquet"]),
    st.sampled_from(["text", "csv", "tsv", "jsonl", "parquet"]),
    st.booleans(),
    st.sampled_from([None, "cp1252", "utf-16"]),
)
@FUZZ
def test_any_bytes_are_classified_or_refused(
    classifier: Classifier, content: bytes, read: str, written: str, skip: bool, encoding: str | None
) -> None:
    def opened(source: str, **options: Any) -> Any:
        return open_records(source, **{**options, "stdin": io.BytesIO(content)})

    skipped: list[EmoclassError] = []
    out = io.BytesIO()
    message, count = None, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records_module, "open_records", opened)
        options = {"on_error": skipped.append} if skip else {}
        try:
            with (
                RecordInput(["-"], DataOptions(format=read, encoding=encoding), **options) as items,
                PredictionWriter(
                    out,
                    OutputOptions(format=written, top_k=2, probabilities=True, escape_formulas=True),
                    classifier.labels,
                    items.first.columns,
                    schema=items.first.schema,
                ) as writer,
            ):
                for batch in predict_items(classifier, items, top_k=3):
                    writer.write(batch)
                    count += len(batch)
        except EmoclassError as error:
            message = str(error)
    assert message is None or len(message.splitlines()) == 1
    assert all(len(str(error).splitlines()) == 1 for error in skipped)
    if written == "text" and message is None:
        assert out.getvalue().count(b"\n") == count


@given(st.sampled_from(["config.json", "emoclass.json", "model.safetensors.index.json", "tokenizer.json"]), st.data())
@FUZZ
def test_any_values_in_a_model_are_loaded_or_refused(trained: Path, name: str, data: st.DataObject) -> None:
    copy = trained.parent.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(trained, copy)
    document = json.loads((copy / name).read_text())
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(JSON)
    (copy / name).write_text(json.dumps(document))
    manifest = json.loads((copy / "emoclass.json").read_text())
    if name != "emoclass.json":  # as somebody would who means harm
        manifest["checksums"].pop(name)
        (copy / "emoclass.json").write_text(json.dumps(manifest))
    message = None
    try:
        list(load(copy, precision="fp32").predict(["a happy day", ""]))
    except EmoclassError as error:
        message = str(error)
    assert message is None or len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "head", [b"\xff" * 8, (2**40).to_bytes(8, "little"), b"\0" * 8, b"", (8).to_bytes(8, "little")]
)
def test_absurd_headers_are_refused(trained: Path, tmp_path: Path, head: bytes) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    manifest = json.loads((copy / "emoclass.json").read_text())
    manifest["checksums"].pop("trained.safetensors")
    (copy / "emoclass.json").write_text(json.dumps(manifest))
    (copy / "trained.safetensors").write_bytes(head + b"{}      " + b"\0" * 100)
    with pytest.raises(EmoclassError, match="damaged|missing"):
        load(copy)


_OFFLINE = """
import socket, sys
def refuse(*arguments, **options):
    sys.stderr.write("NETWORK\\n")
    raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from emoclass.cli import main
sys.argv = ["emoclass", *sys.argv[1:]]
main()
"""


def test_offline_means_no_network_call_at_all(emotions_csv: Path) -> None:
    command = [sys.executable, "-c", _OFFLINE, "train", str(emotions_csv)]
    for offline, calls in (("1", False), ("0", True)):
        environment = {**os.environ, "HF_HUB_OFFLINE": offline}
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert result.returncode == 1
        assert "cannot be had" in result.stderr
        assert ("NETWORK" in result.stderr) == calls
