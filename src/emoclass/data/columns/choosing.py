"""Choose the text and the label columns: by option, by name, or by content."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal

from emoclass.config import Task
from emoclass.data.columns.answers import rejected_note
from emoclass.data.columns.chosen import SEPARATOR, Columns
from emoclass.data.columns.class_names import names_beside, without_index
from emoclass.data.columns.label_reading import notation_of
from emoclass.data.columns.naming import brief, listed, quoted
from emoclass.data.columns.patterns import names_no_content
from emoclass.data.columns.profiles import ColumnProfile
from emoclass.data.columns.spread import find_spread
from emoclass.errors import ConfigError, DataError

TEXT_NAMES = (
    "text", "sentence", "content", "message", "tweet", "comment", "review", "utterance", "body", "document",
    "post", "phrase", "texts", "sentences",
)  # fmt: skip
LABEL_NAMES = (
    "label", "emotion", "class", "labels", "emotions", "category", "target", "sentiment", "feeling", "mood",
)  # fmt: skip
# Content is judged by rows from the whole table, because files are often sorted by label.
SAMPLE_ROWS = 5000
# The text column is clear if it has this many times the words of the next one.
_CLEARLY_LONGER = 1.5
_SHOWN_NAMES, _SHOWN_EXAMPLES = 8, 4
# Columns of flags or scores side by side that hold labels if no column looks like them, and even if one does.
_SPREAD, _CLEARLY_SPREAD = 3, 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is known about the columns before the table is looked at.

    Attributes:
        texts: Names of the text columns; one is chosen if there are none.
        separator: What to put between several; that of ``trained``, or else a space, if ``None``.
        label_columns: Names of the label columns, or patterns of such names; chosen if there are none.
        label_separator: What stands between several labels in a cell; found in the cells if ``None``.
        task: Whether each row has one label or any number of them; that of ``trained``, or decided by the cells, if
            ``None``.
        labels: Whether labels are ``required``, ``optional``, or not looked for (``none``).
        trained: The columns that a model was trained with, which are preferred to known names.
        like: Name of the table with which this one belongs, and where the columns have these names.
        first_rows: Whether only the first rows are sampled: sorted by label, they may have a single one.
    """

    texts: tuple[str, ...] = ()
    separator: str | None = None
    label_columns: tuple[str, ...] = ()
    label_separator: str | None = None
    task: Task | None = None
    labels: Literal["required", "optional", "none"] = "required"
    trained: Columns | None = None
    like: str = ""
    first_rows: bool = False


def choose_columns(
    name: str,
    columns: Sequence[str],
    sample: Callable[[str], Iterable[object]],
    wanted: Wanted | None = None,
) -> Columns:
    """Choose the text and the label columns.

    Args:
        name: What messages call the input.
        columns: Names of the columns.
        sample: Returns a sample of a column's cells; called only if names are not enough.
        wanted: What is known before.

    Raises:
        DataError: A named column does not exist, the choice is ambiguous, or no column fits.
        ConfigError: There is a separator for a single text column.
    """
    wanted = wanted or Wanted()
    chooser = _Chooser(name, without_index(columns), sample, wanted)
    texts, labels = chooser.by_option()
    texts = texts or chooser.trained_texts(taken=labels) or chooser.by_name("text", TEXT_NAMES, taken=labels)
    is_open = not labels and wanted.labels != "none" and not (wanted.like and wanted.label_columns)
    if is_open:
        labels = chooser.trained_labels(taken=texts) or chooser.label_by_name(taken=texts)
    if not texts:
        texts = (chooser.text_by_content(taken=labels),)
        chooser.notes.append(f"{name}: column {quoted(texts[0])} taken as the text; --text-column names another")
    task = chooser.known_task
    if is_open and not labels:
        labels, task = chooser.labels_by_content(texts)
    if labels:
        chooser.notes += rejected_note(name, columns, sample)
    trained = wanted.trained or Columns(())
    try:
        task, between, note = notation_of(
            labels, sample, task, given=wanted.label_separator, usual=trained.label_separator
        )
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    notes = (*chooser.notes, *([f"{name}: {note}"] if note else ()))
    becomes = trained.becomes
    return Columns(texts, labels, chooser.separator(texts), notes, task=task, label_separator=between, becomes=becomes)


def needs_no_sample(columns: Sequence[str], wanted: Wanted) -> bool:
    """Return whether the first columns that are known already decide on the text, whatever columns follow."""
    there = {squeezed(column) for column in columns}
    if wanted.texts:
        return there.issuperset(map(squeezed, wanted.texts))
    trained = set() if wanted.trained is None else set(map(squeezed, wanted.trained.texts))
    if trained & there:
        return trained <= there
    return not there.isdisjoint(TEXT_NAMES)


