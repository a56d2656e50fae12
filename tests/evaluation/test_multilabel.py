"""Scores, intervals and tests of any number of labels a text."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from emoclass.config import TruncationConfig
from emoclass.data.cleaning.cleaning import Block
from emoclass.encoders.tokenization import HeadTailTokenizer
from emoclass.errors import DataError, ModelError
from emoclass.evaluation.multilabel_baseline import MultiLabelBaseline, fit_multilabel_baseline
from emoclass.evaluation.multilabel_comparison import compare_multilabel
from emoclass.evaluation.multilabel_metrics import compute_multilabel_metrics, ranking_precisions
from emoclass.evaluation.multilabel_report import MultiLabelEvaluation, evaluate_multilabel
from emoclass.evaluation.multilabel_scoring import MultiLabelScoring
from emoclass.evaluation.multilabel_significance import multilabel_gain, multilabel_intervals, randomization_tests
from emoclass.inference.classifiers import MultiLabelClassifier
from tests.conftest import tiny_tokenizer


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, probabilities with ties, and thresholds; some labels have no rows, and some texts no labels."""
    rows, labels = draw(st.integers(1, 12)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    truth = rng.random((rows, labels)) < draw(st.sampled_from([0.0, 0.1, 0.4, 0.9]))
    probabilities = (rng.integers(0, draw(st.sampled_from([3, 100])), (rows, labels)) / 100).astype(np.float32)
    return truth, probabilities, (rng.integers(0, 100, labels) / 100).astype(np.float32)


@given(cases())
@settings(max_examples=80, deadline=None)
def test_scores_are_those_of_scikit_learn(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, probabilities, thresholds = case
    predicted, names = probabilities >= thresholds, [str(i) for i in range(truth.shape[1])]
    found = compute_multilabel_metrics(names, thresholds, truth, probabilities, 0.0)
    occurs = np.flatnonzero(truth.any(axis=0))
    expected = {
        "subset_accuracy": reference.accuracy_score(truth, predicted),
        "hamming_loss": reference.hamming_loss(truth, predicted),
        "lrap": reference.label_ranking_average_precision_score(truth, probabilities),
        "weighted_f1": reference.f1_score(truth, predicted, average="weighted", zero_division=0),
        "samples_f1": reference.f1_score(truth, predicted, average="samples", zero_division=0),
    }
    for score, function in (
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
        ("f1", reference.f1_score),
    ):
        expected[f"micro_{score}"] = function(truth, predicted, average="micro", zero_division=0)
        each = function(truth, predicted, average=None, zero_division=0)
        np.testing.assert_allclose([getattr(one, score) for one in found.per_label], each)
        if len(occurs):
            macro = function(truth, predicted, average="macro", labels=occurs, zero_division=0)
            expected[f"macro_{score}"] = macro
        else:
            assert getattr(found, f"macro_{score}") == 0
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value), name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels without rows
        average = [reference.average_precision_score(truth[:, i], probabilities[:, i]) for i in range(len(names))]
    np.testing.assert_allclose([one.average_precision for one in found.per_label], average)


def example(rows: int = 400, labels: int = 5, *, right: float = 0.7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).random((rows, labels)) < np.linspace(0.02, 0.4, labels)
    return truth, np.where(rng.random((rows, labels)) < right, truth, rng.random((rows, labels)) < 0.2)


def test_intervals_hold_the_scores_and_shrink_with_more_texts() -> None:
    truth, predicted = example()
    intervals, by_label = multilabel_intervals(truth, predicted)
    assert set(intervals) == {"micro_f1", "macro_f1", "subset_accuracy"}
    scores = {
        "micro_f1": reference.f1_score(truth, predicted, average="micro"),
        "macro_f1": reference.f1_score(truth, predicted, average="macro"),
        "subset_accuracy": (truth == predicted).all(axis=1).mean(),
    }
    more, _ = multilabel_intervals(*example(25_000))
    for name, interval in intervals.items():
        assert interval.lower < scores[name] < interval.upper
        assert more[name].upper - more[name].lower < (interval.upper - interval.lower) / 4
    for interval, score in zip(by_label, reference.f1_score(truth, predicted, average=None), strict=True):
        assert interval is not None
        assert interval.lower <= score <= interval.upper
    truth[:, 0] = False
    assert multilabel_intervals(truth, predicted)[1][0] is None


def test_intervals_of_grouped_texts_are_those_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, predicted = example(8000)
    exact, _ = multilabel_intervals(truth, predicted)
    monkeypatch.setattr("emoclass.evaluation.multilabel_significance._MAX_UNITS", 2000)
    grouped, _ = multilabel_intervals(truth, predicted)
    for name, interval in exact.items():
        width = interval.upper - interval.lower
        assert grouped[name].upper - grouped[name].lower == pytest.approx(width, rel=0.15)


def test_a_rare_label_that_is_always_right_stays_in_the_resamples() -> None:
    truth = np.zeros((100, 2), bool)
    truth[0, 0] = truth[1:, 1] = True
    intervals, _ = multilabel_intervals(truth, truth)
    assert intervals["macro_f1"].lower == intervals["macro_f1"].upper == 1


def test_the_randomization_test_tells_equal_from_different_classifiers() -> None:
    truth, good = example(right=0.9)
    _, bad = example(right=0.3, seed=1)
    found = randomization_tests(truth, good, bad)
    assert set(found) == {"micro_f1", "macro_f1"}
    for test in found.values():
        assert test.significant
        assert test.first > test.second
    assert all(test.p_value == 1 for test in randomization_tests(truth, good, good).values())
    # Under the null hypothesis, small p-values are as rare as they should be.
    values = [
        randomization_tests(truth, example(seed=2 * n)[1], example(seed=2 * n + 1)[1])["micro_f1"].p_value
        for n in range(1, 41)
    ]
    assert np.mean(np.array(values) < 0.2) < 0.4
    assert np.mean(np.array(values) < 0.5) > 0.2


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "lrap"])
def test_the_gain_is_that_of_the_second_classifier(metric: str) -> None:
    truth, good = example(right=0.9)
    _, bad = example(right=0.3, seed=1)
    outputs = [(each, ranking_precisions(each.astype(float), truth)) for each in (bad, good)]
    gain = multilabel_gain(truth, *outputs, metric)
    assert gain.metric == metric
    assert gain.significant
    assert 0 < gain.interval.lower < gain.second - gain.first < gain.interval.upper
    if metric != "lrap":
        average = metric.removesuffix("_f1")
        assert gain.second == pytest.approx(reference.f1_score(truth, good, average=average))


