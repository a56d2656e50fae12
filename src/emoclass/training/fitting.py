"""Train one model by one recipe, and keep the weights of one of its epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emoclass.activations.logits import compute_logits
from emoclass.activations.sources import ActivationSource
from emoclass.config import TrainConfig
from emoclass.encoders.interface import Model
from emoclass.errors import LossError, StoppedError
from emoclass.evaluation.metrics import standard_error
from emoclass.store.runs import RunStates, SavedState, parse_state
from emoclass.torch_state import seed_torch
from emoclass.training.context import Context
from emoclass.training.events import EpochDone, Resumed, RunEvent, Scores, StateNotSaved, StepDone
from emoclass.training.loop import LoopState, training_loop
from emoclass.training.ranks import Ranks
from emoclass.training.stopping import StopSignal

# Within long epochs a checkpoint is saved this often.
_SAVE_SECONDS = 600.0
# Several processes agree on stopping once in this many steps: they wait for each other each time.
_STEPS_PER_AGREEMENT = 10


@dataclass(frozen=True)
class Checkpoints:
    """Where the checkpoints of one training go.

    Attributes:
        states: The files.
        on_event: Told when one cannot be saved.
        metadata: Plain JSON values that are saved in each.
        earlier: Metadata of a checkpoint that is not resumed from; it stays until this training has come as far.
    """

    states: RunStates
    on_event: Callable[[RunEvent], None]
    metadata: Mapping[str, Any]
    earlier: Mapping[str, Any] | None = None

    def save(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Save a checkpoint; a disk that is full ends checkpoints, not the training."""
        if self.earlier is not None and _place(metadata) < _place(self.earlier):
            return
        try:
            self.states.save(tensors, {**self.metadata, **metadata})
        except OSError as error:
            self.on_event(StateNotSaved(f"{self.states.directory}: {error.strerror or error}"))


def _place(metadata: Mapping[str, Any]) -> tuple[int, int]:
    """Return how far a training, or a search, had come at a checkpoint."""
    return (len(metadata["trials"]), 0) if "trials" in metadata else (metadata["epoch"], metadata["step"])


def load_checkpoint(states: RunStates, ranks: Ranks) -> SavedState | None:
    """Return the newest checkpoint that is whole, in all processes that of the first; ``None`` if there is none."""
    return states.load() if ranks.size == 1 else parse_state(ranks.from_first(states.read()))


