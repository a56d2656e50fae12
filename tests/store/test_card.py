"""The model card is one that the hub and its tools read."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load

from emoclass.config import TrainConfig, TruncationConfig
from emoclass.data.preparation import TrainingData
from emoclass.store.card import model_card, published_card
from emoclass.store.layout import CARD, Manifest
from tests.runs import run_training

LABELS = ('quoted "joy"', "fear: 'deep'", "怒り | wrath", "---\nnew: line", "back`tick")
TEST = {
    "rows": 65,
    "accuracy": 0.6307692307692307,
    "macro_f1": 0.61,
    "weighted_f1": 0.625,
    "intervals": {"accuracy": [0.508, 0.754], "macro_f1": [0.5, 0.73]},
    "calibration": {"ece": 0.034},
    "per_class": [
        {"label": label, "precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 13, "predicted": 7}
        for label in LABELS
    ],
}
MANIFEST = Manifest(
    name="first",
    created_at="2026-11-03T10:00:00+00:00",
    labels=LABELS,
    base_model={"name": "someone/bert-mini", "source": "hub"},
    recipe=TrainConfig(epochs=8),
    truncation=TruncationConfig(max_length=128, head_tokens=31),
    parameters={"trainable_parameters": 1_926_154, "total_parameters": 22_717_066},
    metrics={"best_epoch": 7, "val_accuracy": 0.7, "val_macro_f1": 0.68, "test": TEST},
    calibration={"method": "temperature", "temperature": 1.25, "rows": 65},
    data={"source": "/home/someone/emotions.csv", "rows": {"train": 530, "val": 65, "test": 65}},
    versions={"emoclass": "0.1", "python": "3.11", "torch": "2.5", "device": "cpu", "precision": "bf16"},
)


def load(tmp_path: Path, **changes: Any) -> ModelCard:
    (tmp_path / CARD).write_text(model_card(replace(MANIFEST, **changes)), encoding="utf-8")
    return ModelCard.load(tmp_path / CARD)


def test_the_hub_reads_the_scores_of_the_test_set(tmp_path: Path) -> None:
    data = load(tmp_path).data
    names = [getattr(data, field) for field in ("library_name", "pipeline_tag", "model_name")]
    assert names == ["emoclass", "text-classification", "first"]
    assert {"emotion", "emoclass"} <= set(data.tags)
    assert data.metrics == ["accuracy", "f1"]
    assert (data.base_model, data.base_model_relation) == ("someone/bert-mini", "finetune")
    assert not data.get("datasets")
    assert not data.get("language")
    scores = [
        (each.metric_type, (each.metric_args or {}).get("average"), each.metric_value) for each in data.eval_results
    ]
    assert scores == [("accuracy", None, TEST["accuracy"]), ("f1", "macro", 0.61), ("f1", "weighted", 0.625)]
    assert {(each.task_type, each.dataset_name, each.dataset_split) for each in data.eval_results} == {
        ("text-classification", "emotions.csv", "test")
    }


@pytest.mark.parametrize("source", ['it\'s: "odd".csv', "線\n---\nlicense: mit", "#a {b} [c] %d", "- x: *y &z !t"])
def test_odd_file_names_stay_in_their_field(tmp_path: Path, source: str) -> None:
    data = load(tmp_path, data={**MANIFEST.data, "source": f"/private/{source}"}).data
    assert {each.dataset_name for each in data.eval_results} == {source}
    assert not data.get("license")
    assert "private" not in (tmp_path / CARD).read_text(encoding="utf-8")


def test_odd_labels_break_neither_text_nor_table(tmp_path: Path) -> None:
    text = load(tmp_path).text
    assert '`quoted "joy"`' in text
    assert "`--- new: line`" in text
    assert "``back`tick``" in text
    rows = [line for line in text.splitlines() if line.startswith("|") and "0.3333" in line]
    assert len(rows) == len(LABELS)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_a_base_model_that_is_not_on_the_hub_is_not_linked(tmp_path: Path) -> None:
    card = load(tmp_path, base_model={"name": "/home/someone/bert", "source": "directory"})
    assert not card.data.get("base_model")
    assert not card.data.get("base_model_relation")
    assert "`bert`" in card.text
    assert "huggingface.co" not in card.text
    minilm = load(tmp_path, base_model={"name": "minilm", "source": "offline package"})
    assert minilm.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize("license", [None, "mit"])
def test_a_published_card_is_the_same_but_for_its_use(tmp_path: Path, license: str | None) -> None:
    own = load(tmp_path)
    published = ModelCard(published_card(own.content, MANIFEST, "me/first", license))
    assert published.data.to_dict() == {**own.data.to_dict(), **({"license": license} if license else {})}
    start, _, rest = own.text.partition("## Usage")
    assert published.text.startswith(start)
    assert published.text.endswith(rest[rest.index("## Limitations") :])
    assert published.text.count("me/first") == 3
    assert "DIRECTORY" not in published.text


def test_what_a_card_knows_beside_that_is_kept(tmp_path: Path) -> None:
    card = load(tmp_path).content.replace(
        "library_name: emoclass", "datasets:\n- a/b\nlicense: mit\nlibrary_name: other"
    )
    card = card.replace("## Training", "## Data\n\nBy hand.\n\n## Training")
    published = ModelCard(published_card(card, MANIFEST, "me/first", None))
    assert (published.data.datasets, published.data.license) == (["a/b"], "mit")
    assert published.data.get("library_name") == "emoclass"
    assert "## Data\n\nBy hand.\n\n## Training" in published.text


def test_without_a_test_set_there_are_no_test_scores(tmp_path: Path) -> None:
    rows = {"train": 530, "val": 65}
    card = load(tmp_path, metrics={**MANIFEST.metrics, "test": None}, data={**MANIFEST.data, "rows": rows})
    assert not card.data.get("eval_results")
    assert "0.7000" in card.text
    assert "| test" not in card.text


def test_a_trained_model_has_its_card(parts: TrainingData, config: Any) -> None:
    result = run_training(parts, config(epochs=1), name="first")
    metadata = metadata_load(result.model.directory / CARD)
    (index,) = metadata["model-index"]
    assert index["name"] == "first"
    assert result.test is not None
    assert [metric["value"] for metric in index["results"][0]["metrics"]] == [
        result.test.metrics.accuracy,
        result.test.metrics.macro_f1,
        result.test.metrics.weighted_f1,
    ]
