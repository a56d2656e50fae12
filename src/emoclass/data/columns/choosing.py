"""Choose the text and the label column: by option, by name, or by content."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from emoclass.data.columns.cells import cell_label
from emoclass.data.columns.naming import listed, quoted
from emoclass.data.columns.profiles import ColumnProfile
from emoclass.data.columns.spread import spread_labels
from emoclass.errors import DataError

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
# Columns of flags or scores side by side that hold labels if no column looks like them, and even if one does.
_SPREAD, _CLEARLY_SPREAD = 3, 5


@dataclass(frozen=True)
class Columns:
    """The chosen columns.

    Attributes:
        text: Name of the text column.
        label: Name of the label column; empty if none was needed.
        notes: What was chosen by content, and how to choose otherwise.
    """

    text: str
    label: str = ""
    notes: tuple[str, ...] = ()


def choose_columns(
    name: str,
    columns: Sequence[str],
    sample: Callable[[str], Iterable[object]],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    need_label: bool = True,
    has_header_line: bool = True,
) -> Columns:
    """Choose the text and the label column.

    Args:
        name: What messages call the input.
        columns: Names of the columns.
        sample: Returns a sample of a column's cells; called only if names are not enough.
        text_column: Name of the text column; chosen by name or content if ``None``.
        label_column: Name of the label column; chosen by name or content if ``None``.
        need_label: Whether to choose a label column.
        has_header_line: Whether names come from a first line that may turn out to be data.

    Raises:
        DataError: A named column does not exist, the choice is ambiguous, or no column fits.
    """
    chooser = _Chooser(name, columns, sample)
    text = chooser.requested("text", text_column)
    label = chooser.requested("label", label_column if need_label else None)
    if text is not None and text == label:
        raise DataError(f"{name}: column {quoted(text)} is given as text and as label: pass two different columns")
    text = text or chooser.by_name("text", TEXT_NAMES, taken=label)
    if need_label:
        label = label or chooser.by_name("label", LABEL_NAMES, taken=text)
    by_name = text, label
    if text is None:
        text = chooser.text_by_content(taken=label)
    if label is None and need_label:
        label = chooser.label_by_content(text)
    if has_header_line and by_name == (None, None):
        chooser.check_header(text, [label] if label is not None else [name for name in columns if name != text])
    return Columns(text, label or "", chooser.notes(by_name, text, label))


def has_text_column(columns: Sequence[str], text_column: str | None) -> bool:
    """Return whether the columns include the requested text column, or one with a known name."""
    names = TEXT_NAMES if text_column is None else (_squeezed(text_column),)
    return any(_squeezed(column) in names for column in columns)


class _Chooser:
    """Chooses among the columns of one table and profiles those whose content has to be judged."""

    def __init__(self, name: str, columns: Sequence[str], sample: Callable[[str], Iterable[object]]) -> None:
        self.name = name
        self.columns = list(columns)
        self._sample = sample
        self._profiles: dict[str, ColumnProfile] = {}

    def by_name(self, role: str, names: Sequence[str], *, taken: str | None) -> str | None:
        """Return the column whose name comes first among the known names, ``None`` if no name is known."""
        free = [column for column in self.columns if column != taken]
        for name in names:
            if matches := [column for column in free if _squeezed(column) == name]:
                return self._only(role, matches)
        return None

    def text_by_content(self, *, taken: str | None) -> str:
        """Return the column with clearly the longest cells, or the first of two."""
        free = [column for column in self.columns if column != taken]
        texts = [column for column in free if self.profile(column).wordy]
        if not texts:
            raise DataError(f"{self.name}: no column looks like text ({self._examples()}): pass --text-column")
        longest = max(self.profile(column).mean_words for column in texts)
        close = [column for column in texts if self.profile(column).mean_words * _CLEARLY_LONGER > longest]
        if len(close) == 1:
            return close[0]
        if len(self.columns) == 2:
            return self.columns[0]
        raise DataError(
            f"{self.name}: {listed(close)} could all hold the texts ({self._examples()}): pass --text-column"
        )

    def label_by_content(self, text: str) -> str:
        """Return the only other column with short, repeated cells."""
        others = [column for column in self.columns if column != text]
        if not others:
            raise DataError(f"{self.name}: has only column {quoted(text)}: add a label column")
        labels = [column for column in others if self.profile(column).is_label(only_choice=len(others) == 1)]
        if spread := spread_labels(others, self._sample, fewest=_CLEARLY_SPREAD if len(labels) == 1 else _SPREAD):
            raise DataError(f"{self.name}: {spread}")
        if len(labels) == 1:
            return labels[0]
        problem = f"{listed(labels)} could all hold the labels" if labels else "no column looks like labels"
        raise DataError(f"{self.name}: {problem} ({self._examples()}): pass --label-column")

    def check_header(self, text: str, others: Sequence[str]) -> None:
        """Reject a first line that is data: its text reads like a sentence, and another value occurs below it."""
        # A column of labels may be named like one of them: spam, sarcasm.
        if text.strip().replace("-", "_").isidentifier():
            return
        for other in others:
            if cell_label(other) in self.profile(other).labels:
                raise DataError(
                    f"{self.name}: the first line seems to be data, not column names ({quoted(text[:40])},"
                    f" {quoted(other)}): add a header line such as text,label above it, or pass --text-column if these"
                    " are names"
                )

    def notes(self, by_name: tuple[str | None, str | None], text: str, label: str | None) -> tuple[str, ...]:
        """Return a note for each column that was chosen by content."""
        notes = []
        if by_name[0] is None:
            notes.append(f"{self.name}: column {quoted(text)} taken as the text; --text-column names another")
        if by_name[1] is None and label is not None:
            notes.append(f"{self.name}: column {quoted(label)} taken as the label; --label-column names another")
        return tuple(notes)

    def profile(self, column: str) -> ColumnProfile:
        """Return the profile of a column."""
        if column not in self._profiles:
            self._profiles[column] = ColumnProfile.of(self._sample(column))
        return self._profiles[column]

    def requested(self, role: str, given: str | None) -> str | None:
        """Return the requested column, ``None`` if none was; names match exactly, or else as ``_squeezed``."""
        if given is None or given in self.columns:
            return given
        if matches := [column for column in self.columns if _squeezed(column) == _squeezed(given)]:
            return self._only(role, matches)
        close = get_close_matches(_folded(given), [_folded(column) for column in self.columns], n=1)
        meant = next((quoted(column) for column in self.columns if close and _folded(column) == close[0]), None)
        hint = f"did you mean {meant}?" if meant else "pass one of these"
        raise DataError(f"{self.name}: no column {quoted(given)}; the columns are {listed(self.columns)}: {hint}")

    def _only(self, role: str, matches: list[str]) -> str:
        if len(matches) == 1:
            return matches[0]
        raise DataError(
            f"{self.name}: columns {listed(matches)} could both be the {role}: pass the exact --{role}-column"
        )

    def _examples(self) -> str:
        shown = [f"{quoted(column)}: {self.profile(column).example}" for column in self.columns[:8]]
        return ", ".join(shown + ["…"] * (len(self.columns) > 8))


def _folded(column: str) -> str:
    """Return a name without case and surrounding whitespace."""
    return column.strip("\ufeff \t\r\n").casefold()


def _squeezed(column: str) -> str:
    """Return a name without case, whitespace, underscores and hyphens: how names are compared."""
    return "".join(character for character in _folded(column) if character not in " _-\t")
