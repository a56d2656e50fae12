"""How many layers should learn: short trainings at several depths, on some of the texts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from emoclass.config import TrainConfig, Unfreeze
from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.preparation import select
from emoclass.errors import LossError
from emoclass.evaluation.metrics import standard_error
from emoclass.training.events import Probed
from emoclass.training.learning import Learning
from emoclass.training.setup import TrainingSetup

# Texts to learn from in a probe, and to score it on; and its least number of steps, in which few texts come again.
_TEXTS, _STEPS = 2000, 60
# A deeper probe takes about this many times as long as the one before it; it may take this share of the time left.
_GROWTH, _SHARE = 2.0, 0.25


@dataclass(frozen=True)
class Probe:
    """A short training with so many layers.

    Attributes:
        unfreeze: How many of the last layers learned.
        score: The validation score after a few steps on some of the texts.
        error: Standard error of ``score`` as a share of texts that are right.
        seconds: What the whole training would take, as far as one can tell.
        chosen: Whether the training goes on with this.
    """

    unfreeze: Unfreeze
    score: float
    error: float
    seconds: float
    chosen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Probe:
        """The probe from what ``to_dict`` gave."""
        return cls(**values)


def probe_depths(setup: TrainingSetup, config: TrainConfig, deadline: float) -> tuple[Probe, ...]:
    """Trains for a moment with 1, 2, 4 and all layers, and chooses one of them for the whole training.

    Of those that can end in time it is the one with the best score, or one with fewer layers whose score is less than
    a standard error worse; the quickest if none can. Deeper ones are not tried where there is no time for them.

    Args:
        setup: Data and device of the training to come.
        config: Its recipe.
        deadline: When the training must end, on the monotonic clock.

    Raises:
        StoppedError: It was stopped.
        LossError: The loss was no number at every depth.
    """
    data = setup.data
    few = replace(data, train=_some(data.train, config.seed), val=_some(data.val, config.seed), test=None)
    scale = (len(data.train) + len(data.val)) / (len(few.train) + len(few.val))
    small = setup.like(few)
    probes: list[Probe] = []
    took = 0.0
    for unfreeze in setup.depths_to_try:
        left = deadline - time.monotonic()
        if probes and setup.ranks.any(probes[-1].seconds > left or _GROWTH * took > _SHARE * left)[0]:
            break
        short = replace(config, unfreeze=unfreeze, epochs=1, min_steps=_STEPS).for_texts(len(few.train))
        start = time.perf_counter()
        model, _ = small.new_model(short)
        small.tokenize(model)
        learning = Learning(small, model, short)
        ready = time.perf_counter()
        try:
            learning.learn()
        except LossError:
            continue
        score = learning.score(learning.best)
        took = time.perf_counter() - start
        epoch_seconds = (time.perf_counter() - ready) / short.epochs
        seconds = scale * (ready - start + config.seeds * config.epochs * epoch_seconds)
        probes.append(Probe(unfreeze, score, standard_error(score, len(few.val)), seconds))
        small.free()
        setup.on_event(Probed(unfreeze, score, seconds))
    if not probes:
        raise LossError("the loss was no finite number with any number of layers; use --precision fp32")
    left = deadline - time.monotonic()
    chosen = setup.ranks.from_first(bytes([best_probe(probes, left)]))[0]
    return tuple(replace(probe, chosen=index == chosen) for index, probe in enumerate(probes))


def best_probe(probes: Sequence[Probe], left: float) -> int:
    """Index of the probe to go on with, with so many seconds left: see ``probe_depths``."""
    possible = [i for i, probe in enumerate(probes) if probe.seconds <= left]
    if not possible:
        return min(range(len(probes)), key=lambda i: probes[i].seconds)
    best = max((probes[i] for i in possible), key=lambda probe: probe.score)
    return next(i for i in possible if probes[i].score >= best.score - (probes[i] is not best) * best.error)


def _some(rows: CleanData, seed: int) -> CleanData:
    """At most ``_TEXTS`` of them, drawn at random."""
    if len(rows) <= _TEXTS:
        return rows
    return select(rows, np.sort(np.random.default_rng(seed).choice(len(rows), _TEXTS, replace=False)))
