"""One training, from clean data to a saved classifier."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import wraps
from typing import Any, ParamSpec

import torch

from emoclass._version import __version__
from emoclass.activations.cache import default_budget
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.base import BaseModel, resolve_base
from emoclass.encoders.freezing import ParameterCounts, count_parameters
from emoclass.errors import ConfigError, DeviceError, ModelError, NameTakenError
from emoclass.evaluation.report import Evaluation
from emoclass.runtime import is_out_of_memory, resolve_device, resolve_precision
from emoclass.store.checkpoints import StoredModel, check_free, find_model, free_name
from emoclass.store.runs import RunStates, SavedState, parse_state, run_key
from emoclass.training.averaging import Averaged, average_seeds
from emoclass.training.events import RunEvent, StateNotSaved
from emoclass.training.finishing import FinishedModel, require_space
from emoclass.training.learning import Learning
from emoclass.training.loop import EpochDone
from emoclass.training.probing import Probe, probe_depths
from emoclass.training.ranks import join_ranks
from emoclass.training.setup import TrainingSetup
from emoclass.training.tuning import Tuner, Tuning

_P = ParamSpec("_P")


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Attributes:
        model: The saved model.
        history: All epochs.
        best_epoch: The one that was kept, by the recipe's ``keep``; the earlier one on a tie of the best.
        parameters: How many parameters trained.
        test: Scores on the test part, if there is one.
        stopped: Whether it was stopped before the last epoch; it can be resumed.
        failure: Why it ended early, if it failed.
        tuning: The search for its settings, if there was one.
        probes: The depths that were tried before, with ``--unfreeze auto``.
        averaged: What the mean of several trainings' weights is, with ``--seeds``; ``history`` is the first one's.
    """

    model: StoredModel
    history: tuple[EpochDone, ...]
    best_epoch: int
    parameters: ParameterCounts
    test: Evaluation | None
    stopped: bool
    failure: str | None
    tuning: Tuning | None = None
    probes: tuple[Probe, ...] = ()
    averaged: Averaged | None = None

    @property
    def still_learning(self) -> bool:
        """Whether the last epoch was the best, and clearly better on what it learned from than the one before."""
        if len(self.history) < 2 or self.best_epoch < len(self.history):
            return False
        before, last = self.history[-2:]
        return last.train_loss < 0.97 * before.train_loss and last.val_loss < before.val_loss

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
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
            "history": [asdict(epoch) for epoch in self.history],
            "data": manifest.data,
            "test": None if self.test is None else self.test.to_dict(),
        }


