"""Hyperparameter search: trials in one context, so that all trials of one depth share their activations."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from emoclass.activations.logits import compute_logits
from emoclass.config import TrainConfig
from emoclass.encoders.freezing import frozen_depth
from emoclass.errors import ConfigError, LossError, StoppedError
from emoclass.evaluation.significance import Gain
from emoclass.store.runs import RunStates, SavedState
from emoclass.training.context import Context
from emoclass.training.events import EpochDone, TrialDone, TrialStarted
from emoclass.training.fitting import Checkpoints, Fit, fit
from emoclass.training.run import Run
from emoclass.training.search_space import first_recipes, search_space
from emoclass.training.tasks import Outputs
from emoclass.training.trials import Search, Trial, Tuning

if TYPE_CHECKING:
    import optuna

# Trials before the sampler uses their results, and before a trial worse than the median is pruned.
_STARTUP_TRIALS = 8


def search(context: Context, run: Run) -> tuple[Fit, Tuning]:
    """Search for better settings, and return the best trial's model and the search with its gain."""
    trials = run.options.tune or 1
    tuner = Tuner(context, run.config, run.fixed, run.states, min_epochs=run.min_epochs, earlier=run.earlier)
    result = tuner.run(trials, saved=run.saved, patience=run.options.patience)
    fitted = tuner.fitted(result.best)
    fitted.stopped = len(result.trials) < trials and context.stop.requested
    return fitted, Tuning(result, *tuner.gain(fitted))


