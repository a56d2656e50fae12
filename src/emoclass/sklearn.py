"""Emotion classifiers as estimators of scikit-learn.

Example::

    from sklearn.model_selection import cross_val_score
    from emoclass.sklearn import EmotionClassifier

    scores = cross_val_score(EmotionClassifier(base_model="minilm"), texts, labels, cv=5)
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from emoclass import api
from emoclass.data.columns.cells import cell_label
from emoclass.data.options import DataOptions
from emoclass.inference.inputs import text_windows
from emoclass.inference.predictor import load

if TYPE_CHECKING:
    from typing_extensions import Self

    from emoclass.inference.classifiers import AnyClassifier

_WINDOW = 1024
# Settings of ``train`` that are parameters here.
_SETTINGS = (
    "base_model", "recipe", "epochs", "batch_size", "learning_rate", "unfreeze", "max_length", "device", "seed",
)  # fmt: skip


class EmotionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of texts that ``fit`` trains as ``emoclass.train`` does, for pipelines and searches of scikit-learn.

    ``X`` is an iterable of strings, such as a list or one column of a table. ``y`` has one label a text, or is an
    indicator matrix with a column for each of several labels (``MultiLabelBinarizer`` makes one of lists).

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
        settings: More settings of ``emoclass.train``.

    Attributes:
        classes_: The labels, sorted, or the columns of an indicator matrix.
        classifier_: What ``emoclass.load`` returns for the trained model.
    """

    def __init__(
        self,
        *,
        base_model: str | None = None,
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
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction={self.validation_fraction} is not between 0 and 1")
        texts = _texts(X, "fit")
        classes, is_multi, labels = _labels(y)
        if len(texts) != len(labels):
            raise ValueError(
                f"X has {len(texts)} texts and y {len(labels)} labels: pass as many of one as of the other"
            )
        frame = pd.DataFrame({"text": texts, "label": pd.Series(labels, dtype=object)}, dtype=object)
        task = "multi" if is_multi else "single"
        given = {**{name: getattr(self, name) for name in _SETTINGS}, **(self.settings or {})}
        ratios = (1 - self.validation_fraction, self.validation_fraction, 0.0)
        options = DataOptions(text_column="text", label_column="label", task=task)  # type: ignore[arg-type]
        # A model that is loaded needs its files no more; Windows cannot remove them while they are mapped.
        with tempfile.TemporaryDirectory(prefix="emoclass-", ignore_cleanup_errors=True) as temporary:
            directory = Path(temporary) / "model"
            api.train(frame, options=options, ratios=ratios, directory=directory, **given)
            self.classifier_: AnyClassifier = load(directory, device=self.device)
        self.classes_ = classes
        self._is_multi = is_multi
        return self

    def predict(self, X: Iterable[str]) -> npt.NDArray[Any]:  # noqa: N803
        """Return the most probable class of each text, or an indicator matrix of the labels above their thresholds."""
        check_is_fitted(self, "classifier_")
        probabilities = self.predict_proba(X)
        if not self._is_multi:
            chosen: npt.NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
            return chosen
        thresholds = np.full(len(self.classes_), np.inf, dtype=np.float32)
        thresholds[self._columns()] = getattr(self.classifier_, "thresholds")  # noqa: B009 - of the kind for several
        return (probabilities >= thresholds).astype(np.int64)

    def predict_proba(self, X: Iterable[str]) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return ``float32[texts, classes]``, columns in the order of ``classes_``."""
        check_is_fitted(self, "classifier_")
        own = self.classifier_.predict_proba(_texts(X, "predict"))
        probabilities = np.zeros((len(own), len(self.classes_)), dtype=np.float32)
        probabilities[:, self._columns()] = own
        return probabilities

    def _columns(self) -> list[int]:
        """Return the number in ``classes_`` of each label of the model, which lacks classes without usable texts."""
        numbers = {str(name): number for number, name in enumerate(self.classes_)}
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


def _labels(y: Any) -> tuple[npt.NDArray[Any], bool, list[Any]]:
    """Return the classes, whether a text may have any number of them, and names of those of each text."""
    if not hasattr(y, "shape"):
        y = list(y)
        if any(isinstance(labels, list | tuple | set) for labels in y):
            raise ValueError("y holds several labels a text: pass MultiLabelBinarizer().fit_transform(y)")
    values = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if values.ndim == 2 and values.shape[1] > 1:
        if type_of_target(values) != "multilabel-indicator" and values.any():
            raise ValueError("y with several columns is an indicator matrix: pass 0 and 1 in each column")
        classes = np.asarray(y.columns if isinstance(y, pd.DataFrame) else np.arange(values.shape[1]))
        names = _names(classes)
        return classes, True, [[names[number] for number in np.flatnonzero(row)] for row in values]
    values = values.ravel()
    if any(label is None or label != label for label in values.tolist()):
        raise ValueError("y has missing labels: leave these texts out")
    classes = np.unique(values)
    _names(classes)
    return classes, False, [str(label) for label in values.tolist()]


def _names(classes: npt.NDArray[Any]) -> list[str]:
    """Return the names of classes, which emoclass has to read as they are."""
    for name in map(str, classes):
        if (read := cell_label(name)) != name:
            raise ValueError(f"the label {name!r} would be read as {read or ''!r}: strip or rename it")
    return [str(name) for name in classes]
