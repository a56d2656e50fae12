"""The search for a better recipe: trials on one setup, so that all of one depth share one activation cache."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from emoclass.activations.logits import compute_logits
from emoclass.config import CLASS_WEIGHTS, TrainConfig, Unfreeze
from emoclass.errors import ConfigError, LossError, StoppedError
from emoclass.evaluation.significance import Gain, bootstrap_gain
from emoclass.store.runs import RunStates, SavedState
from emoclass.training.events import StateNotSaved, TrialDone, TrialStarted
from emoclass.training.learning import Learning
from emoclass.training.loop import EpochDone
from emoclass.training.setup import TrainingSetup

if TYPE_CHECKING:
    import optuna

# Trials before the search learns from them, and before the median of the others ends a bad one.
_STARTUP_TRIALS = 8


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        number: Counted from 1.
        settings: What was searched, and its values.
        history: Its epochs.
        score: The validation score of the epoch that is kept.
        best_epoch: When that was.
        seconds: Time that it took, the frozen layers' included.
        state: ``complete``, ``pruned`` (ended early, being worse than others at that time) or ``failed``.
    """

    number: int
    settings: dict[str, Any]
    history: tuple[EpochDone, ...]
    score: float
    best_epoch: int
    seconds: float
    state: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """The trial from what ``to_dict`` gave."""
        return cls(**{**values, "history": tuple(EpochDone(**epoch) for epoch in values["history"])})