TEXTS = ["so happy", "really sad", "happy and sad", "a table", "happy happy", "sad again", "a chair", "sad, happy"]
HAS = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [0, 0], [1, 1]], bool)


def test_the_baseline_is_saved_and_predicts_the_same(tmp_path: Path) -> None:
    baseline = fit_multilabel_baseline(TEXTS * 5, np.tile(HAS, (5, 1)), TEXTS, HAS)
    np.testing.assert_array_equal(baseline.predict(TEXTS), HAS)
    baseline.save(tmp_path, "baseline")
    loaded = MultiLabelBaseline.load(tmp_path, "baseline", 2)
    assert loaded is not None
    np.testing.assert_array_equal(loaded.predict(TEXTS), HAS)
    with pytest.raises(ModelError, match="do not fit together"):
        MultiLabelBaseline.load(tmp_path, "baseline", 3)


def test_the_baseline_knows_labels_of_no_text_and_of_all_and_texts_without_words() -> None:
    has = np.concatenate([HAS, np.zeros((8, 1), bool), np.ones((8, 1), bool)], axis=1)
    predicted = fit_multilabel_baseline(TEXTS, has, TEXTS, has).predict(["happy", "?"])
    assert predicted[:, 3].all()
    assert predicted[0, 0]
    alone = fit_multilabel_baseline(["!", "?", "..."], has[:3], ["!"], has[:1])
    assert alone.terms == ()
    assert alone.predict(["anything", ""])[:, 3].all()


class Memory:
    """Labelled rows in memory."""

    name, total_rows, removed_counts = "rows", None, {"duplicate": 0}

    def __init__(self, texts: list[str], labels: list[tuple[str, ...]]) -> None:
        self._block = Block(texts, list(labels), np.arange(1, len(texts) + 1), len(texts))

    def blocks(self) -> Iterator[Block]:
        yield self._block


