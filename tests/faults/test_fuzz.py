"""Any bytes as input, any values in a model's files: a result or one clear line, never a traceback or a hang.

In short form here; ``make soak`` tries ten thousand.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoclass.data.options import DataOptions
from emoclass.data.tables.records import open_records
from emoclass.errors import EmoclassError
from emoclass.fingerprint import file_sha256
from emoclass.inference import records as records_module
from emoclass.inference.classifiers import Classifier
from emoclass.inference.fields import LabelFields, OutputOptions
from emoclass.inference.output import PredictionWriter
from emoclass.inference.predictor import load
from emoclass.inference.records import RecordInput
from emoclass.inference.streaming import predict_items

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
def classifier(tiny_model: Path) -> Classifier:
    return load(tiny_model, precision="fp32")


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
    def opened(source: str, reading: Any, **options: Any) -> Any:
        return open_records(source, reading, **{**options, "stdin": io.BytesIO(content)})

    skipped: list[EmoclassError] = []
    out = io.BytesIO()
    message, count, stage = None, 0, "reading"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records_module, "open_records", opened)
        options = {"on_error": skipped.append} if skip else {}
        output = OutputOptions(format=written, top_k=2, probabilities=True, escape_formulas=True)
        try:
            with RecordInput(["-"], DataOptions(format=read, encoding=encoding), **options) as items:
                stage = "writing"
                with PredictionWriter(out, LabelFields(output, classifier.labels), items.layout) as writer:
                    stage = "reading"
                    for batch in predict_items(classifier, items, top_k=3):
                        stage = "writing"
                        writer.write(batch)
                        count += len(batch)
                        stage = "reading"
                    stage = "writing"
        except EmoclassError as error:
            message = str(error)
    for told in [*map(str, skipped), *([] if message is None else [message])]:
        assert len(told.splitlines()) == 1
        assert told.startswith("standard input: ") or (told == message and stage == "writing")
    if written == "text" and message is None:
        assert out.getvalue().count(b"\n") == count


@given(st.sampled_from(["config.json", "emoclass.json", "model.safetensors.index.json", "tokenizer.json"]), st.data())
@FUZZ
def test_any_values_in_a_model_are_loaded_or_refused(
    tiny_model: Path, tmp_path: Path, name: str, data: st.DataObject
) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tiny_model, copy)
    document = json.loads((copy / name).read_text())
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(JSON)
    (copy / name).write_text(json.dumps(document))
    manifest = json.loads((copy / "emoclass.json").read_text())
    if name != "emoclass.json":  # as somebody would who means harm
        manifest["checksums"][name] = file_sha256(copy / name)
        (copy / "emoclass.json").write_text(json.dumps(manifest))
    message = None
    try:
        list(load(copy, precision="fp32").predict(["a happy day", ""]))
    except EmoclassError as error:
        message = str(error)
    if message is not None:
        assert str(copy) in message
        assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "head", [b"\xff" * 8, (2**40).to_bytes(8, "little"), b"\0" * 8, b"", (8).to_bytes(8, "little")]
)
def test_absurd_headers_are_refused(tiny_model: Path, tmp_path: Path, head: bytes) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    weights = copy / "trained.safetensors"
    weights.write_bytes(head + b"{}      " + b"\0" * 100)
    manifest = json.loads((copy / "emoclass.json").read_text())
    manifest["checksums"][weights.name] = file_sha256(weights)
    (copy / "emoclass.json").write_text(json.dumps(manifest))
    with pytest.raises(EmoclassError, match=re.escape(str(copy)) + ".*(damaged|missing)"):
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


@pytest.mark.slow
def test_offline_means_no_network_call_at_all(emotions_csv: Path) -> None:
    command = [sys.executable, "-c", _OFFLINE, "train", str(emotions_csv)]
    for offline, calls in (("1", False), ("0", True)):
        environment = {**os.environ, "HF_HUB_OFFLINE": offline}
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert result.returncode == 1
        assert "is not available" in result.stderr
        assert ("NETWORK" in result.stderr) == calls
