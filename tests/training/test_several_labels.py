"""A training on any number of labels a text: transformers' loss, calibrated probabilities, thresholds of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification, pipeline
from transformers import BertConfig as HubConfig

from emoclass.config import TrainConfig
from emoclass.data.options import DataOptions
from emoclass.data.preparation import TrainingData, prepare_training_data
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.errors import ConfigError, ModelError
from emoclass.evaluation.thresholds import fit_calibration, fit_thresholds
from emoclass.inference.classifiers import MultiLabelClassifier
from emoclass.inference.predictor import load
from emoclass.training.losses import BinaryCrossEntropy, positive_weights
from emoclass.training.train import TrainResult
from tests.conftest import FILLERS, TINY, WORDS, random_tensors
from tests.runs import context_of, read_tensors, run_training

Config = Callable[..., TrainConfig]
NAMES = ("anger", "fear", "joy")


def rows(count: int = 90) -> list[tuple[str, str]]:
    """Texts with a word of each of their labels: of one in most, of two in a third, of none in a few."""
    made = []
    for n in range(count):
        labels = [] if n % 9 == 8 else [NAMES[n % 3], *([NAMES[(n + 1 + n // 3 % 2) % 3]] if n % 3 == 1 else [])]
        words = [WORDS[label][n % 10] for label in labels]
        filler = [FILLERS[(3 * n) % len(FILLERS)], FILLERS[(5 * n + 2) % len(FILLERS)], FILLERS[n % len(FILLERS)]]
        made.append((" ".join([*filler, *words, "x" * (n % 4)]), ";".join(sorted(set(labels)))))
    return made


def write(directory: Path) -> Path:
    path = directory / "several.csv"
    path.write_text("text,labels\n" + "".join(f"{text},{labels}\n" for text, labels in rows()))
    return path


def split(directory: Path) -> TrainingData:
    return prepare_training_data(write(directory), options=DataOptions(), seed=1)


@pytest.fixture
def several(tmp_path: Path) -> TrainingData:
    return split(tmp_path)


@pytest.fixture(scope="module")
def recipe(config: Config) -> Config:
    return lambda **settings: config(**{"metric": "macro_f1", "learning_rate": 3e-2, "epochs": 25, **settings})


@pytest.fixture(scope="module")
def result(recipe: Config, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    home = tmp_path_factory.mktemp("several")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOCLASS_HOME", str(home))
        return run_training(split(home), recipe(), name="several", cache_disk=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_gradients_are_those_of_transformers(smoothing: float) -> None:
    model = PackedBert(EncoderConfig(**TINY), 3).eval()
    tensors = random_tensors(model)
    model.load_state_dict(tensors)
    hub = BertForSequenceClassification(
        HubConfig(**TINY, num_labels=3, problem_type="multi_label_classification", attn_implementation="eager")
    ).eval()
    hub.load_state_dict(tensors, strict=False)
    ids, lengths = torch.arange(12) + 3, [5, 4, 3]
    target = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    padded = torch.nn.utils.rnn.pad_sequence(list(ids.split(lengths)), batch_first=True)
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    smooth = target * (1 - smoothing) + smoothing / 2
    expected = hub(padded, attention_mask=mask.long(), labels=smooth)
    expected.loss.backward()
    loss = BinaryCrossEntropy(np.ones(3, np.float32), smoothing, device=torch.device("cpu"))
    logits = model(ids, lengths)
    mean = loss.sum(logits, loss.target_of(target.flatten())) / loss.divisor(target.numpy())
    mean.backward()
    torch.testing.assert_close(mean, expected.loss)
    gradients = {name: p.grad for name, p in hub.named_parameters()}
    for name, parameter in model.named_parameters():
        if name.endswith("word_embeddings.weight"):  # whole only after a step
            continue
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-5, msg=name)


def test_the_focal_loss_counts_well_predicted_labels_less() -> None:
    """As Lin et al. write it: -(1 - p)^gamma log p, where p is the probability of what is right."""
    logits = torch.tensor([[3.0, -2.0, 0.5], [-60.0, 60.0, 0.0]], requires_grad=True)
    target = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    weights = np.array([1.0, 2.0, 3.0], np.float32)
    right = torch.where(target > 0, logits.sigmoid(), (-logits).sigmoid())
    each = -((1 - right) ** 2) * right.log().clamp(min=-60) * torch.where(target > 0, torch.tensor(weights), 1.0)
    loss = BinaryCrossEntropy(weights, 0.0, 2.0, device=torch.device("cpu")).sum(logits, target)
    torch.testing.assert_close(loss, each.sum() / 3)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    plain = BinaryCrossEntropy(weights, device=torch.device("cpu"))
    nearly = BinaryCrossEntropy(weights, 0.0, 1e-9, device=torch.device("cpu"))
    torch.testing.assert_close(nearly.sum(logits, target), plain.sum(logits, target))


def test_rare_labels_weigh_more_where_they_apply() -> None:
    truth = np.array([[True, True]] + [[True, False]] * 5 + [[False, False]] * 2)
    assert positive_weights(truth, "none").tolist() == [1, 1]
    assert positive_weights(truth, "balanced").tolist() == [1, 7]
    assert positive_weights(truth, "sqrt").tolist() == pytest.approx([1, 7**0.5])


def test_it_learns_and_predicts_any_number_of_labels(result: TrainResult, several: TrainingData) -> None:
    assert result.history[result.best_epoch - 1].val_macro_f1 > 0.8
    assert result.history[0].to_dict().keys() >= {"val_micro_f1", "val_lrap"}
    classifier = load(result.model.directory, task="multi")
    predictions = list(classifier.predict(several.train.texts, top_k=3))
    right = [tuple(sorted(p.labels)) == label for p, label in zip(predictions, several.train.labels, strict=True)]
    assert sum(right) / len(right) > 0.5
    assert {len(prediction.labels) for prediction in predictions} >= {1, 2}
    for prediction in predictions:
        assert list(prediction.confidences) == sorted(prediction.confidences, reverse=True)
        assert len(prediction.top_k) == 3
    blank = next(classifier.predict([" "]))
    assert (blank.labels, blank.top_k) == ((), ())


def test_thresholds_decide_and_can_be_replaced(result: TrainResult) -> None:
    classifier = load(result.model.directory, task="multi")
    texts = [text for text, _ in rows(30)]
    probabilities = classifier.predict_proba(texts)
    expected = probabilities >= np.float32(result.model.manifest.thresholds)
    for row, prediction in zip(expected, classifier.predict(texts), strict=True):
        assert set(prediction.labels) == {NAMES[i] for i in np.flatnonzero(row)}
    other = classifier.with_thresholds({"joy": 0.0, "fear": 1.0})
    assert set(classifier.with_thresholds(np.float64(0.4)).thresholds.tolist()) == {np.float32(0.4)}
    for wrong, message in (
        ({"JOY": 0.4}, "no label 'JOY': did you mean 'joy'"),
        ({"envy": 0.4}, "no label 'envy'"),
        ({"joy": float("nan")}, "--threshold nan is not a number between 0 and 1"),
        (2, "--threshold 2 is not"),
        ({"joy": "0.4"}, "--threshold 0.4 is not a number"),
        ({"joy": None}, "--threshold None is not a number"),
    ):
        with pytest.raises(ConfigError, match=message):
            classifier.with_thresholds(wrong)  # type: ignore[arg-type]
    for prediction in other.predict(texts):
        assert "joy" in prediction.labels
        assert "fear" not in prediction.labels


def test_transformers_gives_the_same_probabilities(result: TrainResult) -> None:
    directory = result.model.directory
    config = json.loads((directory / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    texts = [text for text, _ in rows(20)]
    theirs = pipeline("text-classification", str(directory), top_k=None, device="cpu")(texts)
    mine = load(directory, task="multi", precision="fp32").predict_proba(texts)
    for row, scores in zip(mine, theirs, strict=True):
        assert {each["label"]: each["score"] for each in scores} == pytest.approx(
            dict(zip(NAMES, row, strict=True)), abs=1e-5
        )
    assert AutoModelForSequenceClassification.from_pretrained(directory).config.problem_type == config["problem_type"]


def test_numpy_and_torch_give_the_same(result: TrainResult) -> None:
    texts = [text for text, _ in rows(10)]
    numpy, torch_ = (
        load(result.model.directory, task="multi", engine=engine, precision="fp32") for engine in ("numpy", "torch")
    )
    np.testing.assert_allclose(numpy.predict_proba(texts), torch_.predict_proba(texts), atol=1e-5)


def test_the_task_that_is_asked_for_must_be_the_models(result: TrainResult, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="any number of labels a text, not one label"):
        load(result.model.directory, task="single")
    with pytest.raises(ModelError, match="one label a text, not any number of labels"):
        load(tiny_model, task="multi")
    assert isinstance(load(result.model.directory), MultiLabelClassifier)


@pytest.mark.parametrize(
    "settings",
    [
        {"r_drop": 1.0},
        {"mixup": 0.4},
        {"class_weights": "sqrt"},
        {"label_smoothing": 0.1},
        {"focal_gamma": 2.0},
        {"unfreeze": "encoder"},
    ],
    ids=str,
)
def test_all_regularizers_train(several: TrainingData, recipe: Config, settings: dict[str, Any]) -> None:
    result = run_training(several, recipe(**settings))
    losses = [epoch.val_loss for epoch in result.history]
    assert losses[-1] < losses[0]


def test_seeds_are_averaged_and_a_stopped_training_resumes(several: TrainingData, recipe: Config) -> None:
    steps = iter(range(10**9))
    stopped = run_training(several, recipe(), name="stopped", should_stop=lambda: next(steps) == 30)
    assert stopped.stopped
    resumed = run_training(several, recipe(), name="stopped", resume=True)
    whole = run_training(several, recipe(), name="whole")
    mine, theirs = read_tensors(resumed.model.directory), read_tensors(whole.model.directory)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    assert resumed.model.manifest.thresholds == whole.model.manifest.thresholds
    averaged = run_training(several, recipe(seeds=2), name="two").averaged
    assert averaged is not None
    assert averaged.val.micro_f1 is not None


def test_a_search_reports_its_gain(several: TrainingData, recipe: Config) -> None:
    pytest.importorskip("optuna")
    tuning = run_training(several, recipe(epochs=2), tune=2, name="tuned").tuning
    assert tuning is not None
    assert tuning.gain.metric == "macro_f1"
    assert tuning.gain.interval.lower <= tuning.gain.second - tuning.gain.first <= tuning.gain.interval.upper


@pytest.mark.parametrize(
    ("metric", "task", "other"),
    [("accuracy", "multi", "macro_f1"), ("micro_f1", "single", "accuracy"), ("lrap", "single", "accuracy")],
)
def test_a_metric_belongs_to_a_task(metric: str, task: Any, other: str) -> None:
    config = TrainConfig(metric=metric)
    assert config.for_task(task).metric == other
    with pytest.raises(ConfigError, match=f"--metric {metric} is not for .* a text; use "):
        config.for_task(task, given=["metric"])


def test_the_focal_loss_is_for_several_labels() -> None:
    fast = TrainConfig.named("fast")
    assert fast.for_task("multi").focal_gamma == 2
    assert fast.for_task("single").focal_gamma == 0
    with pytest.raises(ConfigError, match=r"--focal-gamma 2.0 is not for one label a text"):
        fast.for_task("single", given=["focal_gamma"])


def test_the_weights_of_a_recipe_are_for_one_label_a_text() -> None:
    small = TrainConfig.named("small")
    assert small.for_task("single") == small
    assert small.for_task("multi").class_weights == "none"
    assert small.for_task("multi", given=["class_weights"]).class_weights == "sqrt"


def test_a_new_classifier_begins_with_the_frequency_of_each_label(several: TrainingData, recipe: Config) -> None:
    context = context_of(several, recipe(), torch.float32)
    model, _ = context.new_model(recipe())
    frequencies = context.targets("train").mean(axis=0)
    assert torch.sigmoid(model.classifier.bias).tolist() == pytest.approx(frequencies, abs=0.02)


def logits_like_a_model(texts: int, seed: int) -> tuple[Any, Any]:
    """Logits that are too large and too high, of a frequent, a rare and a very rare label, and their truth."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(texts, 3)) * 1.5 + [-0.5, -3.0, -5.0]
    truth = rng.random((texts, 3)) < 1 / (1 + np.exp(-signal))
    return (2 * signal + 1).astype(np.float32), truth