@dataclass(frozen=True)
class Search:
    """What a search gave.

    Attributes:
        trials: All that ended; the first one is the recipe that the search began with.
        best: The one with the best validation score, the earliest on a tie.
        importance: Share of each setting in the differences between scores, most important first; empty where
            there are too few trials to say (PED-ANOVA, Watanabe et al. 2023).
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
    """A search, and what it was good for.

    Attributes:
        search: The trials.
        gain: Of the best trial over the first one on ``part``.
        part: ``test``; or ``val`` where there is no test part: then it is optimistic, for the best was chosen there.
    """

    search: Search
    gain: Gain
    part: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        search = self.search
        return {
            "best": search.best.number,
            "gain": {**asdict(self.gain), "part": self.part, "significant": self.gain.significant},
            "importance": search.importance,
            "frontier": [trial.number for trial in search.frontier],
            "trials": [trial.to_dict() for trial in search.trials],
        }


class Tuner:
    """Trains again and again with other settings.

    Args:
        setup: What all trials share.
        config: The recipe that the search begins with.
        fixed: Settings that stay as they are.
        states: Where the search is saved after each trial.
        least_epochs: Of every trial.

    Attributes:
        trials: All so far.
        tensors: Trained weights by number of the trial: of the first and of the best one.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        config: TrainConfig,
        fixed: Set[str],
        states: RunStates,
        *,
        least_epochs: int = 1,
    ) -> None:
        self.setup, self.config, self._states = setup, config, states
        depths = [config.unfreeze] if "unfreeze" in fixed else setup.depths_to_try
        starts = [
            replace(start, epochs=max(start.epochs, least_epochs))
            for start in _starts(config, len(setup.data.train), depths)
        ]
        space = _space(starts, depths, least_epochs)
        self._space = {name: suggest for name, suggest in space.items() if name not in fixed}
        first = [{name: getattr(start, name) for name in self._space} for start in starts]
        self._starts = [values for number, values in enumerate(first) if values not in first[:number]]
        if not self._space:
            raise ConfigError("--tune: every setting that could be tried is given; leave out some")
        self.trials: list[Trial] = []
        self.tensors: dict[int, dict[str, Tensor]] = {}
        self._interim: list[str] | None = None

    @property
    def best(self) -> Trial:
        """The trial with the best score, the earliest on a tie."""
        return max(self.trials, key=lambda trial: trial.score)

    def run(self, trials: int, *, saved: SavedState | None, deadline: float, patience: int | None) -> Search:
        """Searches.

        Args:
            trials: How many trainings in all, those of an earlier run included.
            saved: A state to go on from.
            deadline: When to stop, on the monotonic clock.
            patience: End a trial after so many epochs without a better one.

        Raises:
            StoppedError: It was stopped before the first trial was over.
            LossError: The loss was no number in every trial.
        """
        optuna = _optuna()
        study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(_STARTUP_TRIALS, 1))
        if saved is not None:
            self._resume(study, saved)
        for number in range(len(self.trials) + 1, trials + 1):
            if self.trials and (self.setup.should_stop() or time.monotonic() > deadline):
                break
            # Seeded by its number, so that a search that goes on is the one that was not interrupted.
            study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=_STARTUP_TRIALS, multivariate=True, seed=self.config.seed + number
            )
            for start in self._starts[number - 1 : number]:
                study.enqueue_trial(start)
            asked = study.ask()
            settings = {name: suggest(asked, name) for name, suggest in self._space.items()}
            latest = deadline if self.trials else math.inf
            if not self._try(number, settings, asked, deadline=latest, patience=patience):
                break
            trial = self.trials[-1]
            study.tell(asked, _value(trial), state=_state(trial))
        if not self.trials:
            raise StoppedError("stopped before the first trial was over; nothing was saved")
        if all(trial.state == "failed" for trial in self.trials):
            raise LossError("the loss was no finite number in any trial; use --precision fp32")
        return Search(tuple(self.trials), self.best, self._importance(study))

    def recipe(self, settings: Mapping[str, Any]) -> TrainConfig:
        """The recipe with these settings."""
        return replace(self.config, **settings)

    def learned(self, trial: Trial) -> Learning:
        """The first or the best trial's model with the weights of the epoch that it keeps."""
        config = self.recipe(trial.settings)
        model, _ = self.setup.new_model(config)
        learning = Learning(self.setup, model, config, sources={"val": self.setup.val_source(model)})
        learning.recall(trial.history, self.tensors.get(trial.number, {}))
        return learning

    def gain(self, best: Learning) -> tuple[Gain, str]:
        """What the best trial's model is better by than the first one's, and on which part."""
        data, setup = self.setup.data, self.setup
        part = "val" if data.test is None else "test"
        rows = data.val if data.test is None else data.test
        known = [pair for pair in zip(rows.texts, rows.labels, strict=True) if pair[1] in data.labels.names]
        texts, labels = setup.tokenizer([text for text, _ in known]), data.labels.encode([label for _, label in known])
        first = best if self.best.number == 1 else self.learned(self.trials[0])
        old, new = (
            compute_logits(each.model, setup.source(each.model, texts)).argmax(-1).numpy() for each in (first, best)
        )
        return bootstrap_gain(labels, old, new, len(data.labels), self.config.metric), part

    def _try(
        self, number: int, settings: dict[str, Any], asked: optuna.Trial, *, deadline: float, patience: int | None
    ) -> bool:
        """Trains once; whether that came to an end."""
        config, start = self.recipe(settings), time.perf_counter()
        self.setup.on_event(TrialStarted(number, settings, config.epochs))
        state = "complete"

        def is_hopeless(epoch: EpochDone) -> bool:
            nonlocal state
            asked.report(learning.score(learning.best), epoch.epoch)
            if number > 1 and epoch.epoch < config.epochs and asked.should_prune():
                state = "pruned"
            return state == "pruned"

        model, _ = self.setup.new_model(config)
        try:
            learning = Learning(self.setup, model, config)
            learning.learn(patience=patience, deadline=deadline, should_end=is_hopeless)
        except StoppedError:
            return False
        except LossError:
            state = "failed"
        if self.setup.should_stop():  # when the search goes on this trial is done anew
            return False
        if learning.stopped:  # out of time
            state = "pruned"
        score, epoch = (learning.score(learning.kept), learning.kept.epoch) if learning.history else (0.0, 0)
        trial = Trial(number, settings, tuple(learning.history), score, epoch, time.perf_counter() - start, state)
        self.trials.append(trial)
        if self.best is trial or number == 1:
            self.tensors = {n: kept for n, kept in self.tensors.items() if n == 1} | {number: learning.kept_tensors}
        self._save()
        self.setup.on_event(TrialDone(trial.number, trial.score, trial.best_epoch, trial.seconds, trial.state))
        return True

    def _importance(self, study: optuna.Study) -> dict[str, float]:
        optuna = _optuna()
        if sum(trial.state == "complete" for trial in self.trials) < _STARTUP_TRIALS:
            return {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                evaluator = optuna.importance.PedAnovaImportanceEvaluator()
                found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError, UserWarning):  # scores are alike, or too few
            return {}
        return {name: float(share) for name, share in found.items() if np.isfinite(share)}

    def _save(self) -> None:
        tensors = {f"{number}.{name}": t for number, kept in self.tensors.items() for name, t in kept.items()}
        try:
            trials = [trial.to_dict() for trial in self.trials]
            self._states.save(tensors, {"trials": trials, "interim": self._interim})
        except OSError as error:
            self.setup.on_event(StateNotSaved(f"{self._states.directory}: {error.strerror or error}"))

    def _resume(self, study: optuna.Study, saved: SavedState) -> None:
        optuna = _optuna()
        self.trials = [Trial.from_dict(values) for values in saved.facts["trials"]]
        self._interim = saved.facts["interim"]
        for key, tensor in saved.tensors.items():
            number, _, name = key.partition(".")
            self.tensors.setdefault(int(number), {})[name] = tensor
        for trial in self.trials:
            asked = optuna.trial.FixedTrial(trial.settings)
            for name, suggest in self._space.items():
                suggest(asked, name)
            scores = np.maximum.accumulate([getattr(e, f"val_{self.config.metric}") for e in trial.history] or [0.0])
            study.add_trial(
                optuna.trial.create_trial(
                    params=trial.settings,
                    distributions=asked.distributions,
                    value=_value(trial),
                    state=_state(trial),
                    intermediate_values={e.epoch: float(s) for e, s in zip(trial.history, scores, strict=False)},
                )
            )
            self.setup.on_event(TrialStarted(trial.number, trial.settings, len(trial.history)))
            self.setup.on_event(TrialDone(trial.number, trial.score, trial.best_epoch, trial.seconds, trial.state))


