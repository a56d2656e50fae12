"""``emoclass eval`` and ``predict --threshold`` with a model of any number of labels, as a user meets them."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import emoclass
from emoclass.config import TrainConfig
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.runtime import models_dir
from tests.conftest import FILLERS, WORDS
from tests.runs import run_training

Run = Callable[..., Any]
EVIL = '<script>document.title="broken"</script> "quoted" | tab\tnew'


def write_several(path: Path, *, rows: int = 90, extra: tuple[tuple[str, str], ...] = ()) -> Path:
    """Texts whose words give away any number of labels."""
    names = list(WORDS)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "labels"])
        for number in range(rows):
            chosen = [name for bit, name in enumerate(names) if (number % 7) >> bit & 1]
            words = [WORDS[name][number % len(WORDS[name])] for name in chosen]
            filler, other = FILLERS[number % len(FILLERS)], FILLERS[(number // 7) % len(FILLERS)]
            writer.writerow([f"{filler} {' '.join(words)} {other} {number}", ",".join(chosen)])
        writer.writerows(extra)
    return path


@pytest.fixture(scope="module")
def several_model(config: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a model that is trained once; nobody may change it."""
    home = tmp_path_factory.mktemp("several")
    data = prepare_training_data(
        write_several(home / "several.csv"), options=DataOptions(task="multi", label_separator=","), seed=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOCLASS_HOME", str(home))
        settings = config(epochs=4).for_task("multi")
        return run_training(data, settings, name="several", cache_disk=0).model.directory


@pytest.fixture
def run(several_model: Path, cli: Run) -> Run:
    shutil.copytree(several_model, models_dir() / "several")

    def evaluate(*arguments: object, code: int = 0, command: str = "eval") -> Any:
        result = cli(command, *arguments)
        assert result.exit_code == code, result.output
        return result

    return evaluate


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_several(tmp_path / "test.csv", rows=40, extra=((EVIL + " happy", "fear,joy"), (EVIL, "joy,grief")))


def test_the_report_has_its_parts_and_fits_the_screen(run: Run, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    brief = run(table)
    for words in ("micro F1", "macro F1", "95 %", "TF-IDF + linear", "threshold", "calibration error"):
        assert words in brief.stdout
    assert "does not know the label 'grief' (1)" in brief.stderr
    details = run(table, "--errors", 3, "--sort", "f1", "--details").stdout
    for words in ("weighted", "samples", "Hamming loss", "average precision", "By length", "Worst mistakes", "fear"):
        assert words in details
    assert max(len(line) for line in details.splitlines() if "│" in line) <= 80
    scores = re.findall(r"│ (?:anger|fear|joy) +│ [01]\.\d+ │ [01]\.\d+ │ ([01]\.\d+)", details)
    assert scores == sorted(scores, reverse=True)


def test_json_has_what_was_asked_for(run: Run, table: Path) -> None:
    document = json.loads(run(table, "--json", "--errors", 2).stdout)
    assert document["model"] == "several"
    assert document["rows"] == 42
    assert document["unknown_labels"] == {"grief": 1}
    assert len(document["errors"]) == 2
    assert document["errors"][0]["loss"] >= document["errors"][1]["loss"]
    assert set(document["intervals"]) == {"micro_f1", "macro_f1", "subset_accuracy"}
    assert [each["label"] for each in document["per_label"]] == document["labels"] == sorted(WORDS)
    assert [each["name"] for each in document["baselines"]] == ["most frequent label", "TF-IDF + linear"]
    assert document["baselines"][1]["tests"]["macro_f1"]["p_value"] <= 1


def test_thresholds_of_the_user_replace_those_of_the_model(run: Run, table: Path) -> None:
    document = json.loads(run(table, "--json", "--threshold", "1", "--threshold", "joy=0").stdout)
    predicted = {each["label"]: (each["threshold"], each["predicted"]) for each in document["per_label"]}
    assert predicted == {"anger": (1, 0), "fear": (1, 0), "joy": (0, 42)}
    found = run("--threshold", "0", "--json", "happy", command="predict").stdout
    assert sorted(json.loads(found)["labels"]) == sorted(WORDS)
    assert json.loads(run("--threshold", "1", "--json", "happy", command="predict").stdout)["labels"] == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("jou=0.4", "no label 'jou': did you mean 'joy'?"),
        ("Joy=0.4", "no label 'Joy': did you mean 'joy'?"),
        ("a=b=0.4", "no label 'a=b'"),
        ("joy=40", "P from 0 to 1"),
        ("joy", "P from 0 to 1"),
        ("nan", "P from 0 to 1"),
    ],
)
def test_thresholds_that_cannot_be_meant_are_errors(run: Run, table: Path, value: str, message: str) -> None:
    for command, more in (("eval", [table]), ("predict", ["a text"])):
        error = run(*more, "--threshold", value, code=2, command=command).stderr
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.usefixtures("trained_model")
def test_options_of_the_other_kind_of_model_are_errors(run: Run, table: Path) -> None:
    for arguments, message in (
        (["--model", "several", "--target-accuracy", "0.9"], "one label a text"),
        (["--model", "several", "--fail-under", "accuracy=0.9"], "subset_accuracy"),
        (["--model", "first", "--threshold", "0.4"], "any number of labels"),
        (["--model", "first", "--task", "multi"], "one label a text"),
        (["--model", "several", "--model", "first"], "one by one"),
    ):
        error = run(table, *arguments, code=2).stderr
        assert message in error
        assert error.count("\n") == 1


