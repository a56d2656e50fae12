"""The progress of a training as plain lines, for notebooks and logs; importing this loads neither torch nor pandas."""

from __future__ import annotations

from collections.abc import Callable

from emoclass.data.cleaning.telling import doubt_lines, removed_lines
from emoclass.training.events import (
    BaseFound,
    DataReady,
    EpochDone,
    Prepared,
    Probed,
    RecipeChosen,
    Resumed,
    RunEvent,
    SeedStarted,
    StateNotSaved,
    TextsEncoded,
    TrialDone,
)

# Of the frozen layers, a line for each such share of the texts.
_SHARE = 0.25


def epoch_figures(epoch: EpochDone) -> dict[str, str]:
    """Return what to show of an epoch, by name; with any number of labels, F1 says more than accuracy."""
    figures = {
        "train loss": epoch.train_loss,
        "train accuracy": epoch.train_accuracy,
        "val loss": epoch.val_loss,
        "val accuracy": epoch.val_accuracy,
        "val macro F1": epoch.val_macro_f1,
        "val micro F1": epoch.val_micro_f1,
        "val LRAP": epoch.val_lrap,
    }
    is_multi = epoch.val_micro_f1 is not None
    left_out = ("train accuracy", "val accuracy") if is_multi else ()
    return {name: f"{figure:.4f}" for name, figure in figures.items() if figure is not None and name not in left_out}


def progress_lines(write: Callable[[str], object] = print) -> Callable[[RunEvent], None]:
    """Return an ``on_event`` for ``emoclass.train`` that writes a line about each event that a user waits for.

    Args:
        write: Called with each line, such as ``print`` or ``logger.info``.
    """
    epochs = encoded = 0

    def on_event(event: RunEvent) -> None:
        nonlocal epochs, encoded
        if isinstance(event, Prepared):
            epochs = event.epochs
        elif isinstance(event, TextsEncoded):
            before, encoded = encoded, encoded + event.texts
            step = _SHARE * event.total
            if before // step < encoded // step:
                write(f"frozen layers: {encoded:,} of {event.total:,} texts")
            encoded %= event.total
        for line in _lines(event, epochs):
            write(line)

    return on_event


def _lines(event: RunEvent, epochs: int) -> list[str]:
    if isinstance(event, BaseFound):
        return [event.note]
    if isinstance(event, DataReady):
        data = event.data
        return [*data.notes, *removed_lines(data.removed_rows), *doubt_lines(data.conflicts, data.leaked)]
    if isinstance(event, RecipeChosen):
        return [f"recipe {event.recipe}: {event.reason}"]
    if isinstance(event, Prepared):
        rows = ", ".join(f"{count} {part}" for part, count in event.rows.items())
        return [f"base model {event.base} on {event.device}, {event.precision}; {rows} texts", *event.notes]
    if isinstance(event, EpochDone):
        figures = ", ".join(f"{name} {figure}" for name, figure in epoch_figures(event).items())
        return [f"epoch {event.epoch}/{epochs}: {figures}, {event.seconds:.1f} s"]
    return _rare_lines(event)


def _rare_lines(event: RunEvent) -> list[str]:
    if isinstance(event, Resumed):
        return [f"resuming in epoch {event.epoch} after {event.step} steps"]
    if isinstance(event, StateNotSaved):
        return [f"no checkpoint could be saved to resume from: {event.reason}"]
    if isinstance(event, Probed):
        return [f"probe with unfreeze {event.unfreeze}: val score {event.score:.4f}"]
    if isinstance(event, SeedStarted):
        return [f"training {event.number} of {event.seeds}"]
    if isinstance(event, TrialDone):
        return [f"trial {event.number}: {event.state}, val score {event.score:.4f}, {event.seconds:.0f} s"]
    return []
