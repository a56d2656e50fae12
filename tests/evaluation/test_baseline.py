"""The baseline fits, is saved as plain arrays, and predicts the same after loading."""

import json
from pathlib import Path

import numpy as np
import pytest

from emoclass.errors import ModelError
from emoclass.evaluation.baseline import Baseline, fit_baseline
from tests.conftest import WORDS, emotion_rows

NAMES = list(WORDS)


def fitted(classes: int = 3) -> tuple[Baseline, list[str], np.ndarray]:
    rows = [(text, NAMES.index(label)) for text, label in emotion_rows() if NAMES.index(label) < classes]
    texts, labels = [text for text, _ in rows], np.array([label for _, label in rows])
    return fit_baseline(texts, labels, texts[:9], labels[:9], classes), texts, labels


@pytest.mark.parametrize("classes", [2, 3])
def test_a_saved_baseline_predicts_the_same(tmp_path: Path, classes: int) -> None:
    baseline, texts, labels = fitted(classes)
    assert (baseline.predict(texts) == labels).mean() > 0.95
    baseline.save(tmp_path, "baseline")
    loaded = Baseline.load(tmp_path, "baseline", classes)
    assert loaded is not None
    np.testing.assert_array_equal(loaded.predict(texts), baseline.predict(texts))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_texts_without_a_word_get_the_most_frequent_class() -> None:
    labels = np.array([0, 1, 1])
    baseline = fit_baseline(["!", "?", "..."], labels, ["!"], labels[:1], 2)
    assert baseline.predict(["anything", ""]).tolist() == [1, 1]


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    baseline, *_ = fitted()
    assert Baseline.load(tmp_path, "baseline", 3) is None
    baseline.save(tmp_path, "baseline")
    with pytest.raises(ModelError, match="do not fit together"):
        Baseline.load(tmp_path, "baseline", 4)
    document = json.loads((tmp_path / "baseline.json").read_text())
    document["terms"].pop()
    (tmp_path / "baseline.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="do not fit together"):
        Baseline.load(tmp_path, "baseline", 3)
    (tmp_path / "baseline.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        Baseline.load(tmp_path, "baseline", 3)