class _Chooser:
    """Chooses among the columns of one table and profiles those whose content has to be judged.

    Attributes:
        notes: What was chosen by content, or left out.
        known_task: Whether rows have one label or any number of them, as far as that is known before.
    """

    def __init__(
        self, name: str, columns: Sequence[str], sample: Callable[[str], Iterable[object]], wanted: Wanted
    ) -> None:
        self.name, self.columns, self.wanted = name, list(columns), wanted
        self.notes: list[str] = []
        self._sample = sample
        self._profiles: dict[str, ColumnProfile] = {}
        self.known_task = wanted.task or (wanted.trained.task if wanted.trained else None)

    def by_option(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the requested text and label columns, which must exist and differ."""
        texts = tuple(self._requested("text", given) for given in self.wanted.texts)
        labels: tuple[str, ...] = ()
        if self.wanted.labels != "none":
            labels = tuple(label for given in self.wanted.label_columns for label in self._requested_labels(given))
        if both := next((label for label in labels if label in texts), None):
            raise DataError(
                f"{self.name}: column {quoted(brief(both))} is given as text and as label: pass two different columns"
            )
        for role, names in (("text", texts), ("label", labels)):
            if repeated := next((name for name in names if names.count(name) > 1), None):
                raise DataError(f"{self.name}: column {quoted(brief(repeated))} is given twice as {role}: pass it once")
        return texts, labels

    def trained_texts(self, *, taken: Sequence[str]) -> tuple[str, ...]:
        """Return the text columns that the model was trained with, if all of them are there."""
        names = () if self.wanted.trained is None else self.wanted.trained.texts
        there = [matches[0] for name in names if len(matches := self._matches(name)) == 1 and matches[0] not in taken]
        if there and len(there) == len(names):
            return tuple(there)
        if there:
            absent = [name for name in names if not self._matches(name)]
            self.notes.append(f"{self.name}: lacks {_named(absent)}, a part of the texts that the model was trained on")
        return ()

    def trained_labels(self, *, taken: Sequence[str]) -> tuple[str, ...]:
        """Return the label columns that the model was trained with, if all of them are there."""
        names = () if self.wanted.trained is None else self.wanted.trained.labels
        there = [matches[0] for name in names if len(matches := self._matches(name)) == 1 and matches[0] not in taken]
        return tuple(there) if len(there) == len(names) else ()

    def by_name(self, role: str, names: Sequence[str], *, taken: Sequence[str]) -> tuple[str, ...]:
        """Return the column whose name comes first among the known names, or none."""
        free = [column for column in self.columns if column not in taken]
        for name in names:
            if matches := [column for column in free if squeezed(column) == name]:
                return (self._only(role, matches),)
        return ()

    def label_by_name(self, *, taken: Sequence[str]) -> tuple[str, ...]:
        """Return the column whose name comes first among those of labels, or the only one that names its numbers."""
        label = next(iter(self.by_name("label", LABEL_NAMES, taken=taken)), "")
        others = [column for column in self.columns if column not in (*taken, label)]
        names, fact = names_beside(label, others, self._sample) if label else ((), "")
        if fact:
            self.notes.append(
                f"{self.name}: the classes are the numbers of {quoted(label)}; {fact}: correct these rows, or pass"
                " --label-column"
            )
        if len(names) != 1:
            return (label,) if label else ()
        self.notes.append(
            f"{self.name}: column {quoted(names[0])} names the classes of {quoted(label)} and is taken as the label;"
            f" --label-column {shlex.quote(label)} takes the numbers"
        )
        return names

    def text_by_content(self, *, taken: Sequence[str]) -> str:
        """Return the column with clearly the longest cells, or the first of two."""
        free = [column for column in self._candidates() if column not in taken]
        texts = [column for column in free if self.profile(column).is_text]
        if not texts and len(self.columns) == 1 and self.profile(self.columns[0]).wordy:
            return self.columns[0]
        if not texts:
            raise DataError(
                f"{self.name}: no column looks like text ({self._examples(self.columns)}): pass --text-column"
            )
        longest = max(self.profile(column).mean_words for column in texts)
        close = [column for column in texts if self.profile(column).mean_words * _CLEARLY_LONGER > longest]
        if len(close) == 1:
            return close[0]
        if len(self._candidates()) == 2:
            return close[0]
        raise DataError(
            f"{self.name}: {_named(close)} could all hold the texts ({self._examples(close)}): pass --text-column,"
            " more than once to join several"
        )

    def labels_by_content(self, texts: Sequence[str]) -> tuple[tuple[str, ...], Task | None]:
        """Return the only other column with short, repeated cells, or several of flags, and the task if these say so.

        There is none if no column looks like labels and labels are optional.
        """
        others = [column for column in self._candidates() if column not in texts]
        only = len(others) == 1
        labels = [column for column in others if self.profile(column).is_label(only_choice=only)]
        if only and self.wanted.first_rows and self.profile(others[0]).kind == "constant":
            labels = others
        spread = find_spread(others, self._sample, fewest=_CLEARLY_SPREAD if len(labels) == 1 else _SPREAD)
        if spread is not None and not spread.is_flags:
            raise DataError(
                f"{self.name}: the labels seem to be spread over {spread.fact}: write the class of each row into a"
                " column, and name it with --label-column"
            )
        if spread is not None:
            task = self.known_task or ("single" if spread.one_each else "multi")
            how = "one in each row" if task == "single" else "any number in a row"
            self.notes.append(f"{self.name}: {spread.fact} taken as the labels, {how}; --label-column names others")
            return spread.columns, task
        if len(labels) == 1:
            self.notes.append(
                f"{self.name}: column {quoted(labels[0])} taken as the label; --label-column names another"
            )
            return (labels[0],), self.known_task
        if labels:
            raise DataError(
                f"{self.name}: {_named(labels)} could all hold the labels ({self._examples(labels)}): pass"
                " --label-column"
            )
        if self.wanted.labels == "optional":
            return (), self.known_task
        if len(self.columns) == len(texts):
            raise DataError(f"{self.name}: has only column {_named(texts)}: add a label column")
        examples = self._examples([column for column in self.columns if column not in texts])
        raise DataError(f"{self.name}: no column looks like labels ({examples}): pass --label-column")

    def separator(self, texts: Sequence[str]) -> str:
        """Return what stands between the cells of the text columns."""
        given, trained = self.wanted.separator, self.wanted.trained
        if given is not None and len(texts) == 1 and not self.wanted.like:
            raise ConfigError(
                f"--text-separator joins several text columns, but {self.name} is read with one: give --text-column"
                " once for each of them, or drop --text-separator"
            )
        if given is None and trained is not None:
            return trained.separator
        return SEPARATOR if given is None else given

    def profile(self, column: str) -> ColumnProfile:
        """Return the profile of a column."""
        if column not in self._profiles:
            self._profiles[column] = ColumnProfile.of(self._sample(column))
        return self._profiles[column]

    def _candidates(self) -> list[str]:
        return [column for column in self.columns if not names_no_content(column)]

    def _matches(self, given: str) -> list[str]:
        """Return the column of exactly this name, or else those whose names are the same as ``squeezed``."""
        if given in self.columns:
            return [given]
        return [column for column in self.columns if squeezed(column) == squeezed(given)]

    def _requested(self, role: str, given: str) -> str:
        if matches := self._matches(given):
            return self._only(role, matches)
        shown = quoted(brief(given))
        if self.wanted.like:
            raise DataError(
                f"{self.name}: no column {shown}, which holds the {role}s of {self.wanted.like}; the columns are"
                f" {_named(self.columns)}: rename the one with the {role}s to {shown}"
            )
        close = get_close_matches(_folded(given), [_folded(column) for column in self.columns], n=1)
        meant = next((quoted(column) for column in self.columns if close and _folded(column) == close[0]), None)
        hint = f"did you mean {meant}?" if meant else "pass one of these"
        raise DataError(f"{self.name}: no column {shown}; the columns are {_named(self.columns)}: {hint}")

    def _requested_labels(self, given: str) -> list[str]:
        if self.wanted.like and not self._matches(given):
            self.notes.append(
                f"{self.name}: no column {quoted(brief(given))}, which holds the labels of {self.wanted.like}; the"
                f" columns are {_named(self.columns)}"
            )
            return []
        if not self._matches(given) and (found := [name for name in self.columns if fnmatchcase(name, given)]):
            return found
        return [self._requested("label", given)]

    def _only(self, role: str, matches: list[str]) -> str:
        if len(matches) == 1:
            return matches[0]
        raise DataError(
            f"{self.name}: columns {_named(matches)} could both be the {role}: pass the exact --{role}-column"
        )

    def _examples(self, columns: Sequence[str]) -> str:
        shown = [f"{quoted(brief(column))}: {self.profile(column).example}" for column in columns[:_SHOWN_EXAMPLES]]
        return ", ".join(shown + ["…"] * (len(columns) > _SHOWN_EXAMPLES))


def _named(columns: Sequence[str]) -> str:
    """Return the first names in quotes, and how many there are if that is not all."""
    names = listed(map(brief, columns), most=_SHOWN_NAMES)
    return names if len(columns) <= _SHOWN_NAMES else f"{names} ({len(columns)} in all)"


def _folded(column: str) -> str:
    """Return a name without case and surrounding whitespace."""
    return column.strip("\ufeff \t\r\n").casefold()


def squeezed(column: str) -> str:
    """Return a name without case, whitespace, underscores and hyphens: how names are compared."""
    return "".join(character for character in _folded(column) if character not in " _-\t")