class WordEngine:
    """Logits are 3 for a label whose name is in the text, else -3."""

    def __init__(self, labels: list[str], texts: list[str]) -> None:
        self.rows = np.array([[3.0 if label in text else -3.0 for label in labels] for text in texts], np.float32)

    def logits(self, tokenized: object, waiting: int = 0) -> np.ndarray:
        return self.rows


LABELS = ["happy", "sad"]
TRUTH = [tuple(label for label, has in zip(LABELS, row, strict=True) if has) for row in HAS]


def evaluated(labels: list[tuple[str, ...]], names: list[str] = LABELS) -> MultiLabelEvaluation:
    classifier = MultiLabelClassifier(WordEngine(names, TEXTS), tiny_tokenizer_of(), names, [0.5] * len(names))  # type: ignore[arg-type]
    scoring = MultiLabelScoring(classifier, training_hashes=np.zeros(0, np.int64))
    return evaluate_multilabel([scoring], Memory(TEXTS, labels))[0]


def tiny_tokenizer_of() -> HeadTailTokenizer:
    return HeadTailTokenizer(tiny_tokenizer().to_str(), TruncationConfig(max_length=20))


def test_labels_that_the_model_does_not_know_are_left_out_of_their_rows() -> None:
    found = evaluated([(*label, "grief") if number < 3 else label for number, label in enumerate(TRUTH)])
    assert found.unknown_labels == {"grief": 3}
    assert found.metrics.subset_accuracy == 1
    assert found.metrics.rows == len(TEXTS)
    with pytest.raises(DataError, match="knows none of its labels"):
        evaluated([("grief",)] * len(TEXTS))
    with pytest.raises(DataError, match="no row has a label"):
        evaluated([()] * len(TEXTS))


def test_mistakes_say_what_was_missed_and_what_was_wrong() -> None:
    labels = list(TRUTH)
    labels[0], labels[3] = ("sad",), ("happy",)
    found = evaluated(labels)
    assert found.most_confused == (("sad", "happy", 1),)
    assert [mistake.row for mistake in found.mistakes] == [1, 4]
    worst = found.mistakes[0]
    assert (worst.labels, worst.predictions) == (("sad",), ("happy",))
    assert worst.probabilities["happy"] > 0.9 > 0.1 > worst.probabilities["sad"]


def test_the_calibration_error_is_that_of_each_label() -> None:
    found = evaluated(TRUTH)
    assert found.calibration.errors == pytest.approx([1 - 1 / (1 + np.exp(-3))] * 2, abs=1e-6)
    assert found.calibration.mean is None  # of labels with 50 rows


def test_a_curve_ends_where_all_texts_with_the_label_are_found() -> None:
    labels = list(TRUTH)
    labels[3] = ("happy",)
    curve = evaluated(labels).curve(0)
    assert (curve[0].precision, curve[-1].recall) == (1.0, 1.0)
    assert curve[0].recall == pytest.approx(4 / 5)


def test_models_with_other_labels_are_compared_by_those_that_all_know() -> None:
    labels = [label or ("bored",) for label in TRUTH]
    first, second = evaluated(labels), evaluated(labels, ["bored", "sad", "happy"])
    found = compare_multilabel([("first", first), ("second", second)])
    assert found.labels == ("happy", "sad")
    assert found.models[0].tests is None
    assert [model.macro_f1 for model in found.models] == [1, 1]
    assert found.models[1].tests is not None
    assert found.models[1].tests["macro_f1"].p_value == 1
    with pytest.raises(DataError, match="no row has a label that all models know"):
        compare_multilabel([("first", first), ("second", evaluated([("x",)] * len(TEXTS), ["x", "y"]))])


def test_a_single_row_and_many_labels_are_enough() -> None:
    names = ["happy", *(f"label {number}" for number in range(200))]
    classifier = MultiLabelClassifier(WordEngine(names, TEXTS[:1]), tiny_tokenizer_of(), names, [0.5] * len(names))  # type: ignore[arg-type]
    scoring = MultiLabelScoring(classifier, training_hashes=np.zeros(0, np.int64))
    (found,) = evaluate_multilabel([scoring], Memory(TEXTS[:1], [("happy",)]))
    assert found.metrics.macro_f1 == found.intervals["macro_f1"].lower == 1
    assert len(found.metrics.absent_labels) == 200
    assert found.to_dict()["per_label"][1]["interval"] is None
