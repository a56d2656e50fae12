"""Training results as tables."""

from __future__ import annotations

from rich.text import Text

from emoclass.cli import _console as console
from emoclass.cli._advice import more_training, stronger_settings
from emoclass.cli._multilabel_evaluation import print_any_evaluation
from emoclass.cli._progress import epoch_table, trial_table
from emoclass.data.columns.naming import counted
from emoclass.training.events import TrialDone
from emoclass.training.lines import epoch_figures
from emoclass.training.train import TrainResult
from emoclass.training.trials import Tuning

_KEPT_SCORES = ("val accuracy", "val macro F1", "val micro F1")


def print_training(result: TrainResult, *, details: bool = False) -> None:
    """Print the evaluation on the test set and the model's directory; with details also the epochs and all tables."""
    out = console.results()
    if result.tuning is not None:
        _print_tuning(result.tuning)
    if details or result.test is None:
        console.print_table(out, epoch_table(list(result.history), result.best_epoch))
    else:
        kept = result.history[result.best_epoch - 1]
        scores = [f"{name} {value}" for name, value in epoch_figures(kept).items() if name in _KEPT_SCORES]
        out.print(f"epoch {result.best_epoch} of {len(result.history)} kept: {', '.join(scores)}", soft_wrap=True)
    if result.averaged is not None:
        mean, first = result.averaged, result.history[result.best_epoch - 1]
        out.print(
            f"averaged weights of {counted(mean.seeds, 'run')}: val accuracy {mean.val.accuracy:.4f}, macro F1 "
            f"{mean.val.macro_f1:.4f}; first run alone: {first.val_accuracy:.4f} and {first.val_macro_f1:.4f}",
            soft_wrap=True,
        )
    if result.test is not None:
        print_any_evaluation(result.test, details=details, stronger=stronger_settings(result.model.manifest))
    if result.still_learning and not result.stopped and not result.failure:
        console.note(f"the model was still learning when training ended; try {more_training(result)}")
    if details:
        counts = result.parameters
        out.print(f"{counts.trainable:,} of {counts.total:,} parameters trained ({counts.share:.2%})", soft_wrap=True)
    name = result.model.manifest.name
    out.print(Text(f"model {name}: {console.clean_text(str(result.model.directory))}"), soft_wrap=True)


def _print_tuning(tuning: Tuning) -> None:
    out, search, gain = console.results(), tuning.search, tuning.gain
    done = [
        (t.settings, TrialDone(t.number, t.score, t.best_epoch, t.seconds, t.state + "*" * (t in search.frontier)))
        for t in search.trials
    ]
    console.print_table(out, trial_table(done, search.best.number, "Trials (*: Pareto-optimal in score and time)"))
    if search.importance:
        rows = [[name.replace("_", " "), f"{share:.0%}"] for name, share in search.importance.items()]
        console.print_table(out, console.table("Importance of the settings", ["setting", "importance"], rows))
    out.print(
        f"{'test' if tuning.part == 'test' else 'validation'} {gain.metric.replace('macro_f1', 'macro F1')}: "
        f"{gain.first:.4f} with the initial settings, {gain.second:.4f} with the best; "
        f"gain {gain.second - gain.first:+.4f} "
        f"(95 %: {gain.interval.lower:+.4f} to {gain.interval.upper:+.4f}), "
        f"{'significant' if gain.significant else 'not significant'}",
        soft_wrap=True,
    )
    if tuning.part == "val":
        console.note("no test set: the gain is measured on the validation set that selected the settings; optimistic")
