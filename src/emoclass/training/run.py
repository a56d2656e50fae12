"""One training, from clean data to a saved classifier."""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from emoclass._version import __version__
from emoclass.config import TrainConfig
from emoclass.data.folding import text_hashes
from emoclass.data.preparation import TrainingData
from emoclass.errors import ConfigError, DeviceError, ModelError, NameTakenError
from emoclass.evaluation.calibration import fit_temperature
from emoclass.evaluation.report import Evaluation, evaluate
from emoclass.evaluation.scoring import Scoring
from emoclass.inference.predictor import Classifier
from emoclass.model.base import BaseModel, resolve_base
from emoclass.model.encoder import PackedBert
from emoclass.model.freezing import ParameterCounts, count_parameters, frozen_depth
from emoclass.model.prefix import compute_logits
from emoclass.runtime import (
    free_disk,
    is_out_of_memory,
    models_dir,
    precision_name,
    resolve_device,
    resolve_precision,
)
from emoclass.store import layout
from emoclass.store.checkpoints import StoredModel, check_free, find_model, free_name, save_model
from emoclass.store.layout import Manifest
from emoclass.training.activations import default_budget
from emoclass.training.card import model_card
from emoclass.training.events import RunEvent, StateNotSaved
from emoclass.training.learning import Learning
from emoclass.training.loop import EpochDone
from emoclass.training.ranks import join_ranks
from emoclass.training.resume import RunStates, SavedState, parse_state, run_key
from emoclass.training.setup import TrainingSetup
from emoclass.training.tuning import Tuner, Tuning


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Attributes:
        model: The saved model.
        history: All epochs.
        best_epoch: The one that was kept: best validation score, the earlier one on a tie.
        parameters: How many parameters trained.
        test: Scores on the test part, if there is one.
        stopped: Whether it was stopped before the last epoch; it can be resumed.
        failure: Why it ended early, if it failed.
        tuning: The search for its settings, if there was one.
    """

    model: StoredModel
    history: tuple[EpochDone, ...]
    best_epoch: int
    parameters: ParameterCounts
    test: Evaluation | None
    stopped: bool
    failure: str | None
    tuning: Tuning | None = None

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
            "tuning": None if self.tuning is None else self.tuning.to_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "data": manifest.data,
            "test": None if self.test is None else self.test.to_dict(),
        }


def run_training(
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
) -> TrainResult:
    """Trains a classifier, keeps its best epoch, scores it on the test part and saves it.

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
        should_stop: Asked after every step; what is best so far is then saved.

    Raises:
        EmoclassError: Of some kind, with what to do about it.
        StoppedError: It was stopped before the end of the first epoch.
    """
    result = train_together(
        data,
        config,
        name=name,
        overwrite=overwrite,
        device=device,
        precision=precision,
        cache_memory=cache_memory,
        cache_disk=cache_disk,
        resume=resume,
        patience=patience,
        max_minutes=max_minutes,
        tune=tune,
        fixed=fixed,
        on_event=on_event,
        should_stop=should_stop,
    )
    if result is None:
        raise ConfigError("run_training is for one process; in several, train_together gives the first one the result")
    return result


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
    """The same in each of the processes that torchrun started; the first one gets the result, the others ``None``.

    See ``run_training``.
    """
    base = resolve_base(config.base_model)
    torch_device = resolve_device(device)
    dtype = resolve_precision(precision, torch_device)
    if patience is not None and patience < 1:
        raise ConfigError(f"--patience {patience} is less than 1")
    if max_minutes is not None and not max_minutes > 0:
        raise ConfigError(f"--max-minutes {max_minutes} is not above 0")
    if tune is not None and tune < 1:
        raise ConfigError(f"--tune {tune} is less than 1")
    searched = None if tune is None else sorted(fixed)
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
            model, notes = setup.new_model(config)
            require_space(model)
            require_range(model, dtype)
            setup.tokenize(model, notes)
            deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
            tuning = None
            if tune is None:
                learning = Learning(setup, model, config, states)
                learning.learn(saved, patience=patience, deadline=deadline)
            else:
                tuner = Tuner(setup, config, fixed, states)
                search = tuner.run(tune, saved=saved, deadline=deadline, patience=patience)
                learning = tuner.learned(search.best)
                learning.stopped = len(search.trials) < tune and should_stop()
                tuning = Tuning(search, *tuner.gain(learning))
            logits = learning.val_logits()
            if not ranks.is_first:
                return None
            finished = FinishedModel(learning, logits, tuning)
        overwrite = overwrite and name is not None
        name = name or interim or f"{_stem(data.source)}-{_stem(base.name)}"
        stored = _save(finished, name, overwrite=overwrite or name == interim)
        if learning.stopped:
            states.note(interim=[stored.manifest.name, stored.manifest.created_at])
        else:
            states.clear()
    return TrainResult(
        stored,
        tuple(learning.history),
        learning.best.epoch,
        count_parameters(learning.model),
        finished.test,
        learning.stopped,
        learning.failure,
        tuning,
    )


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
    where = [base.name, base.source, device.type, str(dtype)]
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


class FinishedModel:
    """What a learning gave, calibrated, scored on the test part, and ready to be saved.

    Args:
        learning: Over; what it kept in memory is let go.
        logits: Its logits of the validation part, ``float32[texts, classes]``.
        tuning: The search for its settings, if there was one.

    Attributes:
        temperature: By which logits are divided: in the classifier's weights.
        test: Scores on the test part, if there is one.
    """

    def __init__(self, learning: Learning, logits: Tensor, tuning: Tuning | None = None) -> None:
        self.learning, self.setup, self.model = learning, learning.setup, learning.model
        self._tuning = tuning
        self.temperature = self._calibrate(logits)
        self.test = self._test()

    def _calibrate(self, logits: Tensor) -> float:
        data = self.setup.data
        temperature = fit_temperature(logits.numpy(), data.labels.encode(data.val.labels))
        with torch.no_grad():
            for parameter in self.model.classifier.parameters():
                parameter.div_(temperature)
        self.learning.sources = {}
        self.setup.free()
        return temperature

    def _test(self) -> Evaluation | None:
        setup = self.setup
        data = setup.data
        if data.test is None:
            return None
        classifier = Classifier(self.model, setup.tokenizer, data.labels.names, device=setup.device, dtype=setup.dtype)
        scoring = Scoring(
            classifier,
            training_hashes=text_hashes(data.train.texts),
            baseline=setup.baseline,
            temperature=self.temperature,
            logits_of=lambda tokenized: compute_logits(self.model, setup.source(self.model, tokenized)),
        )
        (evaluation,) = evaluate([scoring], data.test)
        return evaluation

    def _manifest(self, name: str) -> Manifest:
        setup, data, best = self.setup, self.setup.data, self.learning.best
        parts = {"train": data.train, "val": data.val, "test": data.test}
        epoch = {key: value for key, value in asdict(best).items() if key not in ("epoch", "seconds")}
        parameters = count_parameters(self.model)
        return Manifest(
            name=name,
            created_at=datetime.now(timezone.utc).isoformat(),
            labels=data.labels.names,
            base_model={"name": setup.base.name, "source": setup.base.source},
            recipe=self.learning.config,
            truncation=setup.tokenizer.truncation,
            parameters={"trainable_parameters": parameters.trainable, "total_parameters": parameters.total},
            metrics={
                "best_epoch": best.epoch,
                **epoch,
                "test": None if self.test is None else self.test.to_dict(),
                "tuning": None if self._tuning is None else self._tuning.to_dict(),
            },
            calibration={"method": "temperature", "temperature": self.temperature, "rows": len(data.val)},
            data={
                "source": data.source,
                "sha256": data.sha256,
                "rows": {part: len(rows) for part, rows in parts.items() if rows is not None},
                "removed_rows": data.removed_rows,
                "conflicts": data.conflicts,
                "leaked": data.leaked,
            },
            versions=_versions(setup.device, setup.dtype),
        )

    def save(self, name: str, *, overwrite: bool) -> StoredModel:
        """Saves the model."""
        setup, manifest = self.setup, self._manifest(name)
        tensors = {n: p.detach().cpu().contiguous() for n, p in self.model.named_parameters()}
        return save_model(
            manifest,
            tensors=tensors,
            # The classifier is new, whether it trains or not; with it the calibration.
            trained={n for n, p in self.model.named_parameters() if p.requires_grad or n.startswith("classifier.")},
            config=setup.base.classifier_config(manifest.labels),
            tokenizer_json=setup.tokenizer.to_json(),
            tokenizer_config=setup.base.tokenizer_config(manifest.truncation.max_length),
            history=[asdict(epoch) for epoch in self.learning.history],
            card=model_card(manifest),
            training_hashes=text_hashes(setup.data.train.texts),
            write_more=lambda directory: setup.baseline.save(directory, layout.BASELINE),
            overwrite=overwrite,
        )


def require_space(model: PackedBert) -> None:
    """Checks that there is room for what a training leaves on the disk.

    Raises:
        ModelError: There is not.
    """
    # The model, and two states with weights, two moments and the best weights.
    parameters = count_parameters(model)
    needed = 4 * parameters.total + 2 * 16 * parameters.trainable + 16 * 1024**2
    directory = models_dir()
    free = free_disk(directory)
    if free < needed:
        raise ModelError(
            f"{directory}: the model needs {needed >> 20} MiB and the disk has {free >> 20} MiB left; "
            "free some, or set EMOCLASS_HOME to a directory on another disk"
        )


def require_range(model: PackedBert, dtype: torch.dtype) -> None:
    """Checks that gradients survive in ``dtype``.

    Raises:
        DeviceError: They do not.
    """
    depth = frozen_depth(model)
    if dtype == torch.float16 and (depth is None or depth < model.config.num_hidden_layers - 1):
        raise DeviceError("--precision fp16: gradients of more than one layer vanish in it; use bf16 or fp32")


def _stem(name: str) -> str:
    """A part of a model's name, from a path or hub id."""
    last = name.rstrip("/\\").replace("\\", "/").split("/")[-1].split(".")[0]
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in last).strip("-")
    return kept[:40] or "data"


def _versions(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    versions = {"emoclass": __version__, "python": platform.python_version()}
    for package in ("torch", "transformers", "tokenizers", "safetensors"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # an unusual installation; nothing depends on it
            versions[package] = "unknown"
    return {**versions, "device": str(device), "precision": precision_name(dtype)}
