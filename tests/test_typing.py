"""Types as a program that uses emoclass sees them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import emoclass
from emoclass.inference.classifiers import Classifier, MultiLabelClassifier

PROGRAM = """
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from typing_extensions import assert_type

import emoclass
from emoclass.evaluation.multilabel_report import MultiLabelEvaluation
from emoclass.evaluation.report import Evaluation
from emoclass.inference.classifiers import Classifier, MultiLabelClassifier, Prediction, TextClassifier
from emoclass.sklearn import EmotionClassifier

result = emoclass.train("emotions.csv", base_model="minilm", on_event=emoclass.progress_lines(print))
assert_type(result.best_epoch, int)
assert_type(result.model.directory, Path)
assert_type(result.test, Evaluation | MultiLabelEvaluation | None)
emoclass.train(pd.DataFrame({"text": ["a"], "label": ["b"]}), val=Path("val.csv"))

single = emoclass.load(task="single")
assert_type(single, Classifier)
assert_type(single.predict_text("a"), tuple[str, float])
assert_type([prediction.top_k for prediction in single.predict(["a"])], list[tuple[tuple[str, float], ...]])
multi = emoclass.load("several", task="multi")
assert_type(multi, MultiLabelClassifier)
assert_type([prediction.labels for prediction in multi.predict(text for text in "ab")], list[tuple[str, ...]])
assert_type(emoclass.load(), Classifier | MultiLabelClassifier)
assert_type(emoclass.load().predict_proba(pd.Series(["a"])), npt.NDArray[np.float32])


def labels(classifier: TextClassifier[Prediction]) -> tuple[str, ...]:
    return classifier.labels


labels(single)
assert_type(emoclass.evaluate("test.csv"), Evaluation | MultiLabelEvaluation)
assert_type(EmotionClassifier(epochs=3).fit(["a"], ["b"]), EmotionClassifier)
single.predict(7)  # type: ignore[arg-type]
emoclass.load(task="other")  # type: ignore[call-overload]
"""


@pytest.mark.slow
def test_a_typed_program_passes_a_strict_check(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "program.py").write_text(PROGRAM)
    home = Path(emoclass.__file__).parents[1]
    # mypy finds an installed package itself, by its py.typed.
    environment = {**os.environ, "MYPYPATH": "" if home.name == "site-packages" else str(home)}
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.11", "program.py"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("kind", [Classifier, MultiLabelClassifier])
def test_public_classes_have_public_bases(kind: type) -> None:
    assert not [base.__name__ for base in kind.__mro__ if base.__name__.startswith("_")]
