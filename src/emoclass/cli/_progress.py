"""What a training shows while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import TaskID
from rich.table import Table

from emoclass.cli import _console as console
from emoclass.training.events import (
    PrefixDone,
    Prepared,
    Probed,
    Resumed,
    RunEvent,
    SeedStarted,
    StateNotSaved,
    TextsEncoded,
    TrialDone,
    TrialStarted,
)
from emoclass.training.loop import EpochDone, StepDone


def describe_settings(settings: Mapping[str, Any]) -> str:
    """Settings and their values in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {_setting(value)}" for name, value in settings.items())


def _setting(value: object) -> str:
    return "as the base model" if value is None else f"{value:.2g}" if isinstance(value, float) else str(value)


def trial_table(trials: Sequence[tuple[Mapping[str, Any], TrialDone | None]], best: int, title: str) -> Table:
    """One row per trial: how it ended, and where its settings differ from the first one's; ``None`` if it runs."""
    rows = []
    for number, (settings, done) in enumerate(trials, start=1):
        first = trials[0][0]
        changed = {name: value for name, value in settings.items() if number == 1 or value != first[name]}
        end = ["", "", "", "running"]
        if done is not None:
            end = [f"{done.score:.4f}", str(done.best_epoch), f"{done.seconds:.0f}", done.state]
        rows.append([f"{number}{' (best)' if number == best else ''}", describe_settings(changed), *end])
    columns = ["trial", "settings, where not as in the first", "val score", "epoch", "s", ""]
    return console.table(title, columns, rows, text_columns=2)


def epoch_table(epochs: list[EpochDone], kept: int | None = None) -> Table:
    """One row per epoch."""
    return console.table(
        "Epochs",
        ["epoch", "train loss", "train accuracy", "val loss", "val accuracy", "val macro F1", "seconds"],
        [
            [
                f"{e.epoch}{' (kept)' if e.epoch == kept else ''}",
                f"{e.train_loss:.4f}",
                f"{e.train_accuracy:.4f}",
                f"{e.val_loss:.4f}",
                f"{e.val_accuracy:.4f}",
                f"{e.val_macro_f1:.4f}",
                f"{e.seconds:.1f}",
            ]
            for e in epochs
        ],
    )


class TrainingDisplay:
    """Shows events on standard error: a live table and a bar on a terminal, else a line per epoch."""

    def __init__(self) -> None:
        self._console = console.status()
        self._epochs, self._history = 0, list[EpochDone]()
        self._trials: list[tuple[Mapping[str, Any], TrialDone | None]] = []
        self._progress = console.progress_bar(self._console)
        self._task: TaskID | None = None
        self._live = Live(console=self._console, transient=True, refresh_per_second=8)

    def __enter__(self) -> TrainingDisplay:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: RunEvent) -> None:
        """Shows one event."""
        if isinstance(event, Prepared):
            self._show_prepared(event)
        elif isinstance(event, TextsEncoded):
            self._advance("frozen layers, once", event.texts, event.total)
        elif isinstance(event, PrefixDone):
            self._show_use(event)
        elif isinstance(event, Resumed):
            self._history = list(event.history)
            console.note(f"going on in epoch {event.epoch} after {event.step} steps, where an earlier run ended")
        elif isinstance(event, StateNotSaved):
            console.warn(f"no state to resume from could be saved: {event.reason}")
        elif isinstance(event, StepDone):
            self._advance(f"epoch {event.epoch}/{self._epochs}", event.texts, None, restart=event.step == 1)
        elif isinstance(event, (Probed, SeedStarted)):
            self._tell(event)
        elif isinstance(event, TrialStarted):
            self._history, self._epochs = [], event.epochs
            self._trials.append((event.settings, None))
            self._refresh()
        elif isinstance(event, TrialDone):
            self._show_trial(event)
        else:
            self._show_epoch(event)

    def _tell(self, event: Probed | SeedStarted) -> None:
        if isinstance(event, SeedStarted):
            self._history = []
            console.note(f"training {event.number} of {event.seeds}")
            return
        layers = {"encoder": "all layers", 1: "1 layer"}.get(event.unfreeze, f"{event.unfreeze} layers")
        time = f"{event.seconds / 60:.1f} minutes"
        console.note(f"a probe with {layers}: val score {event.score:.4f}; the whole training would take {time}")

    def _show_prepared(self, event: Prepared) -> None:
        rows = ", ".join(f"{count} {part}" for part, count in event.rows.items())
        counts = event.parameters
        self._epochs, self._total = event.epochs, event.rows["train"]
        lines = [
            f"base model {event.base} on {event.device}, {event.precision}; {rows} texts",
            f"{counts.trainable:,} of {counts.total:,} parameters learn ({counts.share:.2%})",
            *event.notes,
        ]
        if event.truncated:
            lines.append(f"{event.truncated} texts are longer than the limit; their head and tail are kept")
        for line in lines:
            console.note(line)

    def _show_use(self, event: PrefixDone) -> None:
        use = event.use
        if use.reused:
            console.note(f"the frozen layers' output for {use.reused} texts was kept from an earlier run")
        if use.recomputed:
            console.note(
                f"the frozen layers run in every epoch for {use.recomputed} texts, whose output fits neither into "
                "--cache-memory nor --cache-disk"
            )

    def _advance(self, description: str, texts: int, total: int | None, *, restart: bool = False) -> None:
        if not self._console.is_terminal:
            return
        if self._task is None or restart:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(description, total=total or self._total)
        self._progress.advance(self._task, texts)
        self._refresh()

    def _show_trial(self, event: TrialDone) -> None:
        settings = self._trials[event.number - 1][0]
        self._trials[event.number - 1] = (settings, event)
        if self._console.is_terminal:
            self._refresh()
            return
        self._console.print(
            f"trial {event.number}: {event.state}, val score {event.score:.4f} in epoch {event.best_epoch}, "
            f"{event.seconds:.0f} s ({describe_settings(settings)})",
            soft_wrap=True,
        )

    def _show_epoch(self, event: EpochDone) -> None:
        self._history.append(event)
        if self._console.is_terminal:
            self._refresh()
            return
        if self._trials:
            return
        self._console.print(
            f"epoch {event.epoch}/{self._epochs}: train loss {event.train_loss:.4f} accuracy "
            f"{event.train_accuracy:.4f}, val loss {event.val_loss:.4f} accuracy {event.val_accuracy:.4f}, "
            f"{event.seconds:.1f} s",
            soft_wrap=True,
        )

    def _refresh(self) -> None:
        if not self._console.is_terminal:
            return
        shown = [epoch_table(self._history)] if self._history and not self._trials else []
        if self._trials:
            scores = [done.score for _, done in self._trials if done]
            best = scores.index(max(scores)) + 1 if scores else 0
            shown = [trial_table(self._trials, best, "Trials")]
        self._live.update(Group(*shown, self._progress.get_renderable()))
