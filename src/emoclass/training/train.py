"""One training from clean data to a saved classifier: prepare, encode, fit, calibrate, evaluate, save."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from emoclass.activations.cache import default_budget
from emoclass.config import TrainConfig
from emoclass.data.inspection.findings import find_unknown_tokens
from emoclass.data.preparation import TrainingData
from emoclass.encoders.freezing import ParameterCounts, count_parameters, frozen_depth
from emoclass.evaluation.multilabel_report import AnyEvaluation
from emoclass.runtime import precision_name
from emoclass.store.reading import StoredModel
from emoclass.training.averaging import Averaged, average_seeds
from emoclass.training.context import Context, base_weights, tokenize
from emoclass.training.estimates import estimated_seconds
from emoclass.training.events import EpochDone, Prepared, RunEvent
from emoclass.training.finishing import calibrate, evaluate, make_manifest, require_space, save
from emoclass.training.fitting import Checkpoints, Fit, fit
from emoclass.training.options import RunOptions
from emoclass.training.probing import Probe, probe_depths
from emoclass.training.run import Run, open_run
from emoclass.training.stopping import StopSignal
from emoclass.training.trials import Tuning
from emoclass.training.tuning import search


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        model: The saved model.
        history: All epochs.
        best_epoch: The epoch that was kept, by the recipe's ``keep``; the earlier one on a tie of the best.
        parameters: Trainable and total parameters.
        test: Scores on the test set, if there is one.
        stopped: Whether it was stopped before the last epoch; it can be resumed.
        failure: Why it ended early, if it failed.
        tuning: The hyperparameter search, if there was one.
        probes: The depths that were tried before, with ``--unfreeze auto``.
        averaged: The averaged model, with ``--seeds``; ``history`` is that of the first training.
    """

    model: StoredModel
    history: tuple[EpochDone, ...]
    best_epoch: int
    parameters: ParameterCounts
    test: AnyEvaluation | None
    stopped: bool
    failure: str | None
    tuning: Tuning | None = None
    probes: tuple[Probe, ...] = ()
    averaged: Averaged | None = None

    @property
    def still_learning(self) -> bool:
        """Whether the last epoch was the best, and both losses still fell clearly."""
        if len(self.history) < 2 or self.best_epoch < len(self.history):
            return False
        before, last = self.history[-2:]
        return last.train_loss < 0.97 * before.train_loss and last.val_loss < before.val_loss

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        manifest = self.model.manifest
        return {
            "name": manifest.name,
            "path": str(self.model.directory),
            "labels": list(manifest.labels),
            **manifest.parameters,
            "best_epoch": self.best_epoch,
            "still_learning": self.still_learning,
            "stopped": self.stopped,
            "failure": self.failure,
            **{key: manifest.metrics[key] for key in ("tuning", "probes", "averaged")},
            "history": [epoch.to_dict() for epoch in self.history],
            "data": manifest.data,
            "test": None if self.test is None else self.test.to_dict(),
        }


