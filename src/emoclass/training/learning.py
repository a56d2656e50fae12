"""One model that learns by one recipe, and remembers the epoch that is to be kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from emoclass.activations.logits import compute_logits
from emoclass.activations.sources import ActivationSource
from emoclass.config import TrainConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.errors import LossError, StoppedError
from emoclass.evaluation.metrics import compute_metrics, confusion_matrix, standard_error
from emoclass.store.runs import RunStates, SavedState
from emoclass.training.events import Resumed, StateNotSaved
from emoclass.training.loop import EpochDone, LoopState, Scores, StepDone, training_loop
from emoclass.training.setup import TrainingSetup

# Within long epochs a state is saved this often.
_SAVE_SECONDS = 600.0
# Several processes ask each other this often whether to stop: each time they wait for each other.
_ASK_STEPS = 10


class Learning:
    """A model while it learns.

    Args:
        setup: Data and device.
        model: The model, frozen as wanted.
        config: The recipe.
        states: Where states are saved; ``None`` saves none.
        facts: What is saved in them besides, as plain JSON values.
        sources: Those of ``setup``, if they are not to be all computed.

    Attributes:
        sources: Input of the first layer that trains, by part.
        history: All epochs so far.
        kept_tensors: The trained weights of the epoch that is kept, by name.
        stopped: Whether it was stopped before the last epoch.
        failure: Why it ended early, if it failed.
        interim: Name and time of the model in which an earlier run saved what was best so far.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        model: PackedBert,
        config: TrainConfig,
        states: RunStates | None = None,
        facts: Mapping[str, Any] | None = None,
        sources: Mapping[str, ActivationSource] | None = None,
    ) -> None:
        self.setup, self.model, self.config, self._states, self._facts = setup, model, config, states, facts or {}
        self.sources: Mapping[str, ActivationSource] = setup.sources(model) if sources is None else sources
        self.history: list[EpochDone] = []
        self.kept_tensors: dict[str, Tensor] = {}
        self.stopped = False
        self.failure: str | None = None
        self.interim: list[str] | None = None

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
        least = best - standard_error(best, len(self.setup.data.val))
        return next(epoch for epoch in reversed(self.history) if self.score(epoch) >= least)

    def score(self, epoch: EpochDone) -> float:
        """What decides which epoch is the best."""
        return float(getattr(epoch, f"val_{self.config.metric}"))

    def learn(
        self,
        saved: SavedState | None = None,
        *,
        patience: int | None = None,
        deadline: float = math.inf,
        should_end: Callable[[EpochDone], bool] = lambda epoch: False,
    ) -> None:
        """Trains; afterwards the model has the weights of the epoch that is kept.

        Args:
            saved: A state to go on from.
            patience: End after so many epochs without a better one.
            deadline: When to stop, on the monotonic clock.
            should_end: Asked after every epoch.

        Raises:
            StoppedError: It was stopped before the end of the first epoch.
            LossError: The loss was no longer a number, in the first epoch.
        """
        labels = self.setup.data.labels.encode(self.setup.data.train.labels)
        dtype = torch.float32 if self.setup.dtype == torch.float16 else self.setup.dtype  # gradients vanish in fp16
        ranks = self.setup.ranks
        torch.manual_seed(self.config.seed + ranks.rank)
        state = LoopState(self.model, len(labels), self.config, dtype, ranks)
        if saved is not None:
            self._resume(state, saved)
        saved_at = time.monotonic()
        try:
            for event in training_loop(
                self.model, self.sources["train"], labels, self.config, evaluate=self.evaluate, state=state
            ):
                self.setup.on_event(event)
                epoch = event if isinstance(event, EpochDone) else None
                if epoch:
                    self._end_epoch(epoch)
                at_end = len(self.history) == self.config.epochs
                if ranks.size > 1 and isinstance(event, StepDone) and event.step % _ASK_STEPS != 1:
                    continue
                now = time.monotonic()
                stop, save = ranks.any(self.setup.should_stop() or now > deadline, now - saved_at > _SAVE_SECONDS)
                self.stopped = not at_end and stop
                if epoch or self.stopped or save:
                    self._save_state(state)
                    saved_at = time.monotonic()
                if self.stopped or self._is_patient_no_more(patience) or (epoch and should_end(epoch)):
                    break
        except LossError as error:
            if not self.history:
                raise
            self.failure = str(error)
        if not self.history:
            goes_on = self._states is not None and self._states.exist
            then = "run the same command with --resume to go on from there" if goes_on else "nothing was saved"
            raise StoppedError(f"stopped before the first epoch was over; {then}")
        self.recall(self.history, self.kept_tensors)

    def recall(self, history: Iterable[EpochDone], tensors: dict[str, Tensor]) -> None:
        """Takes over the epochs and the kept weights of the same learning done before."""
        self.history, self.kept_tensors = list(history), tensors
        self.model.load_state_dict(tensors, strict=False)
        self.model.eval()

    def val_logits(self) -> Tensor:
        """Logits of the validation part, of all ranks, ``float32[texts, classes]``."""
        return self.setup.ranks.joined(compute_logits(self.model, self.sources["val"]), len(self.setup.data.val))

    def evaluate(self) -> Scores:
        """Scores of the model as it is on the validation part."""
        data = self.setup.data
        logits = self.val_logits()
        labels = data.labels.encode(data.val.labels)
        loss = float(functional.cross_entropy(logits, torch.from_numpy(labels)))
        matrix = confusion_matrix(labels, logits.argmax(-1).numpy(), len(data.labels))
        metrics = compute_metrics(data.labels.names, matrix, loss)
        return Scores(loss, metrics.accuracy, metrics.macro_f1)

    def _end_epoch(self, event: EpochDone) -> None:
        self.history.append(event)
        if self.kept is event:
            trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
            self.kept_tensors = {n: p.detach().clone() for n, p in trained.items()}

    def _is_patient_no_more(self, patience: int | None) -> bool:
        return patience is not None and bool(self.history) and len(self.history) - self.best.epoch >= patience

    def _save_state(self, state: LoopState) -> None:
        if self._states is None:
            return
        tensors = state.tensors()
        # Right after an epoch that is kept its weights are the current ones.
        if self.history and not (self.kept is self.history[-1] and state.step == 0):
            tensors |= {f"kept.{name}": tensor for name, tensor in self.kept_tensors.items()}
        if not self.setup.ranks.is_first:
            return
        history = [asdict(epoch) for epoch in self.history]
        facts = {**state.facts(), **self._facts, "history": history, "interim": self.interim}
        try:
            self._states.save(tensors, facts)
        except OSError as error:
            self.setup.on_event(StateNotSaved(f"{self._states.directory}: {error.strerror or error}"))

    def _resume(self, state: LoopState, saved: SavedState) -> None:
        state.restore(saved.tensors, saved.facts)
        self.history = [EpochDone(**epoch) for epoch in saved.facts["history"]]
        self.interim = saved.facts["interim"]
        prefix = "kept." if any(name.startswith("kept.") for name in saved.tensors) else "model."
        found = {n.removeprefix(prefix): t for n, t in saved.tensors.items() if n.startswith(prefix)}
        self.kept_tensors = {n: t.to(self.setup.device) for n, t in found.items()} if self.history else {}
        self.setup.on_event(Resumed(state.epoch, state.step, tuple(self.history)))