class Tuner:
    """Train repeatedly with different settings.

    Args:
        context: What all trials share.
        config: The recipe of the first trial.
        fixed: Settings that are not searched.
        states: Where the search is saved after each trial.
        min_epochs: Minimum number of epochs of each trial.
        earlier: Metadata of a checkpoint that is not resumed from.

    Attributes:
        trials: All trials so far.
        tensors: Trained weights of the first and of the best trial, by number of the trial and by name.
    """

    def __init__(
        self,
        context: Context,
        config: TrainConfig,
        fixed: Set[str],
        states: RunStates,
        *,
        min_epochs: int = 1,
        earlier: Mapping[str, Any] | None = None,
    ) -> None:
        self.context, self.config = context, config
        self._checkpoints = Checkpoints(states, context.on_event, {}, earlier)
        depths = [config.unfreeze] if "unfreeze" in fixed else context.depths_to_try
        task = context.data.labels.task
        starts = [
            replace(start, epochs=max(start.epochs, min_epochs))
            for start in first_recipes(config, len(context.data.train), depths, task)
        ]
        space = search_space(starts, depths, min_epochs, task)
        self._space = {name: suggest for name, suggest in space.items() if name not in fixed}
        first = [{name: getattr(start, name) for name in self._space} for start in starts]
        self._starts = [values for number, values in enumerate(first) if values not in first[:number]]
        if not self._space:
            raise ConfigError("--tune: all settings that can be searched are given; drop some")
        self.trials: list[Trial] = []
        self.tensors: dict[int, dict[str, Tensor]] = {}
        self._saved_model: list[str] | None = None

    @property
    def best(self) -> Trial:
        """The trial with the best score, the earliest on a tie."""
        return max(self.trials, key=lambda trial: trial.score)

    def run(self, trials: int, *, saved: SavedState | None, patience: int | None) -> Search:
        """Search until so many trials are done, those of an earlier run included, or the run should stop.

        The first trial has no time limit, so that there is a model.

        Args:
            trials: Number of trials.
            saved: A search to resume.
            patience: Stop a trial after this many epochs without a better one.

        Raises:
            StoppedError: It was stopped before the first trial was complete.
            LossError: The loss was not finite in any trial.
        """
        optuna = _optuna()
        study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(_STARTUP_TRIALS, 1))
        if saved is not None:
            self._resume(study, saved)
        for number in range(len(self.trials) + 1, trials + 1):
            if self.trials and self.context.stop:
                break
            # Seeded by its number, so that a resumed search is the one that was not interrupted.
            study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=_STARTUP_TRIALS, multivariate=True, seed=self.config.seed + number
            )
            for start in self._starts[number - 1 : number]:
                study.enqueue_trial(start)
            asked = study.ask()
            settings = {name: suggest(asked, name) for name, suggest in self._space.items()}
            trial = self._try(number, settings, asked, patience)
            if trial is None:
                break
            self._add(trial)
            study.tell(asked, _value(trial), state=_state(trial))
        if not self.trials:
            raise StoppedError("cancelled before the first trial was complete; nothing was saved")
        if all(trial.state == "failed" for trial in self.trials):
            raise LossError("the loss was not finite in any trial; use --precision fp32")
        return Search(tuple(self.trials), self.best, self._importance(study))

    def fitted(self, trial: Trial) -> Fit:
        """Return the model of the first or the best trial, with the weights of the epoch that it keeps."""
        config = replace(self.config, **trial.settings)
        model, _ = self.context.new_model(config)
        fitted = Fit(self.context, model, config)
        fitted.restore(trial.history, self.tensors.get(trial.number, {}))
        return fitted

    def gain(self, best: Fit) -> tuple[Gain, str]:
        """Return the gain of the best trial's model over the first one's, and the split that it is measured on."""
        context, data = self.context, self.context.data
        split = "val" if data.test is None else "test"
        rows = data.val if data.test is None else data.test
        texts, targets = context.tokenizer(rows.texts), data.labels.encode(rows.labels)
        first = best if self.best.number == 1 else self.fitted(self.trials[0])
        old, new = (
            Outputs(
                compute_logits(each.model, context.source_of(each.model, texts)),
                lambda each=each: (each.val_logits(), context.targets("val")),  # type: ignore[misc]
            )
            for each in (first, best)
        )
        return context.task.gain(targets, old, new, self.config.metric), split

    def _try(self, number: int, settings: dict[str, Any], asked: optuna.Trial, patience: int | None) -> Trial | None:
        """Train once; ``None`` if somebody asked to stop, so that the resumed search does this trial anew."""
        context, config, start = self.context, replace(self.config, **settings), time.perf_counter()
        context.on_event(TrialStarted(number, settings, config.epochs))
        state = "complete"

        def should_prune(epoch: EpochDone) -> bool:
            nonlocal state
            asked.report(fitted.score(fitted.best), epoch.epoch)
            if number > 1 and epoch.epoch < config.epochs and asked.should_prune():
                state = "pruned"
            return state == "pruned"

        stop = context.stop if self.trials else context.stop.without_limit()
        fitted = Fit(context, context.new_model(config)[0], config)
        try:
            context.encode(frozen_depth(fitted.model), stop=stop)
            fit(fitted, stop=stop, patience=patience, should_end=should_prune)
        except StoppedError:
            return None
        except LossError:
            state = "failed"
        if context.stop.requested:
            return None
        if fitted.stopped:  # out of time
            state = "pruned"
        score, epoch = (fitted.score(fitted.kept), fitted.kept.epoch) if fitted.history else (0.0, 0)
        trial = Trial(number, settings, tuple(fitted.history), score, epoch, time.perf_counter() - start, state)
        if number == 1 or score > self.best.score:
            self.tensors = {n: kept for n, kept in self.tensors.items() if n == 1} | {number: fitted.kept_tensors}
        return trial

    def _add(self, trial: Trial) -> None:
        self.trials.append(trial)
        tensors = {f"{number}.{name}": t for number, kept in self.tensors.items() for name, t in kept.items()}
        trials = [each.to_dict() for each in self.trials]
        self._checkpoints.save(tensors, {"trials": trials, "saved_model": self._saved_model})
        self.context.on_event(TrialDone(trial.number, trial.score, trial.best_epoch, trial.seconds, trial.state))

    def _importance(self, study: optuna.Study) -> dict[str, float]:
        optuna = _optuna()
        if sum(trial.state == "complete" for trial in self.trials) < _STARTUP_TRIALS:
            return {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                evaluator = optuna.importance.PedAnovaImportanceEvaluator()
                importance = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError, UserWarning):  # scores are alike, or too few
            return {}
        return {name: float(share) for name, share in importance.items() if np.isfinite(share)}

    def _resume(self, study: optuna.Study, saved: SavedState) -> None:
        optuna = _optuna()
        self.trials = [Trial.from_dict(values) for values in saved.metadata["trials"]]
        self._saved_model = saved.metadata["saved_model"]
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
            self.context.on_event(TrialStarted(trial.number, trial.settings, len(trial.history)))
            self.context.on_event(TrialDone(trial.number, trial.score, trial.best_epoch, trial.seconds, trial.state))


def _value(trial: Trial) -> float | None:
    # The sampler sees a pruned trial by its intermediate values.
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
