"""Scores are scikit-learn's, and what makes them less than they seem is said."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

import emoclass
from emoclass.config import TrainConfig
from emoclass.data.folding import text_hashes
from emoclass.data.preparation import TrainingData
from emoclass.errors import DataError
from emoclass.evaluation.metrics import compute_metrics
from emoclass.evaluation.report import evaluate_classifier
from emoclass.inference.predictor import load
from emoclass.training.run import run_training

LABELS = ("anger", "fear", "joy", "love")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60), st.integers(0, 2**16))
def test_metrics_are_those_of_scikit_learn(pairs: list[tuple[int, int]], seed: int) -> None:
    true, predicted = np.array(pairs).T
    probabilities = np.random.default_rng(seed).random((len(true), 4), dtype=np.float32) * 0.5 + 0.01
    probabilities[np.arange(len(true)), predicted] += 1
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    exact = probabilities.astype(float)
    exact /= exact.sum(axis=1, keepdims=True)
    metrics = compute_metrics(LABELS, true, probabilities)
    present = sorted(set(true))
    assert metrics.accuracy == pytest.approx(accuracy_score(true, predicted))
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(true, predicted, labels=present, average=average, zero_division=0)
        ours = [getattr(metrics, f"{average}_{score}") for score in ("precision", "recall", "f1")]
        assert ours == pytest.approx(expected[:3])
    each = f1_score(true, predicted, labels=range(4), average=None, zero_division=0)
    assert [scores.f1 for scores in metrics.per_class] == pytest.approx(list(each))
    assert metrics.loss == pytest.approx(log_loss(true, exact, labels=range(4)), rel=1e-4)
    assert sum(map(sum, metrics.confusion_matrix)) == len(true)
    assert metrics.absent_labels == tuple(LABELS[i] for i in range(4) if i not in present)
    for row, shares in zip(metrics.confusion_matrix, metrics.confusion_matrix_normalized, strict=True):
        assert sum(shares) == pytest.approx(1 if sum(row) else 0)


@pytest.fixture
def trained(parts: TrainingData, config: Callable[..., TrainConfig]) -> TrainingData:
    run_training(parts, config())
    return parts


def test_unknown_absent_and_seen_are_reported(trained: TrainingData) -> None:
    train = trained.train
    texts = [*train.texts[:5], "quite another happy text", "something else again", "and one more"]
    labels = [*train.labels[:5], train.labels[0], "envy", "envy"]
    data = replace(train, name="mixed.csv", texts=texts, labels=labels, rows=np.arange(1, 9))
    progress: list[int] = []
    evaluation = evaluate_classifier(load(), data, training_hashes=text_hashes(train.texts), on_texts=progress.append)
    assert evaluation.metrics.rows == 6
    assert evaluation.unknown_labels == {"envy": 2}
    assert set(evaluation.metrics.absent_labels) == {"anger", "fear", "joy"} - set(labels)
    assert evaluation.seen_in_training == 5
    assert evaluation.accuracy_unseen in (0.0, 1.0)
    assert sum(progress) == 6
    document = evaluation.to_dict()
    assert {"accuracy", "macro_f1", "weighted_f1", "per_class", "confusion_matrix", "unknown_labels"} <= set(document)


def test_the_report_has_what_a_careful_reader_asks_for(trained: TrainingData) -> None:
    evaluation = emoclass.evaluate(trained.source)
    document = evaluation.to_dict()
    json.dumps(document)
    assert document["intervals"]["accuracy"][0] <= document["accuracy"] <= document["intervals"]["accuracy"][1]
    assert [each["name"] for each in document["baselines"]] == ["majority class", "TF-IDF + linear"]
    assert document["baselines"][0]["accuracy"] == pytest.approx(1 / 3, abs=0.02)
    assert sum(each["rows"] for each in document["by_length"]) == document["rows"] + document["truncated"]
    assert document["coverage"][-1]["coverage"] == 1
    assert document["coverage"][-1]["accuracy"] == pytest.approx(document["accuracy"])
    mistakes = sum(pair["rows"] for pair in document["most_confused"])
    assert mistakes == round((1 - document["accuracy"]) * document["rows"])
    rows = evaluation.rows
    assert rows.losses.mean() == pytest.approx(document["loss"])
    assert rows.correct.mean() == pytest.approx(document["accuracy"])


def test_case_and_blanks_do_not_hide_a_training_text(trained: TrainingData) -> None:
    train = trained.train
    data = replace(train, texts=[f"  {train.texts[0].upper()} "], labels=train.labels[:1], rows=np.array([1]))
    evaluation = evaluate_classifier(load(), data, training_hashes=text_hashes(train.texts))
    assert evaluation.seen_in_training == 1
    assert evaluation.accuracy_unseen is None


def test_data_of_other_classes_is_an_error(trained: TrainingData) -> None:
    data = replace(trained.train, labels=["envy"] * len(trained.train))
    with pytest.raises(DataError, match="none of its labels \\('envy'\\) is known to the model"):
        evaluate_classifier(load(), data, training_hashes=np.array([], dtype=np.int64))
