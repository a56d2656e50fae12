"""How many layers to train: short trainings at several depths, on some of the texts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from emoclass.config import TrainConfig, Unfreeze
from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.preparation import select
from emoclass.encoders.freezing import frozen_depth
from emoclass.errors import LossError
from emoclass.evaluation.metrics import standard_error
from emoclass.training.context import Context
from emoclass.training.events import Probed
from emoclass.training.fitting import Fit, fit

# Texts to train on in a probe, and to score it on; and its minimum of steps, in which few texts are repeated.
_TEXTS, _STEPS = 2000, 60
# A deeper probe takes about this many times as long as the one before it, and may take this share of the time left.
_GROWTH, _SHARE = 2.0, 0.25


@dataclass(frozen=True)
class Probe:
    """A short training with some number of trainable layers.

    Attributes:
        unfreeze: Number of trainable layers.
        score: Validation score after a few steps on some of the texts.
        error: Standard error of ``score``.
        seconds: Estimated seconds of the whole training.
        chosen: Whether the whole training uses this depth.
    """

    unfreeze: Unfreeze
    score: float
    error: float
    seconds: float
    chosen: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Probe:
        """Return the probe that ``to_dict`` describes."""
        return cls(**values)


def probe_depths(context: Context, config: TrainConfig) -> tuple[Probe, ...]:
    """Train briefly with 1, 2, 4 and all layers, and choose one of these depths for the whole training.

    Of the depths that end in time it is the one with the best score, or a smaller one whose score is less than a
    standard error worse; the fastest if none ends in time. Deeper ones are not tried if there is no time for them.

    Args:
        context: Data and hardware of the training.
        config: Its recipe.

    Raises:
        StoppedError: Somebody asked to stop.
        LossError: The loss was not finite at any depth.
    """
    data = context.data
    few = replace(data, train=_sample(data.train, config.seed), val=_sample(data.val, config.seed), test=None)
    scale = (len(data.train) + len(data.val)) / (len(few.train) + len(few.val))
    small = context.with_data(few)
    ranks, stop = context.hardware.ranks, context.stop
    probes: list[Probe] = []
    took = 0.0
    for unfreeze in context.depths_to_try:
        left = stop.seconds_left
        if probes and ranks.any(probes[-1].seconds > left or _GROWTH * took > _SHARE * left)[0]:
            break
        short = replace(config, unfreeze=unfreeze, epochs=1, min_steps=_STEPS).for_texts(len(few.train))
        model, _ = small.new_model(short)
        start = time.perf_counter()
        small.encode(frozen_depth(model))
        encoded = time.perf_counter()
        try:
            fitted = fit(Fit(small, model, short), stop=small.stop)
        except LossError:
            continue
        finally:
            small.free_activations()
        score = fitted.score(fitted.best)
        end = time.perf_counter()
        took = end - start
        seconds = scale * (encoded - start + config.seeds * config.epochs * (end - encoded) / short.epochs)
        probes.append(Probe(unfreeze, score, standard_error(score, len(few.val)), seconds))
        context.on_event(Probed(unfreeze, score, seconds))
    if not probes:
        raise LossError("the loss was not finite with any number of layers; use --precision fp32")
    chosen = ranks.from_first(bytes([best_probe(probes, stop.seconds_left)]))[0]
    return tuple(replace(probe, chosen=index == chosen) for index, probe in enumerate(probes))


def best_probe(probes: Sequence[Probe], left: float) -> int:
    """Return the index of the probe to choose with this many seconds left; see ``probe_depths``."""
    possible = [i for i, probe in enumerate(probes) if probe.seconds <= left]
    if not possible:
        return min(range(len(probes)), key=lambda i: probes[i].seconds)
    best = max((probes[i] for i in possible), key=lambda probe: probe.score)
    return next(i for i in possible if probes[i].score >= best.score - (probes[i] is not best) * best.error)


def _sample(rows: CleanData, seed: int) -> CleanData:
    """Return at most ``_TEXTS`` rows, drawn at random."""
    if len(rows) <= _TEXTS:
        return rows
    return select(rows, np.sort(np.random.default_rng(seed).choice(len(rows), _TEXTS, replace=False)))
