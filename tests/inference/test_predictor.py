"""Predictions are in order and do not depend on the other texts of a batch."""

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoclass.data.options import DataOptions
from emoclass.errors import ConfigError
from emoclass.inference import classifiers
from emoclass.inference.classifiers import Classifier
from emoclass.inference.predictor import load
from tests.conftest import emotion_rows

TEXTS = [text for text, _ in emotion_rows()] + ["happy", "x y z", "very " * 100 + "sad"]


@pytest.fixture
def classifier(tiny_model: Path) -> Classifier:
    return load(tiny_model, precision="fp32")


def test_predictions_are_in_order_and_do_not_depend_on_the_batch(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifiers, "WINDOW", 7)
    together = list(classifier.predict(TEXTS, top_k=3))
    for text, prediction in zip(TEXTS, together, strict=True):
        label, confidence = classifier.predict_text(text)
        assert (label, confidence) == (prediction.label, pytest.approx(prediction.confidence, abs=1e-5))
        assert prediction.top_k[0] == (prediction.label, prediction.confidence)
        assert sum(probability for _, probability in prediction.top_k) == pytest.approx(1, abs=1e-5)
    assert [p.truncated for p in together] == [False] * (len(TEXTS) - 1) + [True]


def test_probabilities_have_a_column_per_label(classifier: Classifier) -> None:
    probabilities = classifier.predict_proba(TEXTS)
    assert probabilities.shape == (len(TEXTS), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert [classifier.labels[i] for i in probabilities.argmax(axis=1)] == [p.label for p in classifier.predict(TEXTS)]
    assert classifier.predict_proba([]).shape == (0, 3)


def test_predict_is_lazy(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "WINDOW", 4)
    read = []

    def endless() -> Iterator[str]:
        while True:
            read.append(1)
            yield "a happy day"

    next(classifier.predict(endless()))
    assert len(read) == 4


def test_blank_texts_have_no_label(classifier: Classifier) -> None:
    predictions = list(classifier.predict(["", "  \t", "happy"], top_k=2))
    assert [bool(p.label) for p in predictions] == [False, False, True]
    assert predictions[0].confidence == 0
    assert predictions[0].top_k == ()


def test_misuse_is_an_error(classifier: Classifier) -> None:
    with pytest.raises(ConfigError, match="--top-k 0"):
        classifier.predict(TEXTS, top_k=0)
    assert len(next(classifier.predict(TEXTS, top_k=99)).top_k) == 3


def test_it_can_be_pickled_and_used_by_several_threads(classifier: Classifier) -> None:
    copy = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(copy.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    assert copy.labels == classifier.labels
    alone = [p.label for p in classifier.predict(TEXTS)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: [p.label for p in classifier.predict(TEXTS)], range(8)))
    assert together == [alone] * 8


def test_loading_a_classifier_bounds_the_kernels_that_stay_in_memory(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.delenv(name, raising=False)
    load(tiny_model, engine="torch")
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) <= 32
    assert int(os.environ["LRU_CACHE_CAPACITY"]) <= 64


def test_an_unknown_task_is_one_clear_line(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="task 'nonsense' is not known; use 'single' or 'multi'"):
        load(tiny_model, task="nonsense")  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="--task nonsense is not known; use single or multi"):
        DataOptions(task="nonsense")  # type: ignore[arg-type]


def test_a_device_of_torch_is_one(tiny_model: Path) -> None:
    device: Any = torch.device("cpu")
    for engine in ("numpy", "torch"):
        assert load(tiny_model, device=device, engine=engine).predict_text("so happy")
