"""What happens while a training runs, for those who watch it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emoclass.activations.cache import CacheUse
from emoclass.config import Unfreeze
from emoclass.encoders.freezing import ParameterCounts
from emoclass.training.loop import EpochDone, TrainEvent


@dataclass(frozen=True)
class Prepared:
    """The model stands and the texts are tokenized.

    Attributes:
        parameters: How many parameters train.
        epochs: Passes over the training part, by the recipe.
        rows: Texts in each part.
        truncated: Texts of all parts that are longer than the length limit.
        device: Where the computing is done.
        precision: What the frozen layers compute in.
        base: Name and source of the base model.
        notes: What the user should know.
    """

    parameters: ParameterCounts
    epochs: int
    rows: dict[str, int]
    truncated: int
    device: str
    precision: str
    base: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Resumed:
    """Training goes on from a saved state: the epoch, the steps taken in it, and the epochs before."""

    epoch: int
    step: int
    history: tuple[EpochDone, ...]


@dataclass(frozen=True)
class StateNotSaved:
    """A state from which to go on could not be saved, and why."""

    reason: str


@dataclass(frozen=True)
class TextsEncoded:
    """The frozen layers are done with some more texts."""

    texts: int
    total: int


@dataclass(frozen=True)
class PrefixDone:
    """The frozen layers are done with all texts; ``use`` says where what they gave is kept."""

    use: CacheUse


@dataclass(frozen=True)
class Probed:
    """So many layers were tried: the validation score, and the seconds that the whole training would take."""

    unfreeze: Unfreeze
    score: float
    seconds: float


@dataclass(frozen=True)
class SeedStarted:
    """The next training of several whose weights will be averaged: its number, from 1, and of how many."""

    number: int
    seeds: int


@dataclass(frozen=True)
class TrialStarted:
    """A search tries some settings."""

    number: int
    settings: dict[str, Any]
    epochs: int


@dataclass(frozen=True)
class TrialDone:
    """A trial is over: its best validation score, when that was, its seconds, and how it ended."""

    number: int
    score: float
    best_epoch: int
    seconds: float
    state: str


RunEvent = (
    Prepared
    | TextsEncoded
    | PrefixDone
    | Resumed
    | StateNotSaved
    | Probed
    | SeedStarted
    | TrialStarted
    | TrialDone
    | TrainEvent
)
