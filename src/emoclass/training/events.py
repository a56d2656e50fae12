"""What happens during a training, for callbacks that show it; importing this loads neither torch nor pandas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emoclass.activations.cache import CacheUse
    from emoclass.config import Unfreeze
    from emoclass.data.preparation import TrainingData
    from emoclass.encoders.freezing import ParameterCounts


@dataclass(frozen=True)
class DataReady:
    """The data is read, cleaned and split."""

    data: TrainingData


@dataclass(frozen=True)
class BaseFound:
    """The base model is not simply what was named, but one of its versions.

    Attributes:
        note: Which one.
    """

    note: str


@dataclass(frozen=True)
class RecipeChosen:
    """A recipe was chosen by the size of the data.

    Attributes:
        recipe: Its name.
        reason: Why, as a part of a sentence.
    """

    recipe: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """The base model is loaded and the texts are tokenized.

    Attributes:
        parameters: Trainable and total parameters.
        epochs: Epochs of the recipe.
        rows: Texts in each split.
        truncated: Texts over the length limit, in all splits.
        device: Device of the computation.
        precision: Precision of the encoder layers.
        base: Name and source of the base model.
        notes: What the user should know.
        seconds: Estimated seconds of the frozen layers and all epochs.
    """

    parameters: ParameterCounts
    epochs: int
    rows: dict[str, int]
    truncated: int
    device: str
    precision: str
    base: str
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Resumed:
    """A run resumes from a checkpoint: its epoch, steps done in that epoch, and the epochs before."""

    epoch: int
    step: int
    history: tuple[EpochDone, ...]


@dataclass(frozen=True)
class Resumable:
    """A run begins anew although an earlier run of the same training could be resumed."""


@dataclass(frozen=True)
class StateNotSaved:
    """A checkpoint could not be saved, and why."""

    reason: str


@dataclass(frozen=True)
class TextsEncoded:
    """The frozen layers have encoded some more texts."""

    texts: int
    total: int


@dataclass(frozen=True)
class PrefixDone:
    """The frozen layers have encoded all texts; ``use`` says where the activations are."""

    use: CacheUse


@dataclass(frozen=True)
class StepDone:
    """One optimizer step.

    Attributes:
        epoch: Counted from 1.
        step: Counted from 1 within the epoch.
        steps: Steps per epoch.
        texts: Texts in the batch.
        loss: Mean loss of the epoch so far, updated every few steps.
        learning_rate: Learning rate of the step.
    """

    epoch: int
    step: int
    steps: int
    texts: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Scores:
    """Scores on the validation set during training.

    Attributes:
        loss: Mean loss.
        accuracy: Share of texts whose prediction is right; with any number of labels, as a whole.
        macro_f1: Macro F1; with any number of labels, at the thresholds that are best for it.
        micro_f1: Micro F1 at these thresholds; ``None`` with one label, where it is the accuracy.
        lrap: Label ranking average precision; ``None`` with one label.
    """

    loss: float
    accuracy: float
    macro_f1: float
    micro_f1: float | None = None
    lrap: float | None = None

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON values, as ``val_loss`` and so on, without those that are ``None``."""
        return {f"val_{name}": value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class EpochDone:
    """One epoch. Training figures are means over its batches, with dropout and mixup; the others are ``Scores``."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_macro_f1: float
    learning_rate: float
    seconds: float
    val_micro_f1: float | None = None
    val_lrap: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, without those that are ``None``."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Probed:
    """A probe of one depth: its validation score, and the estimated seconds of the whole training."""

    unfreeze: Unfreeze
    score: float
    seconds: float


@dataclass(frozen=True)
class SeedStarted:
    """The next of several trainings whose weights are averaged: its number, counted from 1, and how many."""

    number: int
    seeds: int


@dataclass(frozen=True)
class TrialStarted:
    """A trial of a search starts: its number, counted from 1, its settings, and its epochs."""

    number: int
    settings: dict[str, Any]
    epochs: int


@dataclass(frozen=True)
class TrialDone:
    """A trial of a search has ended: its best validation score and epoch, its seconds, and how it ended."""

    number: int
    score: float
    best_epoch: int
    seconds: float
    state: str


TrainEvent = StepDone | EpochDone
RunEvent = (
    BaseFound
    | DataReady
    | RecipeChosen
    | Prepared
    | TextsEncoded
    | PrefixDone
    | Resumed
    | Resumable
    | StateNotSaved
    | Probed
    | SeedStarted
    | TrialStarted
    | TrialDone
    | TrainEvent
)
