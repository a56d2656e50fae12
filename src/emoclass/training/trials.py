"""The trials of a hyperparameter search, and what it was worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from emoclass.evaluation.significance import Gain
from emoclass.training.events import EpochDone


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        number: Counted from 1.
        settings: Values of the searched settings.
        history: Its epochs.
        score: Validation score of the kept epoch.
        best_epoch: The kept epoch.
        seconds: Seconds of the trial, its frozen pass included.
        state: ``complete``, ``pruned`` (stopped early because others were better at that epoch) or ``failed``.
    """

    number: int
    settings: dict[str, Any]
    history: tuple[EpochDone, ...]
    score: float
    best_epoch: int
    seconds: float
    state: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**vars(self), "history": [epoch.to_dict() for epoch in self.history]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """Return the trial that ``to_dict`` describes."""
        return cls(**{**values, "history": tuple(EpochDone(**epoch) for epoch in values["history"])})


@dataclass(frozen=True)
class Search:
    """The result of a search.

    Attributes:
        trials: All trials; the first one has the recipe that the search started from.
        best: The trial with the best validation score, the earliest on a tie.
        importance: Share of each setting in the variance of the scores, most important first; empty if there are too
            few trials (PED-ANOVA, Watanabe et al. 2023).
    """

    trials: tuple[Trial, ...]
    best: Trial
    importance: dict[str, float]

    @property
    def frontier(self) -> tuple[Trial, ...]:
        """Trials that no other beats in both score and time, fastest first."""
        kept: list[Trial] = []
        for trial in sorted(self.trials, key=lambda t: (t.seconds, -t.score)):
            if trial.state != "failed" and (not kept or trial.score > kept[-1].score):
                kept.append(trial)
        return tuple(kept)


@dataclass(frozen=True)
class Tuning:
    """A search and its gain.

    Attributes:
        search: The trials.
        gain: Gain of the best trial over the first one on ``part``.
        part: ``test``, or ``val`` if there is no test set: then the gain is optimistic, as the best was chosen there.
    """

    search: Search
    gain: Gain
    part: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        search = self.search
        return {
            "best": search.best.number,
            "gain": {**asdict(self.gain), "part": self.part, "significant": self.gain.significant},
            "importance": search.importance,
            "frontier": [trial.number for trial in search.frontier],
            "trials": [trial.to_dict() for trial in search.trials],
        }
