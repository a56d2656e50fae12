"""Emotion classifiers as estimators of scikit-learn.

Example::

    from sklearn.model_selection import cross_val_score
    from emoclass.sklearn import EmotionClassifier

    scores = cross_val_score(EmotionClassifier(base_model="minilm"), texts, labels, cv=5)
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from emoclass import api
from emoclass.config import Task
from emoclass.data.options import DataOptions
from emoclass.inference.inputs import text_windows
from emoclass.inference.predictor import load
from emoclass.sklearn_labels import Targets, names_of_classes, read_targets

if TYPE_CHECKING:
    from typing_extensions import Self

    from emoclass.inference.classifiers import AnyClassifier

_WINDOW = 1024
# Settings of ``train`` that ``fit`` decides on.
_OWN = frozenset({"data", "directory", "name", "ratios", "val", "test"})
# Settings of ``train`` that are parameters here.
_SETTINGS = (
    "base_model", "recipe", "epochs", "batch_size", "learning_rate", "unfreeze", "max_length", "device", "seed",
)  # fmt: skip


class EmotionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of texts that ``fit`` trains as ``emoclass.train`` does, for pipelines and searches of scikit-learn.

    ``X`` is an iterable of strings, such as a list or one column of a table. ``y`` has one label a text, or is an
    indicator matrix of 0 and 1 with a column for each of several labels (``MultiLabelBinarizer`` makes one of lists).

    ``fit`` sets a part of the texts aside to choose the best epoch and to calibrate: stratified, with near duplicates
    on the same side. Texts that are blank or repeated with the same label are left out. The model is in the fitted
    estimator alone, which can be pickled, and not among the models of ``emoclass.load``.

    Of scikit-learn's ``check_estimator``, the checks that pass numbers as ``X`` cannot apply.

    Args:
        base_model: Hub id, directory, or ``minilm``; the default of ``train`` if ``None``, like all settings.
        recipe: ``auto``, ``reference``, ``fast``, ``small`` or ``best``.
        epochs: Passes over the training set.
        batch_size: Texts per optimizer step.
        learning_rate: Peak learning rate.
        unfreeze: Number of encoder layers to train, or ``encoder``, ``all`` or ``auto``.
        max_length: Tokens per text.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, for training and prediction.
        seed: Seed of the validation part and of the training.
        validation_fraction: Share of the texts that ``fit`` sets aside.
        settings: More settings of ``emoclass.train``; ``options`` may be ``DataOptions(min_class_rows=2)``.

    Attributes:
        classes_: The labels, sorted, or the columns of an indicator matrix.
        classifier_: What ``emoclass.load`` returns for the trained model.
    """

    def __init__(
        self,
        *,
        base_model: str | Path | None = None,
        recipe: str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        unfreeze: int | str | None = None,
        max_length: int | None = None,
        device: str = "auto",
        seed: int | None = None,
        validation_fraction: float = 0.1,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_model = base_model
        self.recipe = recipe
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.unfreeze = unfreeze
        self.max_length = max_length
        self.device = device
        self.seed = seed
        self.validation_fraction = validation_fraction
        self.settings = settings

    def fit(self, X: Iterable[str], y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Train on texts and labels.

        Raises:
            TypeError: An item of ``X`` is not a string.
            ValueError: ``X`` and ``y`` do not go together, or a parameter is out of range.
            EmoclassError: The texts cannot be split or trained on.
        """
        fraction: Any = self.validation_fraction
        is_number = isinstance(fraction, Real)
        if not is_number or not 0 < fraction < 1:
            raise ValueError(f"validation_fraction={fraction} is not between 0 and 1")
        texts = _texts(X, "fit")
        targets = read_targets(y)
        labels = targets.names
        if len(texts) != len(labels):
            raise ValueError(
                f"X has {len(texts)} texts and y {len(labels)} labels: pass as many of one as of the other"
            )
        frame = pd.DataFrame({"text": texts, "label": pd.Series(labels, dtype=object)}, dtype=object)
        given = {**{name: getattr(self, name) for name in _SETTINGS}, **(self.settings or {})}
        options = _options(given, targets)
        ratios = (1 - fraction, fraction, 0.0)
        # A model that is loaded needs its files no more; Windows cannot remove them while they are mapped.
        with tempfile.TemporaryDirectory(prefix="emoclass-", ignore_cleanup_errors=True) as temporary:
            directory = Path(temporary) / "model"
            api.train(frame, options=options, ratios=ratios, directory=directory, **given)
            self.classifier_: AnyClassifier = load(directory, device=self.device)
        self.classes_ = targets.classes
        self._is_multi = targets.is_multi
        return self

    def predict(self, X: Iterable[str]) -> npt.NDArray[Any]:  # noqa: N803
        """Return the most probable class of each text, or an indicator matrix of the labels above their thresholds.

        As scikit-learn needs a class for each text, a blank one has the most probable class; of several labels it has
        none.
        """
        check_is_fitted(self, "classifier_")
        texts = _texts(X, "predict")
        probabilities = self.predict_proba(texts)
        if not self._is_multi:
            chosen: npt.NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
            return chosen
        thresholds = np.full(len(self.classes_), np.inf, dtype=np.float32)
        thresholds[self._columns()] = getattr(self.classifier_, "thresholds")  # noqa: B009 - of the kind for several
        is_blank = np.array([not text.strip() for text in texts], dtype=np.bool_)
        return ((probabilities >= thresholds) & ~is_blank[:, None]).astype(np.int64)

    def predict_proba(self, X: Iterable[str]) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return ``float32[texts, classes]``, columns in the order of ``classes_``."""
        check_is_fitted(self, "classifier_")
        own = self.classifier_.predict_proba(_texts(X, "predict"))
        probabilities = np.zeros((len(own), len(self.classes_)), dtype=np.float32)
        probabilities[:, self._columns()] = own
        return probabilities

    def _columns(self) -> list[int]:
        """Return the number in ``classes_`` of each label of the model, which lacks classes without usable texts."""
        numbers = {name: number for number, name in enumerate(names_of_classes(self.classes_))}
        return [numbers[label] for label in self.classifier_.labels]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags


def _texts(X: Iterable[str], caller: str) -> list[str]:  # noqa: N803
    return [text for window in text_windows(X, _WINDOW, caller) for text in window]


def _options(given: dict[str, Any], targets: Targets) -> DataOptions:
    """Take the options of reading out of the settings of ``train``, and add what the estimator knows."""
    if own := _OWN & given.keys():
        raise ValueError(f"settings: fit decides on {min(own)} itself: leave it out")
    options = given.pop("options", None) or DataOptions()
    if options.text_column is not None or options.label_column is not None or options.task is not None:
        raise ValueError("settings: fit decides on the columns and the task itself: leave them out of the options")
    if options.merge_into is not None and options.merge_into not in names_of_classes(targets.classes):
        raise ValueError(f"settings: merge_into={options.merge_into!r} is not a class of y: choose one, or change y")
    task: Task = "multi" if targets.is_multi else "single"
    return replace(options, text_column="text", label_column="label", task=task)