def train(
    data: TrainingData,
    config: TrainConfig,
    options: RunOptions,
    *,
    fixed: Iterable[str] = (),
    on_event: Callable[[RunEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult | None:
    """Train a classifier, keep one of its epochs, evaluate it on the test set and save it.

    Args:
        data: Clean splits.
        config: The recipe.
        options: Where to run, how long, and where the model goes.
        fixed: Settings that a search does not change.
        on_event: Called with all events.
        should_stop: Asked after every step (every ten with several processes); then the best epoch so far is saved.

    Returns:
        The result; ``None`` in all but the first of several processes that torchrun started.

    Raises:
        EmoclassError: Something that the user can mend.
        StoppedError: It was stopped before the end of the first epoch.
    """
    stop = StopSignal(should_stop, max_minutes=options.max_minutes)
    with open_run(data, config, options, fixed=fixed, on_event=on_event) as run:
        context = prepare(run, stop, on_event)
        config, probes = choose_depth(context, run)
        fitted, tuning, averaged = fit_all(context, run, config, probes)
        logits = fitted.val_logits()
        if not run.hardware.ranks.is_first:
            return None
        context.free_activations()
        calibrated = calibrate(fitted, logits)
        test = evaluate(fitted, calibrated)
        selection = {
            "tuning": None if tuning is None else tuning.to_dict(),
            "probes": [probe.to_dict() for probe in probes],
            "averaged": None if averaged is None else averaged.to_dict(),
        }
        manifest = make_manifest(run.name, fitted, calibrated, test, selection)
        stored = save(fitted, manifest, run.states, overwrite=run.overwrites, directory=options.directory)
        close(run, fitted, tuning, stored)
    return TrainResult(
        stored,
        tuple(fitted.history),
        fitted.kept.epoch,
        count_parameters(fitted.model),
        test,
        fitted.stopped,
        fitted.failure,
        tuning,
        probes,
        averaged,
    )


def prepare(run: Run, stop: StopSignal, on_event: Callable[[RunEvent], None]) -> Context:
    """Read the base model's weights and tokenize; the time limit starts here."""
    stop.start_clock()
    options, hardware = run.options, run.hardware
    budget = default_budget(hardware.device, memory=options.cache_memory, disk=options.cache_disk)
    tokenizer = run.base.tokenizer(run.config.truncation)
    return Context(
        data=run.data,
        base=run.base,
        weights=base_weights(run.base, hardware.device),
        tokenizer=tokenizer,
        tokenized=tokenize(run.data, tokenizer, hardware.ranks),
        hardware=hardware,
        budget=budget,
        on_event=on_event,
        stop=stop,
    )


def choose_depth(context: Context, run: Run) -> tuple[TrainConfig, tuple[Probe, ...]]:
    """Return the recipe with a number of layers, and the probes that chose it, now or in an earlier run."""
    if run.config.unfreeze != "auto":
        return run.config, ()
    known = None if run.saved is None else tuple(Probe.from_dict(values) for values in run.saved.metadata["probes"])
    probes = known or probe_depths(context, run.config)
    return replace(run.config, unfreeze=next(probe.unfreeze for probe in probes if probe.chosen)), probes


def fit_all(
    context: Context, run: Run, config: TrainConfig, probes: tuple[Probe, ...]
) -> tuple[Fit, Tuning | None, Averaged | None]:
    """Encode and fit: once, for several seeds whose weights are averaged, or in the trials of a search."""
    options = run.options
    if options.tune is not None:
        announce(context, config)
        return *search(context, run), None
    fitted = announce(context, config)
    context.encode(frozen_depth(fitted.model))
    checkpoints = Checkpoints(
        run.states, context.on_event, {"probes": [probe.to_dict() for probe in probes]}, run.earlier
    )
    fit(fitted, stop=context.stop, patience=options.patience, checkpoints=checkpoints, saved=run.saved)
    if config.seeds == 1 or fitted.stopped or fitted.failure is not None:
        return fitted, None, None
    return fitted, None, average_seeds(fitted, run.states, resume=options.resume, patience=options.patience)


def announce(context: Context, config: TrainConfig) -> Fit:
    """Return a new model before its first epoch, after checking that there is room for it on the disk."""
    model, notes = context.new_model(config)
    require_space(model)
    if (left := context.stop.seconds_left) < math.inf:
        first = estimated_seconds(context, replace(config, epochs=1, seeds=1), model)
        short = f"--max-minutes may end before the first epoch, which takes about {first / 60:.1f} minutes"
        notes += (f"{short}: no model is saved then, but --resume goes on",) if first > left else ()
    hardware, data = context.hardware, context.data
    truncated = sum(int(texts.truncated.sum()) for texts in context.tokenized.values())
    notes += _unknown_tokens(context)
    context.on_event(
        Prepared(
            parameters=count_parameters(model),
            epochs=config.epochs,
            rows={"train": len(data.train), "val": len(data.val)},
            truncated=int(hardware.ranks.total(torch.tensor(truncated))),
            device=str(hardware.device),
            precision=precision_name(hardware.dtype),
            base=f"{context.base.name} ({context.base.source})",
            notes=notes,
            seconds=estimated_seconds(context, config, model),
        )
    )
    return Fit(context, model, config)


def _unknown_tokens(context: Context) -> tuple[str, ...]:
    """Return a note if the base model's vocabulary lacks many tokens of the texts of all processes."""
    counts = [context.tokenizer.count_tokenized(texts) for texts in context.tokenized.values()]
    totals = torch.tensor([sum(int(each[part].sum()) for each in counts) for part in (0, 1)])
    tokens, unknown = context.hardware.ranks.total(totals).tolist()
    found = find_unknown_tokens(context.data.train.name, unknown / max(1, tokens))
    return tuple(f"{each.part}: {each.message}" for each in found)


def close(run: Run, fitted: Fit, tuning: Tuning | None, stored: StoredModel) -> None:
    """Remove the checkpoints of a complete training; of one that can be resumed, note where the model is saved."""
    if fitted.stopped or (tuning is not None and len(tuning.search.trials) < (run.options.tune or 0)):
        run.states.note(saved_model=[stored.manifest.name, stored.manifest.created_at])
    else:
        run.states.clear()
