"""Scores equal those of scikit-learn, and everything that qualifies them is reported."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

import emoclass
from emoclass.data.cleaning import stream as labelled
from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.options import DataOptions
from emoclass.data.preparation import TrainingData
from emoclass.data.similarity.folding import text_hashes, training_hashes
from emoclass.encoders.tokenization import TokenizedTexts
from emoclass.errors import DataError
from emoclass.evaluation.metrics import compute_metrics, confusion_matrix, log_losses
from emoclass.evaluation.report import evaluate
from emoclass.evaluation.scoring import Scoring
from emoclass.inference.classifiers import Classifier
from emoclass.inference.predictor import load
from emoclass.store import layout
from emoclass.store.checkpoints import find_model

LABELS = ("anger", "fear", "joy", "love")


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60), st.integers(0, 2**16))
def test_metrics_are_those_of_scikit_learn(pairs: list[tuple[int, int]], seed: int) -> None:
    true, predicted = np.array(pairs).T
    probabilities = np.random.default_rng(seed).random((len(true), 4), dtype=np.float32) * 0.5 + 0.01
    probabilities[np.arange(len(true)), predicted] += 1
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    exact = probabilities.astype(float)
    exact /= exact.sum(axis=1, keepdims=True)
    losses = log_losses(probabilities, true)
    metrics = compute_metrics(LABELS, confusion_matrix(true, predicted, 4), float(losses.mean()))
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


class TextBlindClassifier:
    """A classifier whose logits do not depend on the texts."""

    labels = LABELS

    def tokenizer(self, texts: list[str]) -> TokenizedTexts:
        offsets = np.arange(len(texts) + 1)
        return TokenizedTexts(np.ones(len(texts), np.int32), offsets, np.zeros(len(texts), np.bool_))

    def logits(self, tokenized: TokenizedTexts) -> Any:
        return np.cos(np.arange(4.0 * len(tokenized), dtype=np.float32)).reshape(-1, 4)


def test_a_scored_row_takes_few_bytes_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "BLOCK_ROWS", 256)

    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        texts = (f"{number} {'and words ' * 40}" for number in range(rows))
        path.write_text("text,label\n" + "".join(f"{text},{LABELS[len(text) % 4]}\n" for text in texts))
        tracemalloc.start()
        with LabelledReader(path, DataOptions()) as data:
            scoring = Scoring(cast(Classifier, TextBlindClassifier()), training_hashes=np.arange(10), kept_mistakes=10)
            (evaluation,) = evaluate([scoring], data)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert evaluation.metrics.rows == rows
        assert [mistake.loss for mistake in evaluation.mistakes] == sorted(
            evaluation.rows.losses[~evaluation.rows.correct], reverse=True
        )[:10]
        return used

    peak(100)
    few, many = peak(5_000), peak(25_000)
    assert many - few < 100 * 20_000


@pytest.fixture
def trained(parts: TrainingData, trained_model: Path) -> TrainingData:
    """What the only trained model was trained on."""
    return parts


def test_unknown_absent_and_seen_are_reported(trained: TrainingData) -> None:
    train = trained.train
    texts = [*train.texts[:5], "quite another happy text", "something else again", "and one more"]
    labels = [*train.labels[:5], train.labels[0], "envy", "envy"]
    data = replace(train, name="mixed.csv", texts=texts, labels=labels, rows=np.arange(1, 9))
    progress: list[int] = []
    scoring = Scoring(load(), training_hashes=text_hashes(train.texts))
    (evaluation,) = evaluate([scoring], data, on_rows=lambda rows, total: progress.append(rows))
    assert evaluation.metrics.rows == 6
    assert evaluation.unknown_labels == {"envy": 2}
    assert set(evaluation.metrics.absent_labels) == {"anger", "fear", "joy"} - set(labels)
    assert evaluation.seen_in_training == 5
    assert evaluation.accuracy_unseen in (0.0, 1.0)
    assert sum(progress) == 8
    document = evaluation.to_dict()
    assert {"accuracy", "macro_f1", "weighted_f1", "per_class", "confusion_matrix", "unknown_labels"} <= set(document)


def test_the_report_has_intervals_baselines_and_coverage(trained: TrainingData) -> None:
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


def test_training_texts_are_recognized_despite_case_and_whitespace(trained: TrainingData) -> None:
    train = trained.train
    data = replace(train, texts=[f"  {train.texts[0].upper()} "], labels=train.labels[:1], rows=np.array([1]))
    (evaluation,) = evaluate([Scoring(load(), training_hashes=text_hashes(train.texts))], data)
    assert evaluation.seen_in_training == 1
    assert evaluation.accuracy_unseen is None


@pytest.mark.parametrize("hashes_of", [training_hashes, text_hashes], ids=["new model", "model of an earlier version"])
def test_training_texts_are_recognized_despite_punctuation(trained: TrainingData, hashes_of: Any) -> None:
    texts = ["I’m so happy!!", "i am so happy :(", "are you happy?", "are you happy."]
    labels = trained.train.labels[:1] * len(texts)
    data = replace(trained.train, texts=texts, labels=labels, rows=np.arange(1, 5))
    hashes = hashes_of(["im so happy", "i am so happy", "are you happy."])
    (evaluation,) = evaluate([Scoring(load(), training_hashes=hashes)], data)
    assert evaluation.seen_in_training == 2


def test_a_model_keeps_hashes_of_its_texts_with_and_without_punctuation(trained: TrainingData) -> None:
    """Earlier versions know those with punctuation only."""
    train = trained.train
    data = replace(train, texts=[f'"{text}!"' for text in train.texts])
    stored = np.load(find_model(None).directory / layout.TRAINING_HASHES)
    assert np.isin(text_hashes(train.texts), stored).all()
    (evaluation,) = evaluate([Scoring(load(), training_hashes=stored)], data)
    assert evaluation.seen_in_training == len(train)


def test_data_of_other_classes_is_an_error(trained: TrainingData) -> None:
    data = replace(trained.train, labels=["envy"] * len(trained.train))
    with pytest.raises(DataError, match="the model knows none of its labels \\('envy'\\)"):
        evaluate([Scoring(load(), training_hashes=np.array([], dtype=np.int64))], data)