def _starts(config: TrainConfig, texts: int, depths: Sequence[Unfreeze]) -> list[TrainConfig]:
    """What to begin with: the recipe itself, and those that are known to be good."""
    names = ["fast", "best"] if {"encoder", "all"} & set(depths) else ["fast"]
    known = [TrainConfig.named(name, batch_size=config.batch_size).for_texts(texts) for name in names]
    return [config, *known]


_Suggest = Callable[[Any, str], Any]


def _space(starts: Sequence[TrainConfig], depths: Sequence[Unfreeze], least_epochs: int) -> dict[str, _Suggest]:
    """How a value of each setting is found; those that it begins with are among those to be found."""

    def own(name: str) -> list[Any]:
        return [getattr(start, name) for start in starts]

    def among(values: list[Any], trial: optuna.Trial, name: str) -> Any:
        return trial.suggest_categorical(name, list(dict.fromkeys([*values, *own(name)])))

    def between(low: float, high: float, trial: optuna.Trial, name: str) -> float:
        positive = [value for value in own(name) if value > 0]
        return trial.suggest_float(name, min(low, *positive), max(high, *positive), log=True)

    def epochs(trial: optuna.Trial, name: str) -> int:
        return trial.suggest_int(name, max(least_epochs, min(2, *own(name))), max(16, *own(name)))

    space: dict[str, _Suggest] = {
        "learning_rate": partial(between, 3e-5, 5e-3),
        "epochs": epochs,
        "weight_decay": partial(between, 1e-3, 0.3),
        "dropout": partial(among, [None, 0.0, 0.2, 0.3]),
        "label_smoothing": partial(among, [0.0, 0.05, 0.1]),
        "r_drop": partial(among, [0.0, 0.5, 1.0, 2.0]),
        "mixup": partial(among, [0.0, 0.4]),
        "train_pooler": partial(among, [False, True]),
        "unfreeze": partial(among, list(depths)),
    }
    if set(depths) - {0, 1}:
        space["layer_decay"] = partial(among, [1.0, 0.9])
    if starts[0].metric == "macro_f1":
        space["class_weights"] = partial(among, list(CLASS_WEIGHTS))
    return space


def _value(trial: Trial) -> float | None:
    # What a search may learn from a trial that was ended early is in its epochs.
    return trial.score if trial.state == "complete" else None


def _state(trial: Trial) -> Any:
    states = _optuna().trial.TrialState
    return {"complete": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[trial.state]


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(f'--tune needs more packages ({error.name}): pip install "emoclass[tune]"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
