"""Parts of the reports of evaluations, whatever the number of labels of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from rich.text import Text

from emoclass.cli import _console as console
from emoclass.data.cleaning.telling import removed_lines
from emoclass.data.columns.naming import brief, counted, shortened
from emoclass.evaluation.metrics import ClassScores
from emoclass.evaluation.multilabel_metrics import LabelScores
from emoclass.evaluation.multilabel_report import AnyEvaluation
from emoclass.evaluation.multilabel_significance import ScoreTest
from emoclass.evaluation.significance import Interval, PairedTest

S = TypeVar("S", ClassScores, LabelScores)

CLASS_ORDERS = ("model", "name", "support", "precision", "recall", "f1")
SHOWN_PAIRS = 5
_SHOWN_TEXT = 200
_SHOWN_LABELS = 10
# Classes of which a report without details shows the scores.
_SHOWN_CLASSES = 40


def verdict(test: PairedTest | ScoreTest, gain: float) -> str:
    """Return what a test says of a classifier that is better by a gain."""
    if not test.significant:
        return f"no clear difference (p = {test.p_value:.2f})"
    return f"{'better' if gain > 0 else 'worse'} ({shown_p(test)})"


def shown_p(test: PairedTest | ScoreTest) -> str:
    """Return a p-value as in "p = 0.012"."""
    return "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.3f}"


def shown_interval(interval: Interval) -> str:
    """Return the bounds of an interval."""
    return f"{interval.lower:.3f}–{interval.upper:.3f}"


def shown_scores(*values: float) -> list[str]:
    """Return scores as the cells of a table."""
    return [f"{value:.4f}" for value in values]


def in_order(scores: Sequence[S], sort: str) -> Sequence[S]:
    """Return the scores of classes in one of ``CLASS_ORDERS``."""
    if sort == "model":
        return scores
    if sort == "name":
        return sorted(scores, key=lambda each: each.label)
    return sorted(scores, key=lambda each: -getattr(each, sort))


def score_bar(score: float, width: int) -> Text:
    """Return a bar for a score."""
    return Text("█" * round(width * score), style="green")


def shown_text(text: str) -> str:
    """Return a text, or the beginning of a long one."""
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"


def print_rows_notes(evaluation: AnyEvaluation, classes: str, unseen: str | None) -> None:
    """Print the warnings and notes about the classes and the rows of the data.

    Args:
        evaluation: The evaluation.
        classes: What classes are called, in the plural.
        unseen: The score on the texts that the model has not seen.
    """
    if absent := evaluation.metrics.absent_labels:
        console.warn(f"{classes} without rows, excluded from the macro averages: {_first(absent)}")
    if evaluation.never_predicted:
        console.warn(f"{classes} that are never predicted: {_first(evaluation.never_predicted)}")
    for line in removed_lines(evaluation.removed_rows, evaluation.source):
        console.note(line)
    if evaluation.truncated:
        texts = counted(evaluation.truncated, "text")
        console.note(f"{texts} over the length limit: only head and tail are read")
    if evaluation.seen_in_training:
        seen = f"the model's training set contains {evaluation.seen_in_training} of these texts"
        console.warn(seen if unseen is None else f"{seen}; {unseen}")


def _first(labels: Sequence[str]) -> str:
    """Return the first of some labels, and how many more there are."""
    named = [console.clean_text(brief(label)) for label in labels[:_SHOWN_LABELS]]
    return ", ".join(named) + (f" and {len(labels) - len(named):,} more" if len(labels) > len(named) else "")


def shown_classes(scores: Sequence[S]) -> Sequence[S]:
    """Return the first of the scores of classes: what a report without details shows."""
    return scores[:_SHOWN_CLASSES]


def more_classes(scores: Sequence[S]) -> str:
    """Return how many classes ``shown_classes`` leaves out, as the beginning of a line; "" for none."""
    return f"{len(scores) - _SHOWN_CLASSES:,} more classes; " if len(scores) > _SHOWN_CLASSES else ""


def listed_counts(rows: Mapping[str, int]) -> str:
    """Return labels with their numbers of rows, and how many more there are."""
    named = [f"{shortened(label)} ({count})" for label, count in list(rows.items())[:_SHOWN_LABELS]]
    return ", ".join(named) + (f" and {len(rows) - len(named)} more" if len(rows) > len(named) else "")