def train_together(
    data: TrainingData,
    config: TrainConfig,
    *,
    name: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "auto",
    cache_memory: int | None = None,
    cache_disk: int | None = None,
    resume: bool = False,
    patience: int | None = None,
    max_minutes: float | None = None,
    tune: int | None = None,
    fixed: Iterable[str] = (),
    on_event: Callable[[RunEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult | None:
    """Trains a classifier, keeps one of its epochs, scores it on the test part and saves it.

    Of the processes that torchrun started the first one gets the result, the others ``None``; ``run_training`` is for
    one process.

    Args:
        data: Clean parts.
        config: The recipe.
        name: Name of the new model; by default made from the data's and the base model's.
        overwrite: Whether a model of that name may be replaced.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: Of the frozen layers: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        cache_memory: Bytes of memory that activations may take; by default half of what is free.
        cache_disk: Bytes that all activation files may take; by default half of what is free, at most 20 GB.
        resume: Whether to go on with the same training where an earlier run ended too early, if one did.
        patience: End after so many epochs without a better one.
        max_minutes: Stop after so many minutes of training; what is best so far is then saved.
        tune: Search for better settings in so many trials.
        fixed: Settings that a search leaves as they are.
        on_event: Called with whatever happens.
        should_stop: Asked after every step, by several processes every ten; what is best so far is then saved.

    Raises:
        EmoclassError: Of some kind, with what to do about it.
        StoppedError: It was stopped before the end of the first epoch.
    """
    base = resolve_base(config.base_model)
    torch_device = resolve_device(device)
    dtype = resolve_precision(precision, torch_device)
    fixed = set(fixed)
    # Of a search the steps that are asked for hold for all trials, those of its first recipe for the first.
    least_epochs = replace(config, epochs=1).for_texts(len(data.train)).epochs if "min_steps" in fixed else 1
    config = config.for_texts(len(data.train))
    _check_limits(config, patience, max_minutes, tune)
    searched = None if tune is None else [*sorted(fixed), f"epochs >= {least_epochs}"]
    key = _key(data, config, base, torch_device, dtype, searched)
    with join_ranks(torch_device) as ranks, RunStates(key, idle=not ranks.is_first) as states:
        if tune is not None and ranks.size > 1:
            raise ConfigError("--tune: a search runs in one process; leave out torchrun")
        if states.problem and ranks.is_first:
            on_event(StateNotSaved(f"{states.directory}: {states.problem}"))
        saved = parse_state(ranks.from_first(states.read())) if resume else None
        interim = None if saved is None else _interim(saved)
        if name is not None and name != interim:
            check_free(name, overwrite=overwrite)
        # What comes from torch's own random numbers is seeded here, and the caller's are left as they were.
        with torch.random.fork_rng([torch_device] if torch_device.type == "cuda" else []), _told_what_to_lower():
            budget = default_budget(torch_device, memory=cache_memory, disk=cache_disk)
            setup = TrainingSetup(data, base, config, torch_device, dtype, budget, ranks, on_event, should_stop)
            deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
            config, probes = _decided(setup, config, saved, deadline)
            model, notes = setup.new_model(config)
            require_space(model)
            setup.tokenize(model, notes)
            tuning = averaged = None
            if tune is None:
                learning = Learning(setup, model, config, states, {"probes": [probe.to_dict() for probe in probes]})
                learning.learn(saved, patience=patience, deadline=deadline)
                if config.seeds > 1 and not learning.stopped and learning.failure is None:
                    averaged = average_seeds(learning, states, resume=resume, patience=patience, deadline=deadline)
            else:
                tuner = Tuner(setup, config, fixed, states, least_epochs=least_epochs)
                search = tuner.run(tune, saved=saved, deadline=deadline, patience=patience)
                learning = tuner.learned(search.best)
                learning.stopped = len(search.trials) < tune and should_stop()
                tuning = Tuning(search, *tuner.gain(learning))
            logits = learning.val_logits()
            if not ranks.is_first:
                return None
            found = {
                "tuning": None if tuning is None else tuning.to_dict(),
                "probes": [probe.to_dict() for probe in probes],
                "averaged": None if averaged is None else asdict(averaged),
            }
            finished = FinishedModel(learning, logits, found)
        overwrite = overwrite and name is not None
        name = name or interim or f"{_stem(data.source)}-{_stem(base.name)}"
        stored = _save(finished, name, overwrite=overwrite or name == interim)
        # A search that is out of time has ended well, and can go on.
        if learning.stopped or (tuning is not None and len(tuning.search.trials) < (tune or 0)):
            states.note(interim=[stored.manifest.name, stored.manifest.created_at])
        else:
            states.clear()
    return TrainResult(
        stored,
        tuple(learning.history),
        learning.kept.epoch,
        count_parameters(learning.model),
        finished.test,
        learning.stopped,
        learning.failure,
        tuning,
        probes,
        averaged,
    )


def _in_one_process(train: Callable[_P, TrainResult | None]) -> Callable[_P, TrainResult]:
    @wraps(train)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> TrainResult:
        result = train(*args, **kwargs)
        if result is None:
            raise ConfigError("run_training is for one process; use train_together, which gives the first the result")
        return result

    return run


run_training = _in_one_process(train_together)


def _check_limits(config: TrainConfig, patience: int | None, max_minutes: float | None, tune: int | None) -> None:
    if patience is not None and patience < 1:
        raise ConfigError(f"--patience {patience} is less than 1")
    if max_minutes is not None and not max_minutes > 0:
        raise ConfigError(f"--max-minutes {max_minutes} is not above 0")
    if tune is not None and tune < 1:
        raise ConfigError(f"--tune {tune} is less than 1")
    if tune is not None and config.unfreeze == "auto":
        raise ConfigError("--tune tries numbers of layers itself; leave out --unfreeze auto")
    if tune is not None and config.seeds > 1:
        raise ConfigError("--tune: a search trains one model at a time; leave out --seeds")


def _decided(
    setup: TrainingSetup, config: TrainConfig, saved: SavedState | None, deadline: float
) -> tuple[TrainConfig, tuple[Probe, ...]]:
    """The recipe with a number of layers, and the probes by which it was found, now or in an earlier run."""
    if config.unfreeze != "auto":
        return config, ()
    known = None if saved is None else tuple(Probe.from_dict(values) for values in saved.facts["probes"])
    probes = known or probe_depths(setup, config, deadline)
    return replace(config, unfreeze=next(probe.unfreeze for probe in probes if probe.chosen)), probes


def _interim(saved: SavedState) -> str | None:
    """The model in which an earlier run saved what was best so far, if it has not been removed or replaced."""
    name, created_at = saved.facts["interim"] or (None, None)
    with suppress(ModelError):
        return name if name and find_model(name).manifest.created_at == created_at else None
    return None


def _save(finished: FinishedModel, name: str, *, overwrite: bool) -> StoredModel:
    """Saves the model; where the name has been taken by now, with a number behind it: nothing is lost for that."""
    while True:
        with suppress(NameTakenError):
            return finished.save(name if overwrite else free_name(name), overwrite=overwrite)


def _key(
    data: TrainingData,
    config: TrainConfig,
    base: BaseModel,
    device: torch.device,
    dtype: torch.dtype,
    searched: list[str] | None,
) -> str:
    """What the result of a training depends on."""
    digest = hashlib.sha256()
    for part in (data.train, data.val):
        for text, label in zip(part.texts, part.labels, strict=True):
            digest.update(f"{len(text)} {len(label)} {text}{label}".encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    versions = [__version__, torch.__version__]
    where = [base.name, base.sha256(), device.type, str(dtype)]
    return run_key(config.to_dict(), searched, where, digest.hexdigest(), versions)


@contextmanager
def _told_what_to_lower() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            "out of memory; lower --batch-size, --max-length or --cache-memory, or train fewer layers (--unfreeze)"
        ) from error


def _stem(name: str) -> str:
    """A part of a model's name, from a path or hub id."""
    last = name.rstrip("/\\").replace("\\", "/").split("/")[-1].split(".")[0]
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in last).strip("-")
    return kept[:40] or "data"