def test_predictions_are_written_row_by_row(run: Run, table: Path, tmp_path: Path) -> None:
    for name in ("rows.csv", "rows.jsonl", "rows.parquet"):
        run(table, "--predictions", tmp_path / name)
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"row", "text", "labels", "predictions", "confidences", "loss"}
    assert rows[40]["text"] == EVIL + " happy"
    assert rows[40]["labels"] == "fear,joy"
    objects = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert objects[41]["labels"] == ["joy"]
    assert len(objects[40]["predictions"]) == len(objects[40]["confidences"])
    assert pq.read_table(tmp_path / "rows.parquet")["labels"].to_pylist()[40] == "fear,joy"


def test_a_score_below_its_limit_is_exit_1(run: Run, table: Path) -> None:
    run(table, "--fail-under", "macro_f1=0", "--fail-under", "lrap=0.1")
    assert "subset_accuracy" in run(table, "--fail-under", "subset_accuracy=1", code=1).stderr


def test_models_are_compared(run: Run, table: Path) -> None:
    arguments = (table, "--model", "several", "--model", "several")
    assert "3 labels that all models know" in run(*arguments).stdout
    document = json.loads(run(*arguments, "--json").stdout)
    assert document["comparison"]["models"][1]["tests"]["macro_f1"]["p_value"] == 1


def test_the_page_has_curves_and_escapes_texts(run: Run, table: Path, tmp_path: Path) -> None:
    run(table, "--report", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<polyline points=") == len(WORDS)
    assert "does not know" in page
    assert EVIL not in page
    assert "&lt;script&gt;" in page


def test_data_of_one_label_a_text_is_scored_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "single.csv"
    path.write_text("text,label\na happy day,joy\nso angry,anger\nno word,fear\n")
    document = json.loads(run(path, "--json", "--task", "single").stdout)
    assert document["rows"] == 3
    assert sum(each["support"] for each in document["per_label"]) == 3


def test_models_and_the_card_show_the_scores(run: Run, several_model: Path) -> None:
    assert "macro F1" in run(command="models").stdout
    summary = json.loads(run("list", "--json", command="models").stdout)["models"][0]
    assert summary["task"] == "multi"
    assert 0 <= summary["test_macro_f1"] <= 1
    assert "val macro f1" in run("show", "several", command="models").stdout
    card = (several_model / "README.md").read_text(encoding="utf-8")
    assert "| label | threshold | precision | recall | F1 | average precision | support |" in card
    assert "subset accuracy" in card


def test_python_takes_thresholds_too(run: Run, table: Path) -> None:
    evaluation = emoclass.evaluate(table, model="several", thresholds={"joy": 0.0})
    assert {each.label: each.threshold for each in evaluation.metrics.per_label}["joy"] == 0  # type: ignore[union-attr]
    every = emoclass.evaluate(table, model="several", thresholds=1.0)
    assert sum(each.predicted for each in every.metrics.per_label) == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("slopes", [None, [1.0], [1.0, 0.0, 1.0], ["1", "1", "1"]])
def test_a_model_without_its_calibration_is_damaged(run: Run, table: Path, slopes: object) -> None:
    path = models_dir() / "several" / "emoclass.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["calibration"]["slopes"] = slopes
    path.write_text(json.dumps(manifest), encoding="utf-8")
    error = run(table, "--model", "several", code=1).stderr
    assert "has no usable calibration" in error
    assert error.count("\n") == 1
