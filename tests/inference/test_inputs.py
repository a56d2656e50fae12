"""What ``predict`` takes from a program, and what it says about the rest."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from emoclass.inference import classifiers
from emoclass.inference.classifiers import Classifier
from emoclass.inference.predictor import load

TEXTS = ["a happy day", "the dark", "so angry"]


@pytest.fixture
def classifier(tiny_model: Path) -> Classifier:
    return load(tiny_model, task="single", engine="numpy")


@pytest.mark.parametrize(
    "made",
    [
        tuple,
        iter,
        lambda texts: (text for text in texts),
        lambda texts: dict.fromkeys(texts).keys(),
        pd.Series,
        lambda texts: pd.Series(texts, dtype="string", index=[7, 3, 7]),
        lambda texts: pd.Series(texts, dtype="category"),
        pd.Index,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        pa.array,
        lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    ],
)
def test_any_column_of_texts_is_read(classifier: Classifier, made: Callable[[list[str]], Any]) -> None:
    assert list(classifier.predict(made(TEXTS))) == list(classifier.predict(TEXTS))
    np.testing.assert_array_equal(classifier.predict_proba(made(TEXTS)), classifier.predict_proba(TEXTS))


FRAME = pd.DataFrame({"text": TEXTS, "label": ["joy", "fear", "anger"]})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a happy day", r"predict takes many texts, not a string: for a single one use predict\(\[text\]\)"),
        (FRAME, r"takes texts, not a DataFrame: pass one column, as in predict\(frame\['text'\]\)"),
        (pa.Table.from_pandas(FRAME), r"not a Table: pass one column"),
        ({"text": TEXTS}, r"not a dict: pass the texts alone, as in predict\(data\['text'\]\)"),
        (np.array([TEXTS]), r"not an ndarray: pass one column, as in predict\(array\[:, 0\]\)"),
        (np.array("a happy day"), "not an ndarray: pass a list of strings"),
        (None, "takes texts, not None: pass a list of strings"),
        (b"a happy day", "takes texts, not bytes: pass a list of strings"),
        (7, "takes texts, not 7: pass a list of strings"),
    ],
)
def test_what_holds_no_texts_is_an_error_at_once(classifier: Classifier, texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        classifier.predict(texts)
    with pytest.raises(TypeError, match=message.replace("predict", "predict_proba")):
        classifier.predict_proba(texts)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, TypeError, "is None, not a string: leave it out, or pass '' for no text"),
        (float("nan"), TypeError, "is nan, not a string: leave it out"),
        (pd.NA, TypeError, "is <NA>, not a string: leave it out"),
        (b"bytes", TypeError, r"is bytes, not a string: decode it first, as in text.decode\(\)"),
        (7, TypeError, r"is 7, not a string: convert it with str\(\)"),
        (np.int64(7), TypeError, r"is an int64, not a string: convert it with str\(\)"),
        (["a", "b"], TypeError, "is a list, not a string: pass a flat list of strings"),
        ({"text": "a"}, TypeError, r"is a dict, not a string: pass its text, as in row\['text'\]"),
        ("so \ud83d sad", ValueError, r"has a lone surrogate \(\\ud83d\) at character 3: text.encode\('utf-16', "),
    ],
)
def test_what_is_no_text_is_named_by_its_place(
    classifier: Classifier, text: Any, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifiers, "WINDOW", 4)
    texts = [*TEXTS, *TEXTS, text, *TEXTS]
    predictions: list[object] = []
    with pytest.raises(error, match=rf"^predict: texts\[6\] {message}"):  # noqa: PT012
        for prediction in classifier.predict(iter(texts)):
            predictions.append(prediction)
    assert predictions == list(classifier.predict(TEXTS * 2)), "the texts before it are predicted"
    with pytest.raises(error, match=rf"^predict_proba: texts\[6\] {message}"):
        classifier.predict_proba(texts)


def test_the_advice_for_a_surrogate_mends_it(classifier: Classifier) -> None:
    halves = "so \ud83d\ude00 and \ud83d"
    mended = halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert mended == "so 😀 and �"
    assert classifier.predict_text(mended)[0]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (TEXTS, TypeError, "takes one text as a string, not a list: for many use predict"),
        (FRAME, TypeError, "not a DataFrame: for many use predict"),
        (None, TypeError, "not None: leave it out"),
        (b"so sad", TypeError, "not bytes: decode it first"),
        ("\udc00", ValueError, "the text has a lone surrogate"),
    ],
)
def test_one_text_is_a_string(classifier: Classifier, text: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^predict_text.*{message}"):
        classifier.predict_text(text)


def test_texts_after_a_bad_one_are_not_read(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "WINDOW", 2)
    read: list[Any] = []

    def endless() -> Iterator[Any]:
        while True:
            read.append(1)
            yield "a happy day" if len(read) < 4 else None

    with pytest.raises(TypeError, match=r"texts\[3\]"):
        list(classifier.predict(endless()))
    assert len(read) == 4
