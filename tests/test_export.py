"""Models exported to ONNX predict what the models do, or are not written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emoclass
from emoclass.export import writing
from emoclass.fingerprint import file_sha256
from tests.conftest import WORDS, tiny_tokenizer
from tests.encoders import test_families, test_generic
from tests.encoders.test_families import random_classifier, table

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")
Run = Callable[..., Any]
CONFIGS = {**test_families.CONFIGS, **test_generic.CONFIGS}
TEXTS = ["a happy day", "so afraid of the dark " * 20, "we hate it", "the", "x y z " * 3]


def logits_of(directory: Path, classifier: Any, texts: list[str]) -> Any:
    """The logits of an export, each text by itself."""
    session = onnxruntime.InferenceSession(str(directory / "model.onnx"), providers=["CPUExecutionProvider"])
    rows = []
    for text in texts:
        ids = classifier.tokenizer([text]).input_ids.astype(np.int64)[None]
        rows.append(session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0])
    return np.stack(rows)


def multi_model(tmp_path: Path, tiny_base: Path, cli: Run) -> str:
    """The name of a trained model of several labels; its data is in ``data.jsonl``."""
    rows = [
        {"text": f"{one} {other}", "labels": ["joy"] * (one in WORDS["joy"]) + ["fear"] * (other in WORDS["fear"])}
        for one in WORDS["joy"] + WORDS["anger"]
        for other in WORDS["fear"][:5] + WORDS["anger"][:5]
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--epochs", "1", "--max-length", "40", "--recipe", "fast", "--name", "m", "--base-model", tiny_base)
    trained = cli("train", data, *options)
    assert trained.exit_code == 0, trained.output
    return "m"


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_graphs_of_all_families_compute_what_the_models_do(kind: str, tmp_path: Path, cli: Run) -> None:
    base = tmp_path / "base"
    random_classifier(CONFIGS[kind]()).base_model.save_pretrained(base)
    tiny_tokenizer().save(str(base / "tokenizer.json"))
    options = ("--epochs", "1", "--max-length", "20", "--recipe", "fast", "--name", "x", "--base-model", base)
    assert cli("train", table(tmp_path / "data.csv"), *options).exit_code == 0
    result = cli("models", "export", "x", tmp_path / "onnx", "--format", "onnx")
    assert result.exit_code == 0, result.output
    assert "256 made texts: the graph gives the model's labels" in result.stderr
    classifier = emoclass.load("x", precision="fp32", engine="torch")
    expected = classifier.logits(classifier.tokenizer(TEXTS))
    np.testing.assert_allclose(logits_of(tmp_path / "onnx", classifier, TEXTS), expected, atol=1e-4)


@pytest.mark.usefixtures("trained_model")
def test_an_export_says_all_that_predictions_need(cli: Run, tmp_path: Path) -> None:
    result = cli("models", "export", "first", tmp_path / "onnx", "--format", "onnx")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "onnx")
    names = {path.name for path in (tmp_path / "onnx").iterdir()}
    assert names == {"model.onnx", "tokenizer.json", "tokenizer_config.json", "config.json", "emoclass_onnx.json"}
    content = json.loads((tmp_path / "onnx" / "emoclass_onnx.json").read_text())
    assert content["labels"] == sorted(WORDS)
    assert (content["task"], content["thresholds"], content["precision"]) == ("single", [], "fp32")
    assert content["check"]["texts"] == 256
    assert content["check"]["equal_labels"] == 1
    assert content["check"]["largest_difference_of_logits"] < 1e-3
    assert content["emoclass_version"] == emoclass.__version__
    assert content["checksums"] == {
        name: file_sha256(tmp_path / "onnx" / name) for name in names - {"emoclass_onnx.json"}
    }
    cut = content["truncation"]
    tokenizer, long = emoclass.load("first").tokenizer, " ".join(word for words in WORDS.values() for word in words * 3)
    ids = tiny_tokenizer().encode(long).ids
    kept = ids[: cut["first_tokens"]] + ids[len(ids) - cut["last_tokens"] :]
    assert kept == tokenizer([long]).input_ids.tolist()
    assert len(kept) == cut["max_length"] == 40


@pytest.mark.usefixtures("trained_model")
def test_the_texts_to_check_come_from_lines_or_a_table(cli: Run, tmp_path: Path, emotions_csv: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("we are happy\n\nthe dark\n")
    for number, (file, more, texts) in enumerate([(lines, (), 2), (emotions_csv, ("--text-column", "text"), 60)]):
        target = tmp_path / f"onnx-{number}"
        result = cli("models", "export", "first", target, "--format", "onnx", "--check", file, *more)
        assert result.exit_code == 0, result.output
        assert f"{texts} texts: the graph gives the model's labels" in result.stderr
        check = json.loads((target / "emoclass_onnx.json").read_text())["check"]
        assert (check["texts_from"], check["texts"]) == (file.name, texts)


@pytest.mark.usefixtures("trained_model")
@pytest.mark.parametrize(
    ("change", "message"), [(0.5, "0 get other labels, and logits differ by up to 0.5,"), (-9, "")]
)
def test_a_graph_that_differs_is_not_written(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: float, message: str
) -> None:
    from emoclass.export.engine import OnnxEngine

    logits = OnnxEngine.logits
    # Every logit changes, or one only.
    columns = slice(None) if change > 0 else slice(1)

    def other(self: Any, texts: Any) -> Any:
        found = logits(self, texts)
        found[:, columns] += change
        return found

    monkeypatch.setattr(OnnxEngine, "logits", other)
    result = cli("models", "export", "first", tmp_path / "onnx", "--format", "onnx")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert "nothing was written: of 256 texts" in result.stderr
    assert not [path for path in tmp_path.iterdir() if "onnx" in path.name]


@pytest.mark.usefixtures("trained_model")
def test_weights_of_8_bits_are_measured(
    cli: Run, tmp_path: Path, emotions_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = ("models", "export", "first", tmp_path / "onnx", "--format", "onnx", "--int8", "--check", emotions_csv)
    result = cli(*export)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "onnx" / "emoclass_onnx.json").read_text())
    assert content["precision"] == "int8"
    share = content["int8_check"]["equal_labels"]
    assert f"60 texts: with 8 bits, {share:.1%} get the model's labels" in result.stderr
    classifier = emoclass.load("first")
    difference = logits_of(tmp_path / "onnx", classifier, TEXTS) - classifier.logits(classifier.tokenizer(TEXTS))
    assert 1e-4 < np.abs(difference).max() < 3  # it is another graph, of the same model
    compare = writing.compare

    def worse(*arguments: Any) -> Any:
        parity = compare(*arguments)
        return replace(parity, differing=3) if parity.largest > 1e-3 else parity

    monkeypatch.setattr(writing, "compare", worse)
    result = cli(*export, "--overwrite")
    assert "warning: 60 texts: with 8 bits, 95.0% get the model's labels; without --int8 all do" in result.stderr


def test_thresholds_decide_whether_labels_are_equal(tmp_path: Path, tiny_base: Path, cli: Run) -> None:
    name, data = multi_model(tmp_path, tiny_base, cli), tmp_path / "data.jsonl"
    result = cli("models", "export", name, tmp_path / "onnx", "--format", "onnx", "--check", data)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "onnx" / "emoclass_onnx.json").read_text())
    classifier = emoclass.load(name, task="multi", engine="numpy")
    assert content["task"] == "multi"
    np.testing.assert_allclose(content["thresholds"], classifier.thresholds, atol=1e-7)
    from emoclass.export.parity import compare

    found = np.log(classifier.thresholds / (1 - classifier.thresholds))[None]  # just there
    parity = compare(classifier, found + 1e-5, found - 1e-5)
    assert parity.differing == 1
    assert compare(classifier, found + 1e-5, found + 2e-5).differing == 0


@pytest.mark.usefixtures("trained_model")
def test_only_another_export_is_replaced(cli: Run, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("happy\n")
    (tmp_path / "empty").mkdir()
    export = ("models", "export", "first", tmp_path / "empty", "--format", "onnx", "--check", lines)
    assert cli(*export).exit_code == 0  # an empty directory will do
    assert "pass --overwrite" in cli(*export).stderr
    assert cli(*export, "--overwrite").exit_code == 0
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("")
    result = cli("models", "export", "first", full, "--format", "onnx", "--overwrite")
    assert result.exit_code == 1
    assert "is not empty, and nothing in it was touched" in result.stderr
    assert "--overwrite" not in result.stderr
    home = emoclass.store.checkpoints.find_model("first").directory.parent
    assert "name a directory elsewhere" in cli("models", "export", "first", home / "x", "--format", "onnx").stderr


@pytest.mark.usefixtures("trained_model")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--int8"], "--int8 goes with --format onnx only"),
        (["--check", "x.txt"], "--check goes with --format onnx only"),
        (["--format", "tflite"], "--format tflite is not known; use safetensors or onnx"),
        (["--format", "onnx", "--text-column", "text"], "--text-column names a column of --check FILE"),
        (["--format", "onnx", "--check", "none.txt"], "none.txt"),
        (["--format", "onnx", "--int8"], "pass texts of your own with --check FILE"),
    ],
)
def test_options_that_make_no_sense_get_one_line(cli: Run, tmp_path: Path, options: list[str], message: str) -> None:
    result = cli("models", "export", "first", tmp_path / "out", *options)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("trained_model")
def test_packages_that_are_missing_are_named(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emoclass.runtime.find_spec", lambda name: None)
    result = cli("models", "export", "first", tmp_path / "onnx", "--format", "onnx")
    assert 'pip install "emoclass[onnx]"' in result.stderr


@pytest.mark.parametrize("task", ["single", "multi"])
def test_the_documented_code_predicts_without_emoclass(
    task: str, tmp_path: Path, tiny_model: Path, tiny_base: Path, cli: Run
) -> None:
    name = str(tiny_model) if task == "single" else multi_model(tmp_path, tiny_base, cli)
    assert cli("models", "export", name, tmp_path / "tweets-onnx", "--format", "onnx").exit_code == 0
    page = Path(__file__).parents[1] / "docs" / "guides" / "deploying.md"
    section = page.read_text(encoding="utf-8").split("\n## ONNX\n")[1]
    first, second = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    code = first + (second if task == "multi" else "")
    classifier = emoclass.load(name, engine="numpy")
    for text in ("a happy day", "so afraid of the dark and happy " * 10):
        program = code.replace("what a lovely surprise", text) + "import sys\n"
        program += (
            "print(json.dumps([label, float(confidence)]))\n" if task == "single" else "print(json.dumps(labels))\n"
        )
        program += "assert not {'torch', 'emoclass', 'transformers'} & sys.modules.keys()\n"
        run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        prediction, found = next(iter(classifier.predict([text]))), json.loads(run.stdout)
        if task == "single":
            assert found == [prediction.label, pytest.approx(prediction.confidence, abs=1e-4)]
        else:
            assert sorted(found) == sorted(prediction.labels)
