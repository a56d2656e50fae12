"""Several trainings from the same start, and the mean of their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from emoclass.errors import LossError, StoppedError
from emoclass.store.runs import RunStates
from emoclass.training.events import Scores, SeedStarted
from emoclass.training.fitting import Checkpoints, Fit, fit, load_checkpoint


@dataclass(frozen=True)
class Averaged:
    """The mean of the weights of several trainings, scored on the validation set.

    Attributes:
        seeds: Number of trainings.
        val: Its scores.
    """

    seeds: int
    val: Scores

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"seeds": self.seeds, **self.val.to_dict()}


def average_seeds(first: Fit, states: RunStates, *, resume: bool = False, patience: int | None = None) -> Averaged:
    """Train again from the same start with other orders of texts, and give ``first`` the mean of all weights.

    Each training contributes the weights of the epoch that it keeps. Unlike a mean of probabilities, a mean of weights
    is one model (Wortsman et al. 2022, "Model soups", arXiv:2203.05482).

    Args:
        first: The first training, complete; ``stopped`` is set if not all of the recipe's seeds were trained.
        states: Its checkpoints; those of the others are saved below them.
        resume: Whether the others resume from their checkpoints.
        patience: Stop a training after this many epochs without a better one.
    """
    context, config, ranks = first.context, first.config, first.context.hardware.ranks
    mean, count = {name: tensor.clone() for name, tensor in first.kept_tensors.items()}, 1
    for number in range(1, config.seeds):
        context.on_event(SeedStarted(number + 1, config.seeds))
        model, _ = context.new_model(config)
        other = Fit(context, model, replace(config, seed=(config.seed + number) % 2**32))
        with states.of_part(f"seed-{number}") as own:
            found = load_checkpoint(own, ranks)
            saved, earlier = (found, None) if resume or found is None else (None, found.metadata)
            checkpoints = Checkpoints(own, context.on_event, {}, earlier)
            try:
                fit(other, stop=context.stop, patience=patience, checkpoints=checkpoints, saved=saved)
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
    first.restore(first.history, mean)
    return Averaged(count, first.evaluate())