def test_calibrated_probabilities_are_frequencies() -> None:
    slopes, offsets = fit_calibration(*logits_like_a_model(5000, 0))
    assert slopes == pytest.approx([0.5] * 3, abs=0.12)
    logits, truth = logits_like_a_model(20000, 1)
    probabilities = 1 / (1 + np.exp(-(logits * slopes + offsets)))
    assert probabilities.mean(axis=0) == pytest.approx(truth.mean(axis=0), rel=0.25)
    slopes, offsets = fit_calibration(*logits_like_a_model(5000, 0), with_offset=False)
    assert offsets.tolist() == [0, 0, 0]


def test_calibration_of_labels_without_texts_stays_finite() -> None:
    logits, truth = logits_like_a_model(50, 0)
    for labels in (np.zeros_like(truth), np.ones_like(truth)):
        slopes, offsets = fit_calibration(logits, labels)
        assert np.isfinite(slopes).all()
        assert np.isfinite(offsets).all()
        thresholds = fit_thresholds(1 / (1 + np.exp(-logits)), labels)
        assert ((thresholds >= 0) & (thresholds <= 1)).all()


def test_thresholds_do_not_fit_the_noise_of_a_few_texts() -> None:
    def f1(truth: Any, predicted: Any) -> float:
        return float(2 * (truth & predicted).sum() / max(1, truth.sum() + predicted.sum()))

    def noisy(probabilities: Any, truth: Any) -> Any:
        candidates = [(f1(truth, probabilities >= t), t) for t in np.unique(probabilities)]
        return max(candidates)[1]

    gains = []
    logits, truth = logits_like_a_model(20000, 99)
    for seed in range(20):
        few, known = logits_like_a_model(150, seed)
        slopes, offsets = fit_calibration(few, known)
        p, q = (1 / (1 + np.exp(-(x * slopes + offsets))) for x in (few, logits))
        own = fit_thresholds(p, known)[1]
        gains.append(f1(truth[:, 1], q[:, 1] >= own) - f1(truth[:, 1], q[:, 1] >= noisy(p[:, 1], known[:, 1])))
    assert np.mean(gains) > 0.01


def test_all_texts_of_equal_probability_are_predicted_together() -> None:
    probabilities = np.array([[0.6], [0.6], [0.6], [0.2]], dtype=np.float32)
    assert fit_thresholds(probabilities, np.array([[True], [True], [False], [False]]))[0] == pytest.approx(0.4)


def test_a_base_without_biases_is_calibrated_by_slopes_alone(several: TrainingData, recipe: Config) -> None:
    from emoclass.data.columns.labels import LabelSet
    from emoclass.training.tasks import task_of

    logits, truth = logits_like_a_model(500, 0)
    found = task_of(LabelSet(NAMES, "multi")).calibrated(torch.from_numpy(logits), truth, with_offset=False)
    assert not found.offsets.any()
    assert replace(found, record={}).thresholds.shape == (3,)
