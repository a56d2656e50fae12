"""Trainings from Python, with the options of a run as keywords."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emoclass.config import TrainConfig
from emoclass.data.preparation import TrainingData
from emoclass.training.options import RunOptions
from emoclass.training.train import TrainResult, train


def run_training(
    data: TrainingData,
    config: TrainConfig,
    *,
    fixed: Iterable[str] = (),
    on_event: Any = lambda event: None,
    should_stop: Any = lambda: False,
    **options: Any,
) -> TrainResult:
    result = train(data, config, RunOptions(**options), fixed=fixed, on_event=on_event, should_stop=should_stop)
    assert result is not None
    return result
