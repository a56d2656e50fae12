"""A run: one training with its hardware and its checkpoints, from the first check to the saved model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import torch

from emoclass._version import __version__
from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.encoders.base import BaseModel
from emoclass.errors import ConfigError, DeviceError, ModelError
from emoclass.runtime import is_out_of_memory, resolve_device, resolve_precision
from emoclass.store.bases import find_base
from emoclass.store.checkpoints import find_model
from emoclass.store.runs import RunStates, SavedState, run_key
from emoclass.store.saving import check_free
from emoclass.torch_state import prepare_torch, usual_torch
from emoclass.training.context import Hardware
from emoclass.training.events import Resumable, RunEvent, StateNotSaved
from emoclass.training.fitting import load_checkpoint
from emoclass.training.options import SEARCHABLE, RunOptions
from emoclass.training.ranks import join_ranks

# Part of the key of a run: checkpoints of another format are not found.
_FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training run that has passed all checks that need no computation.

    Attributes:
        data: Clean splits.
        config: The recipe, with the number of epochs for this data.
        options: Where it runs, how long, and where the model goes.
        fixed: Settings that a search does not change.
        min_epochs: Minimum number of epochs of the trials of a search.
        base: The base model.
        hardware: Device, dtype and processes.
        states: Its checkpoints.
        saved: The checkpoint to resume from.
        earlier: Metadata of the checkpoint that an earlier run left, if this one does not resume from it.
        saved_model: Name of the model in which an earlier run saved the best epoch so far.
    """

    data: TrainingData
    config: TrainConfig
    options: RunOptions
    fixed: frozenset[str]
    min_epochs: int
    base: BaseModel
    hardware: Hardware
    states: RunStates
    saved: SavedState | None
    earlier: Mapping[str, Any] | None
    saved_model: str | None

    @property
    def name(self) -> str:
        """The name for the model: the requested one, that of the earlier run, or one made from data and base model."""
        return (
            self.options.name
            or self.saved_model
            or f"{_stem(self.data.source)}-{_stem(self.base.name.partition('@')[0])}"
        )

    @property
    def overwrites(self) -> bool:
        """Whether the model replaces one of the same name."""
        return (self.options.overwrite and self.options.name is not None) or self.name == self.saved_model


@contextmanager
def open_run(
    data: TrainingData,
    config: TrainConfig,
    options: RunOptions,
    *,
    fixed: Iterable[str],
    on_event: Callable[[RunEvent], None],
) -> Iterator[Run]:
    """Check a training, join the other processes, and lock its checkpoints until the end of a ``with`` block.

    Within the block torch has its own defaults, and random numbers that are drawn leave the caller's as they are.

    Raises:
        EmoclassError: The training cannot run like this.
    """
    options.check(config)
    fixed = SEARCHABLE & set(fixed)
    base, device = find_base(config.base_model), resolve_device(options.device)
    dtype = resolve_precision(options.precision, device)
    # In a search a requested minimum of steps holds for all trials; that of a recipe for its own trial.
    texts = len(data.train)
    min_epochs = replace(config, epochs=1).for_texts(texts).epochs if "min_steps" in fixed else 1
    config = config.for_texts(texts)
    searched = None if options.tune is None else [*sorted(fixed), f"epochs >= {min_epochs}"]
    key = run_key(
        config.to_dict(),
        searched,
        [base.name, base.sha256(), device.type, str(dtype)],
        _data_digest(data),
        [__version__, torch.__version__, _FORMAT],
    )
    with join_ranks(device) as ranks, RunStates(key, idle=not ranks.is_first) as states:
        if options.tune is not None and ranks.size > 1:
            raise ConfigError("--tune runs in a single process; do not use torchrun")
        if states.problem and ranks.is_first:
            on_event(StateNotSaved(f"{states.directory}: {states.problem}"))
        saved = load_checkpoint(states, ranks) if options.resume else None
        found = None if options.resume else states.load()
        if found is not None:
            on_event(Resumable())
        saved_model = None if saved is None else _saved_model(saved)
        if options.directory is None and options.name is not None and options.name != saved_model:
            check_free(options.name, overwrite=options.overwrite)
        devices = [device] if device.type == "cuda" else []
        prepare_torch(device)
        with (
            torch.random.fork_rng(devices),
            usual_torch(device),
            _suggest_smaller_settings(config),
            _say_how_to_resume(states),
        ):
            yield Run(
                data=data,
                config=config,
                options=options,
                fixed=fixed,
                min_epochs=min_epochs,
                base=base,
                hardware=Hardware(device=device, dtype=dtype, ranks=ranks),
                states=states,
                saved=saved,
                earlier=None if found is None else found.metadata,
                saved_model=saved_model,
            )


def _saved_model(saved: SavedState) -> str | None:
    """Return the model in which an earlier run saved the best epoch so far, if it has not been replaced."""
    name, created_at = saved.metadata["saved_model"] or (None, None)
    with suppress(ModelError):
        return name if name and find_model(name).manifest.created_at == created_at else None
    return None


def _data_digest(data: TrainingData) -> str:
    digest = hashlib.sha256()
    for split in (data.train, data.val):
        for text, label in zip(split.texts, split.labels, strict=True):
            digest.update(f"{len(text)} {len(label)} {text}{label}".encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


@contextmanager
def _say_how_to_resume(states: RunStates) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if states.exist:
            interrupt.args = ("the same command with --resume goes on from the last checkpoint",)
        raise


@contextmanager
def _suggest_smaller_settings(config: TrainConfig) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        settings = [*["--batch-size"] * (config.batch_size > 1), "--max-length", "--cache-memory"]
        fewer_layers = ", or train fewer layers (--unfreeze)" * (config.unfreeze not in (0, 1))
        raise DeviceError(f"out of memory; lower {', '.join(settings[:-1])} or {settings[-1]}{fewer_layers}") from error


def _stem(name: str) -> str:
    """Return a part of a model's name, from a path or hub id."""
    last = name.rstrip("/\\").replace("\\", "/").split("/")[-1].split(".")[0]
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in last).strip("-")
    return kept[:40] or "data"