class Fit:
    """One model, its training so far, and the epoch whose weights are kept.

    Args:
        context: Data and hardware.
        model: The model, frozen by the recipe.
        config: The recipe.

    Attributes:
        history: All epochs so far.
        kept_tensors: Trained weights of the kept epoch, by name.
        stopped: Whether it was stopped before the last epoch.
        failure: Why it ended early, if it failed.
        saved_model: Name and time of the model in which an earlier run saved the best epoch so far.
    """

    def __init__(self, context: Context, model: Model, config: TrainConfig) -> None:
        self.context, self.model, self.config = context, model, config
        self.history: list[EpochDone] = []
        self.kept_tensors: dict[str, Tensor] = {}
        self.stopped = False
        self.failure: str | None = None
        self.saved_model: list[str] | None = None

    @property
    def best(self) -> EpochDone:
        """The epoch with the best validation score, the earliest on a tie."""
        return max(self.history, key=self.score)

    @property
    def kept(self) -> EpochDone:
        """The epoch whose weights are kept: the best one, or the latest that may be as good."""
        if self.config.keep == "best":
            return self.best
        best = self.score(self.best)
        least = best - standard_error(best, len(self.context.data.val))
        return next(epoch for epoch in reversed(self.history) if self.score(epoch) >= least)

    def score(self, epoch: EpochDone) -> float:
        """Return the validation score that decides which epoch is the best."""
        return float(getattr(epoch, f"val_{self.config.metric}"))

    def patience_exhausted(self, patience: int | None) -> bool:
        """Return whether this many epochs have passed without a better one."""
        return patience is not None and bool(self.history) and len(self.history) - self.best.epoch >= patience

    def restore(self, history: Iterable[EpochDone], tensors: dict[str, Tensor]) -> None:
        """Take over the epochs and the kept weights of a training."""
        self.history, self.kept_tensors = list(history), tensors
        self.model.load_state_dict(tensors, strict=False)
        self.model.eval()

    def val_logits(self, source: ActivationSource | None = None) -> Tensor:
        """Return the logits of the validation set, of all processes, ``float32[texts, classes]``."""
        source = source or self.context.source(self.model, "val")
        logits = compute_logits(self.model, source)
        return self.context.hardware.ranks.all_gather_rows(logits, len(self.context.data.val))

    def evaluate(self, source: ActivationSource | None = None) -> Scores:
        """Return the scores of the model as it is on the validation set."""
        return self.context.task.scores(self.val_logits(source), self.context.targets("val"))

    def end_epoch(self, epoch: EpochDone) -> None:
        """Add an epoch, and keep the weights if it is the one to keep."""
        self.history.append(epoch)
        if self.kept is epoch:
            trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
            self.kept_tensors = {n: p.detach().clone() for n, p in trained.items()}

    def checkpoint(self, state: LoopState) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and metadata from which the training resumes."""
        tensors = state.tensors()
        # Right after an epoch that is kept its weights are the current ones.
        if self.history and not (self.kept is self.history[-1] and state.step == 0):
            tensors |= {f"kept.{name}": tensor for name, tensor in self.kept_tensors.items()}
        history = [epoch.to_dict() for epoch in self.history]
        return tensors, {**state.metadata(), "history": history, "saved_model": self.saved_model}

    def resume(self, state: LoopState, saved: SavedState) -> None:
        """Take over a checkpoint."""
        state.restore(saved.tensors, saved.metadata)
        self.history = [EpochDone(**epoch) for epoch in saved.metadata["history"]]
        self.saved_model = saved.metadata["saved_model"]
        prefix = "kept." if any(name.startswith("kept.") for name in saved.tensors) else "model."
        kept = {n.removeprefix(prefix): t for n, t in saved.tensors.items() if n.startswith(prefix)}
        device = self.context.hardware.device
        self.kept_tensors = {n: t.to(device) for n, t in kept.items()} if self.history else {}


def fit(
    fitted: Fit,
    *,
    stop: StopSignal,
    patience: int | None = None,
    checkpoints: Checkpoints | None = None,
    saved: SavedState | None = None,
    should_end: Callable[[EpochDone], bool] = lambda epoch: False,
) -> Fit:
    """Train; afterwards the model has the weights of the kept epoch.

    Args:
        fitted: The model, before its first epoch.
        stop: When to stop before the last epoch.
        patience: Stop after this many epochs without a better one.
        checkpoints: Where checkpoints go; ``None`` saves none.
        saved: A checkpoint to resume from.
        should_end: Asked after every epoch.

    Raises:
        StoppedError: It was stopped before the end of the first epoch.
        LossError: The loss was not finite in the first epoch.
    """
    context, ranks = fitted.context, fitted.context.hardware.ranks
    targets = context.targets("train")
    sources = {split: context.source(fitted.model, split) for split in context.tokenized}
    state = _initial_state(fitted, len(targets))
    if saved is not None:
        fitted.resume(state, saved)
        context.on_event(Resumed(state.epoch, state.step, tuple(fitted.history)))
    saved_at = time.monotonic()
    events = training_loop(
        fitted.model,
        sources["train"],
        targets,
        fitted.config,
        evaluate=lambda: fitted.evaluate(sources["val"]),
        state=state,
    )
    try:
        for event in events:
            context.on_event(event)
            epoch = event if isinstance(event, EpochDone) else None
            if epoch:
                fitted.end_epoch(epoch)
            if ranks.size > 1 and isinstance(event, StepDone) and event.step % _STEPS_PER_AGREEMENT != 1:
                continue
            stop_now, save_now = ranks.any(bool(stop), time.monotonic() - saved_at > _SAVE_SECONDS)
            fitted.stopped = stop_now and len(fitted.history) < fitted.config.epochs
            if epoch or fitted.stopped or save_now:
                _save(fitted, state, checkpoints)
                saved_at = time.monotonic()
            if fitted.stopped or fitted.patience_exhausted(patience) or (epoch and should_end(epoch)):
                break
    except LossError as error:
        if not fitted.history:
            raise
        fitted.failure = str(error)
    if not fitted.history:
        resumable = checkpoints is not None and checkpoints.states.exist
        hint = "run the same command with --resume to continue" if resumable else "nothing was saved"
        raise StoppedError(f"cancelled before the first epoch was complete; {hint}")
    fitted.restore(fitted.history, fitted.kept_tensors)
    return fitted


def _initial_state(fitted: Fit, texts: int) -> LoopState:
    hardware, config = fitted.context.hardware, fitted.config
    # Gradients underflow in fp16.
    dtype = torch.float32 if hardware.dtype == torch.float16 else hardware.dtype
    seed_torch(config.seed + hardware.ranks.rank, hardware.device)
    return LoopState(fitted.model, texts, config, dtype, hardware.ranks)


def _save(fitted: Fit, state: LoopState, checkpoints: Checkpoints | None) -> None:
    if checkpoints is None:
        return
    # All processes have a share in it.
    tensors, metadata = fitted.checkpoint(state)
    if fitted.context.hardware.ranks.is_first:
        checkpoints.save(tensors, metadata)
