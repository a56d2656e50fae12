"""The commands, as a user types them, on a tiny model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoclass import __version__
from emoclass.runtime import models_dir
from emoclass.training.train import TrainResult
from tests.conftest import emotion_rows, in_models_dir

Run = Callable[..., Any]


def test_version(cli: Run) -> None:
    assert cli("--version").stdout == f"emoclass {__version__}\n"


def test_train_reports_epochs_test_scores_and_where_the_model_is(tiny_train: Run) -> None:
    result = tiny_train("--name", "first", "--details")
    assert result.exit_code == 0, result.output
    for part in ("Epochs", "train loss", "val accuracy", "(kept)", "macro", "weighted", "Confusion matrix", "anger"):
        assert part in result.stdout
    assert f"model first: {models_dir() / 'first'}" in result.stdout
    assert "parameters are trainable" in result.stderr
    assert "epoch 2/2: train loss" in result.stderr


def test_train_prints_one_json_document(tiny_train: Run) -> None:
    document = json.loads(tiny_train("--name", "first", "--json").stdout)
    assert document["name"] == "first"
    assert document["total_parameters"] > document["trainable_parameters"] > 0
    assert [epoch["epoch"] for epoch in document["history"]] == [1, 2]
    assert {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"} <= set(document["history"][0])
    assert set(document["test"]) >= {"accuracy", "macro_f1", "weighted_f1", "confusion_matrix", "per_class"}


def test_options_reach_the_recipe(tiny_train: Run, cli: Run) -> None:
    options = {
        "--name": "first", "--seed": "3", "--unfreeze": "all", "--weight-decay": "0.2", "--warmup-ratio": "0.5",
        "--max-grad-norm": "2", "--head-tokens": "7", "--precision": "fp32", "--device": "cpu", "--ratios": "60/20/20",
    }  # fmt: skip
    assert tiny_train(*[word for pair in options.items() for word in pair]).exit_code == 0
    manifest = json.loads(cli("models", "show", "first", "--json").stdout)
    recipe = manifest["recipe"]
    assert (recipe["seed"], recipe["unfreeze"], recipe["weight_decay"]) == (3, "all", 0.2)
    assert (recipe["warmup_ratio"], recipe["max_grad_norm"], recipe["epochs"]) == (0.5, 2.0, 2)
    assert manifest["truncation"] == {"max_length": 40, "head_tokens": 7}
    assert manifest["data"]["rows"] == {"train": 36, "val": 12, "test": 12}
    assert manifest["parameters"]["trainable_parameters"] == manifest["parameters"]["total_parameters"]


@pytest.mark.parametrize(
    ("options", "ways"),
    [
        (
            ("--recipe", "reference", "--learning-rate", "1e-4"),
            "--recipe auto, --recipe best, more --epochs or --tune 20",
        ),
        (("--recipe", "fast", "--learning-rate", "1e-3"), "--recipe auto, --recipe best, more --epochs or --tune 20"),
        (
            ("--recipe", "best", "--learning-rate", "1e-4", "--unfreeze", "1"),
            "--unfreeze encoder, more --epochs or --tune 20",
        ),
        (("--recipe", "best", "--learning-rate", "1e-4", "--seeds", "2"), "more --epochs"),
        (("--recipe", "best", "--learning-rate", "1e-4", "--unfreeze", "auto"), "more --epochs"),
        (("--recipe", "best", "--learning-rate", "1e-4"), "more --epochs or --tune 20"),
    ],
)
def test_a_model_that_still_learns_is_told_what_it_has_not_tried(
    tiny_train: Run, options: tuple[str, ...], ways: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainResult, "still_learning", True)
    assert f"still learning when training ended; try {ways}\n" in tiny_train(*options).stderr


def test_what_train_prints_fits_a_screen(tiny_train: Run) -> None:
    result = tiny_train("--name", "first")
    for part in ("of 2 kept: val accuracy", "macro F1", "TF-IDF + linear", "█", "most confused", "calibration error"):
        assert part in result.stdout
    lines = result.stdout.splitlines() + [line for line in result.stderr.splitlines() if line.startswith("warning")]
    assert len(lines) <= 24 - (10 - 3)  # ten classes would take seven lines more


def test_what_is_given_goes_before_the_recipe(tiny_train: Run, cli: Run) -> None:
    result = tiny_train("--name", "first", "--recipe", "fast", "--metric", "macro_f1", "--class-weights", "sqrt")
    assert result.exit_code == 0, result.output
    recipe = json.loads(cli("models", "show", "first", "--json").stdout)["recipe"]
    assert (recipe["epochs"], recipe["train_pooler"]) == (2, True)
    assert (recipe["metric"], recipe["class_weights"]) == ("macro_f1", "sqrt")
    assert "kept: val accuracy" in result.stdout


def test_few_texts_get_more_epochs_where_steps_are_asked_for(tiny_train: Run) -> None:
    result = tiny_train("--min-steps", "31", "--batch-size", "8")  # 48 texts: six steps an epoch
    assert result.exit_code == 0, result.output
    assert "epoch 6/6: train loss" in result.stderr


def test_a_recipe_that_there_is_not_names_those_that_there_are(tiny_train: Run) -> None:
    result = tiny_train("--recipe", "slow")
    assert result.exit_code == 2
    assert "--recipe slow is not one of auto, reference, fast, small, best" in result.stderr


def test_tune_shows_its_trials_and_what_they_gained(tiny_train: Run) -> None:
    pytest.importorskip("optuna")
    result = tiny_train("--tune", "3", "--unfreeze", "1")
    assert result.exit_code == 0, result.output
    assert "trial 3: " in result.stderr
    for part in ("Trials", "(best)", "weight decay", "complete*", "with the initial settings", "significant"):
        assert part in result.stdout
    document = json.loads(tiny_train("--tune", "3", "--unfreeze", "1", "--json").stdout)
    assert [trial["number"] for trial in document["tuning"]["trials"]] == [1, 2, 3]
    assert document["tuning"]["gain"]["part"] == "test"


@pytest.mark.usefixtures("trained_model")
def test_eval_scores_a_file_and_a_directory(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    result = cli("eval", emotions_csv)
    assert result.exit_code == 0, result.output
    assert "60 rows, accuracy" in result.stdout
    assert "the model's training set contains 48 of these texts" in result.stderr
    assert cli("split", emotions_csv, "--output-dir", tmp_path / "parts").exit_code == 0
    document = json.loads(cli("eval", tmp_path / "parts", "--json").stdout)
    assert document["rows"] == 6


@pytest.mark.usefixtures("trained_model")
def test_eval_reads_csv_on_stdin(cli: Run) -> None:
    result = cli("eval", "-", "--json", input="text,label\na happy day,joy\nso mad,anger\n")
    assert json.loads(result.stdout)["rows"] == 2


@pytest.mark.usefixtures("trained_model")
def test_predict_answers_each_line_in_order(cli: Run) -> None:
    texts = [text for text, _ in emotion_rows()]
    lines = cli("predict", input="\n".join(texts)).stdout.splitlines()
    alone = [cli("predict", text).stdout.strip() for text in texts[:3]]
    assert lines[:3] == alone
    assert len(lines) == len(texts)
    for line in lines:
        label, confidence = line.split("\t")
        assert label in {"joy", "fear", "anger"}
        assert 1 / 3 <= float(confidence) <= 1


@pytest.mark.usefixtures("trained_model")
def test_predict_names_runners_up(cli: Run) -> None:
    fields = cli("predict", "a happy day", "--top-k", "2").stdout.rstrip("\n").split("\t")
    assert len(fields) == 4
    assert float(fields[1]) >= float(fields[3])
    record = json.loads(cli("predict", "a happy day", "-k", "3", "--output-format", "jsonl").stdout)
    assert record["text"] == "a happy day"
    assert record["label"] == record["top_k"][0]["label"] == fields[0]
    assert sum(entry["confidence"] for entry in record["top_k"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.usefixtures("trained_model")
def test_an_empty_line_has_an_empty_label_and_is_counted(cli: Run) -> None:
    result = cli("predict", input="a happy day\n\nso mad\n")
    assert [line.split("\t")[0] == "" for line in result.stdout.splitlines()] == [False, True, False]
    assert "3 records" in result.stderr
    assert "1 empty" in result.stderr


def test_no_models_are_listed_as_none(cli: Run) -> None:
    assert "there is no trained model" in cli("models", "list").stderr


@pytest.mark.usefixtures("trained_model")
def test_models_are_listed_shown_and_removed(tiny_train: Run, cli: Run) -> None:
    tiny_train("--name", "second")
    names = [model["name"] for model in json.loads(cli("models", "list", "--json").stdout)["models"]]
    assert names == ["second", "first", "starter"]
    assert "second" in cli("models", "list").stdout
    assert "anger, fear, joy" in cli("models", "show", "first").stdout
    assert cli("models", "path", "first").stdout == f"{models_dir() / 'first'}\n"
    assert "removed" in cli("models", "remove", "first").stderr
    assert in_models_dir() == ["second"]


def test_inspect_data_shows_what_needs_a_decision(cli: Run, tiny_base: Path, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = [*emotion_rows(12), *emotion_rows(12)[:2], (emotion_rows(12)[0][0], "anger"), ("", "joy"), ("alone", "envy")]
    path.write_text("Text,Emotion\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    result = cli("inspect-data", path, "--base-model", tiny_base)
    assert result.exit_code == 0, result.output
    for part in ("Classes", "█", "tokens", "removed: duplicate", "Findings", "envy"):
        assert part in result.stdout
    document = json.loads(cli("inspect-data", path, "--base-model", tiny_base, "--json").stdout)
    (part,) = document["parts"]
    assert part["removed"]["duplicate"] == 2
    assert part["conflicts"] == 1
    assert part["tokens"]["limit"] == 38
    assert {"conflicting_labels", "small_class", "empty_rows"} <= {f["code"] for f in document["findings"]}
    assert cli("inspect-data", path, "--strict").exit_code == 1


def test_inspect_data_does_without_a_tokenizer(cli: Run, emotions_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emoclass.encoders.base._OFFLINE_PACKAGE", "no_such_package")
    result = cli("inspect-data", emotions_csv, "--strict")
    assert result.exit_code == 0, result.output
    assert "nothing needs a decision" in result.stdout
    assert "tokens are not counted" in result.stderr
    assert "tokens" not in result.stdout


def test_split_writes_parts_that_train_takes(cli: Run, emotions_csv: Path, tiny_base: Path, tmp_path: Path) -> None:
    result = cli("split", emotions_csv, "-o", tmp_path / "parts", "--ratios", "60/20/20", "--json")
    assert json.loads(result.stdout)["parts"]["train"]["rows"] == 36
    options = ["--base-model", tiny_base, "--max-length", 40, "--epochs", 1, "--name", "from-parts", "--json"]
    document = json.loads(cli("train", tmp_path / "parts", *options).stdout)
    assert document["data"]["rows"] == {"train": 36, "val": 12, "test": 12}


def test_python_functions_do_what_the_commands_do(emotions_csv: Path, tiny_base: Path) -> None:
    import emoclass

    recipe = {"epochs": 2, "learning_rate": 0.02, "batch_size": 8, "max_length": 40, "train_pooler": True}
    result = emoclass.train(emotions_csv, base_model=str(tiny_base), name="mine", **recipe)
    assert result.test is not None
    label, confidence = emoclass.load("mine").predict_text("a happy day")
    assert emoclass.predict_text("a happy day", model="mine") == (label, confidence)
    assert emoclass.evaluate(emotions_csv).metrics.rows == 60
    with pytest.raises(emoclass.EmoclassError, match="learning_speed"):
        emoclass.train(emotions_csv, learning_speed=3)


def test_terminal_escapes_in_data_do_no_harm(cli: Run, tiny_base: Path, tmp_path: Path) -> None:
    rows = [(text, "\x1b[31mjoy\x07" if label == "joy" else label) for text, label in emotion_rows()]
    path = tmp_path / "escapes.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    options = ["--base-model", tiny_base, "--max-length", 40, "--epochs", 1, "--name", "escaped"]
    for result in (cli("inspect-data", path), cli("train", path, *options), cli("models", "show", "escaped")):
        assert result.exit_code == 0, result.output
        assert "\x1b[31m" not in result.output
        assert "\x07" not in result.output


def test_a_copied_model_directory_can_be_used(trained_model: Path, cli: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(trained_model, tmp_path / "copy")
    expected = cli("predict", "a happy day", "--model", "first").stdout
    assert cli("predict", "a happy day", "--model", copy).stdout == expected
