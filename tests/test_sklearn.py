"""The estimator works where scikit-learn's own do."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer
from sklearn.utils import estimator_checks

from emoclass.data.options import DataOptions
from emoclass.errors import DataError
from emoclass.runtime import models_dir
from emoclass.sklearn import EmotionClassifier
from tests.conftest import emotion_rows

TEXTS, LABELS = (list(column) for column in zip(*emotion_rows(), strict=True))


@pytest.fixture
def estimator(tiny_base: Path) -> EmotionClassifier:
    settings = {"train_pooler": True}
    return EmotionClassifier(
        base_model=str(tiny_base), recipe="reference", epochs=20, batch_size=8, learning_rate=0.02, max_length=40,
        device="cpu", validation_fraction=0.2, settings=settings,
    )  # fmt: skip


def test_it_learns_labels_and_leaves_no_model_behind(estimator: EmotionClassifier) -> None:
    fitted = estimator.fit(TEXTS, LABELS)
    assert fitted is estimator
    assert fitted.classes_.tolist() == ["anger", "fear", "joy"]
    probabilities = fitted.predict_proba(TEXTS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (fitted.predict(TEXTS) == fitted.classes_[probabilities.argmax(axis=1)]).all()
    assert fitted.score(TEXTS, LABELS) > 0.5
    assert not models_dir().exists() or not list(models_dir().glob("[!.]*"))


@pytest.mark.parametrize("kind", [np.array, pd.Series, tuple])
def test_columns_of_any_kind_train_the_same(estimator: EmotionClassifier, kind: Any) -> None:
    expected = clone(estimator).fit(TEXTS, LABELS).predict_proba(TEXTS)
    np.testing.assert_array_equal(estimator.fit(kind(TEXTS), kind(LABELS)).predict_proba(kind(TEXTS)), expected)


def test_labels_that_are_numbers_stay_numbers(estimator: EmotionClassifier) -> None:
    numbers = [10 * ["joy", "fear", "anger"].index(label) - 10 for label in LABELS]
    fitted = estimator.fit(TEXTS, numbers)
    assert fitted.classes_.tolist() == [-10, 0, 10]
    assert fitted.predict(TEXTS).dtype == np.asarray(numbers).dtype
    assert fitted.score(TEXTS, numbers) > 0.5


def test_several_labels_are_an_indicator_matrix(estimator: EmotionClassifier) -> None:
    lists = [[label, "loud"] if number % 2 else [label] for number, label in enumerate(LABELS)]
    matrix = MultiLabelBinarizer().fit_transform(lists)
    fitted = estimator.fit(TEXTS, matrix)
    assert fitted.classes_.tolist() == [0, 1, 2, 3]
    assert fitted.predict(TEXTS).shape == fitted.predict_proba(TEXTS).shape == matrix.shape
    assert set(np.unique(fitted.predict(TEXTS))) <= {0, 1}
    fitted.score(TEXTS, matrix)
    named = estimator.fit(TEXTS, pd.DataFrame(matrix, columns=["anger", "fear", "joy", "loud"]))
    assert named.classes_.tolist() == ["anger", "fear", "joy", "loud"]
    assert named.predict(["", " "]).tolist() == [[0] * 4] * 2
    assert [each.labels for each in named.classifier_.predict([""])] == [()]
    with pytest.raises(ValueError, match=r"MultiLabelBinarizer\(\)"):
        estimator.fit(TEXTS, lists)


def test_it_can_be_cloned_pickled_and_set(estimator: EmotionClassifier) -> None:
    assert estimator.get_params()["epochs"] == 20
    copy = clone(estimator).set_params(epochs=1)
    assert (copy.epochs, estimator.epochs) == (1, 20)
    with pytest.raises(NotFittedError):
        copy.predict(TEXTS)
    restored = pickle.loads(pickle.dumps(copy.fit(TEXTS, LABELS)))
    np.testing.assert_array_equal(restored.predict_proba(TEXTS), copy.predict_proba(TEXTS))


def test_parameters_may_be_numbers_of_numpy_paths_and_devices(estimator: EmotionClassifier, tiny_base: Path) -> None:
    numbers = {"epochs": np.int64(1), "learning_rate": np.float32(0.02), "seed": np.int32(3), "unfreeze": np.int8(1)}
    fitted = clone(estimator).set_params(
        **numbers, base_model=tiny_base, batch_size=np.int16(8), max_length=np.uint8(40),
        device=torch.device("cpu"), validation_fraction=np.float32(0.2),
        settings={"train_pooler": np.True_, "patience": np.int64(1), "max_minutes": np.float64(5)},
    ).fit(TEXTS, LABELS)  # fmt: skip
    assert fitted.predict(TEXTS[:2]).shape == (2,)


def test_options_of_reading_are_settings(estimator: EmotionClassifier) -> None:
    labels = ["rare", *LABELS[1:]]
    with pytest.raises(DataError, match="--min-class-rows 2"):
        estimator.fit(TEXTS, labels)
    settings: dict[str, Any] = {"train_pooler": True, "options": DataOptions(min_class_rows=2)}
    fitted = clone(estimator).set_params(settings=settings, epochs=1).fit(TEXTS, labels)
    assert fitted.classes_.tolist() == ["anger", "fear", "joy", "rare"]
    assert not fitted.predict_proba(TEXTS)[:, 3].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"directory": "here"}, "^settings: fit decides on directory itself: leave it out$"),
        ({"ratios": (80, 20, 0)}, "^settings: fit decides on ratios itself"),
        ({"options": DataOptions(label_column="label")}, "^settings: fit decides on the columns and the task itself"),
        ({"options": DataOptions(min_class_rows=2, merge_into="other")}, "merge_into='other' is not a class of y"),
    ],
)
def test_what_fit_decides_on_is_no_setting(estimator: EmotionClassifier, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimator.set_params(settings=settings).fit(TEXTS, LABELS)


@pytest.mark.slow
def test_it_goes_into_pipelines_and_searches(estimator: EmotionClassifier) -> None:
    pipeline = Pipeline(
        [("lower", FunctionTransformer(lambda texts: [t.lower() for t in texts])), ("model", estimator)]
    )
    assert cross_val_score(pipeline, TEXTS, LABELS, cv=2).shape == (2,)
    search = GridSearchCV(estimator, {"epochs": np.arange(1, 3), "seed": [1]}, cv=2).fit(TEXTS, LABELS)
    assert search.best_params_["epochs"] in (1, 2)
    assert search.predict(TEXTS[:3]).shape == (3,)


def test_misuse_is_one_clear_line(estimator: EmotionClassifier) -> None:
    with pytest.raises(ValueError, match="X has 60 texts and y 59 labels"):
        estimator.fit(TEXTS, LABELS[1:])
    with pytest.raises(TypeError, match=r"^fit: texts\[2\] is None"):
        estimator.fit([*TEXTS[:2], None, *TEXTS[3:]], LABELS)
    with pytest.raises(TypeError, match=r"pass one column, as in fit\(frame\['text'\]\)"):
        estimator.fit(pd.DataFrame({"text": TEXTS}), LABELS)
    with pytest.raises(ValueError, match="missing labels"):
        estimator.fit(TEXTS, [None, *LABELS[1:]])
    with pytest.raises(ValueError, match=r"the label \"\['joy'\]\" would be read as 'joy'"):
        estimator.fit(TEXTS, ["['joy']" if label == "joy" else label for label in LABELS])
    with pytest.raises(ValueError, match="the label ' joy' would be read as 'joy'"):
        estimator.fit(TEXTS, [label.replace("joy", " joy") for label in LABELS])
    for fraction in (1, None, "0.1"):
        with pytest.raises(ValueError, match=f"validation_fraction={fraction} is not between 0 and 1"):
            clone(estimator).set_params(validation_fraction=fraction).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    "name",
    [
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimator_cloneable",
    ],
)
def test_what_scikit_learn_checks_without_data_holds(name: str) -> None:
    getattr(estimator_checks, name)("EmotionClassifier", EmotionClassifier())
