"""The progress of a training on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import TaskID
from rich.table import Table

from emoclass.cli import _console as console
from emoclass.config import RECIPES
from emoclass.data.columns.naming import counted
from emoclass.training.events import (
    BaseFound,
    DataReady,
    EpochDone,
    PrefixDone,
    Prepared,
    Probed,
    RecipeChosen,
    Resumable,
    Resumed,
    RunEvent,
    SeedStarted,
    StateNotSaved,
    StepDone,
    TextsEncoded,
    TrialDone,
    TrialStarted,
)
from emoclass.training.lines import epoch_figures


def describe_settings(settings: Mapping[str, Any]) -> str:
    """Return settings and their values in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {_setting(value)}" for name, value in settings.items())


def _setting(value: object) -> str:
    return "as the base model" if value is None else f"{value:.2g}" if isinstance(value, float) else str(value)


def trial_table(trials: Sequence[tuple[Mapping[str, Any], TrialDone | None]], best: int, title: str) -> Table:
    """Return one row per trial: its result (``None`` while it runs), and how its settings differ from the first."""
    rows = []
    for number, (settings, done) in enumerate(trials, start=1):
        first = trials[0][0]
        changed = {name: value for name, value in settings.items() if number == 1 or value != first[name]}
        end = ["", "", "", "running"]
        if done is not None:
            end = [f"{done.score:.4f}", str(done.best_epoch), f"{done.seconds:.0f}", done.state]
        rows.append([f"{number}{' (best)' if number == best else ''}", describe_settings(changed), *end])
    columns = ["trial", "settings that differ from the first", "val score", "epoch", "s", ""]
    return console.table(title, columns, rows, text_columns=2)


def epoch_table(epochs: list[EpochDone], kept: int | None = None) -> Table:
    """Return one row per epoch."""
    rows = [
        [f"{e.epoch}{' (kept)' if e.epoch == kept else ''}", *epoch_figures(e).values(), f"{e.seconds:.1f}"]
        for e in epochs
    ]
    return console.table("Epochs", ["epoch", *(epoch_figures(epochs[0]) if epochs else ()), "seconds"], rows)


class TrainingDisplay:
    """Show events on standard error: a live table and a progress bar on a terminal, else one line per epoch."""

    def __init__(self, *, on_data: Callable[[], None] = lambda: None) -> None:
        self._console, self._on_data = console.status(), on_data
        self._epochs, self._history = 0, list[EpochDone]()
        self._trials: list[tuple[Mapping[str, Any], TrialDone | None]] = []
        self._progress = console.progress_bar(self._console)
        self._task: TaskID | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            DataReady: self._show_data,
            BaseFound: self._show_base,
            RecipeChosen: self._show_recipe,
            Prepared: self._show_prepared,
            TextsEncoded: self._show_encoded,
            PrefixDone: self._show_use,
            Resumed: self._show_resumed,
            Resumable: self._show_resumable,
            StateNotSaved: self._show_not_saved,
            Probed: self._show_probe,
            SeedStarted: self._show_seed,
            StepDone: self._show_step,
            EpochDone: self._show_epoch,
            TrialStarted: self._show_trial_start,
            TrialDone: self._show_trial,
        }
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
        """Show one event."""
        self._handlers[type(event)](event)

    def _show_data(self, event: DataReady) -> None:
        data = event.data
        for note in data.notes:
            console.note(note)
        console.tell_removed(data.removed_rows, data.conflicts, data.leaked)
        self._on_data()

    def _show_base(self, event: BaseFound) -> None:
        console.note(event.note)

    def _show_recipe(self, event: RecipeChosen) -> None:
        *others, last = (name for name in RECIPES if name != event.recipe)
        console.note(f"recipe {event.recipe}: {event.reason}; --recipe {', '.join(others)} or {last} chooses another")

    def _show_probe(self, event: Probed) -> None:
        layers = {"encoder": "all layers", 1: "1 layer"}.get(event.unfreeze, f"{event.unfreeze} layers")
        minutes = f"{event.seconds / 60:.1f} minutes"
        console.note(f"probe with {layers}: val score {event.score:.4f}; the whole training would take {minutes}")

    def _show_seed(self, event: SeedStarted) -> None:
        self._history = []
        console.note(f"training {event.number} of {event.seeds}")

    def _show_resumed(self, event: Resumed) -> None:
        self._history = list(event.history)
        console.note(f"resuming in epoch {event.epoch} after {event.step} steps")

    def _show_resumable(self, event: Resumable) -> None:
        console.note(
            "this training was begun before and not completed: the same command with --resume goes on from there; "
            "without it, it begins anew, and what there is stays until it has come as far"
        )

    def _show_not_saved(self, event: StateNotSaved) -> None:
        console.warn(f"no checkpoint could be saved to resume from: {event.reason}")

    def _show_encoded(self, event: TextsEncoded) -> None:
        self._advance("frozen layers, once", event.texts, event.total)

    def _show_step(self, event: StepDone) -> None:
        self._advance(f"epoch {event.epoch}/{self._epochs}", event.texts, None, restart=event.step == 1)

    def _show_trial_start(self, event: TrialStarted) -> None:
        self._history, self._epochs = [], event.epochs
        self._trials.append((event.settings, None))
        self._refresh()

    def _show_prepared(self, event: Prepared) -> None:
        rows = ", ".join(f"{count} {part}" for part, count in event.rows.items())
        counts = event.parameters
        self._epochs, self._total = event.epochs, event.rows["train"]
        lines = [
            f"base model {event.base} on {event.device}, {event.precision}; {rows} texts; {_spoken(event.seconds)}",
            f"{counts.trainable:,} of {counts.total:,} parameters are trainable ({counts.share:.2%})",
            *event.notes,
        ]
        if event.truncated:
            long = counted(event.truncated, "text is", "texts are")
            lines.append(f"{long} over the length limit: head and tail are kept")
        for line in lines:
            console.note(line)

    def _show_use(self, event: PrefixDone) -> None:
        use = event.use
        if use.reused:
            console.note(f"activations of {counted(use.reused, 'text')} reused from an earlier run")
        if use.recomputed:
            console.note(
                f"the frozen layers run in every epoch for {counted(use.recomputed, 'text')}: the activations fit "
                "neither --cache-memory nor --cache-disk"
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
            f"epoch {event.epoch}/{self._epochs}: "
            f"{', '.join(f'{name} {figure}' for name, figure in epoch_figures(event).items())}, {event.seconds:.1f} s",
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


def _spoken(seconds: float) -> str:
    """Return a rough duration in words."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} seconds"
    return f"about {seconds / 60:.0f} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"
