"""Several trainings from one beginning, and the mean of their weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from emoclass.errors import LossError, StoppedError
from emoclass.store.runs import RunStates, parse_state
from emoclass.training.events import SeedStarted
from emoclass.training.learning import Learning


@dataclass(frozen=True)
class Averaged:
    """What the mean of several trainings' weights is on the validation part.

    Attributes:
        seeds: How many trainings.
        val_loss: Its mean cross-entropy.
        val_accuracy: Its accuracy.
        val_macro_f1: Its macro F1.
    """

    seeds: int
    val_loss: float
    val_accuracy: float
    val_macro_f1: float


def average_seeds(
    first: Learning, states: RunStates, *, resume: bool = False, patience: int | None = None, deadline: float = math.inf
) -> Averaged:
    """Trains again from where ``first`` began, with other orders of texts, and gives it the mean of all weights.

    All weights are those of the epoch that a training keeps. A mean of weights, unlike one of probabilities, is one
    model (Wortsman et al. 2022, "Model soups", arXiv:2203.05482).

    Args:
        first: A learning that is over; ``stopped`` is set where it came to fewer seeds than its recipe says.
        states: The first one's; those of the others are saved below them.
        resume: Whether the others go on where they were.
        patience: End a training after so many epochs without a better one.
        deadline: When to stop, on the monotonic clock.
    """
    setup, config = first.setup, first.config
    mean, count = {name: tensor.clone() for name, tensor in first.kept_tensors.items()}, 1
    for number in range(1, config.seeds):
        setup.on_event(SeedStarted(number + 1, config.seeds))
        model, _ = setup.new_model(config)
        with states.of_part(f"seed-{number}") as own:
            saved = parse_state(setup.ranks.from_first(own.read())) if resume else None
            other = Learning(setup, model, replace(config, seed=(config.seed + number) % 2**32), own)
            try:
                other.learn(saved, patience=patience, deadline=deadline)
            except StoppedError:
                other.stopped = True
            except LossError:
                continue
        if other.stopped:
            first.stopped = True
            break
        count += 1
        for name, tensor in other.kept_tensors.items():
            mean[name] += (tensor - mean[name]) / count
    first.recall(first.history, mean)
    loss, accuracy, macro_f1 = first.evaluate()
    return Averaged(count, loss, accuracy, macro_f1)
