"""Profile the content of a column: is it text, or labels?"""

from collections.abc import Iterable
from dataclasses import dataclass

from emoclass.data.columns.cells import cell_label, cell_text
from emoclass.data.columns.naming import brief, quoted
from emoclass.data.columns.patterns import are_codes, kind_of
from emoclass.errors import DataError

_LABEL_CHARACTERS = 60
_LABEL_WORDS = 3
# In a table with fewer rows, labels need not repeat, and no cell is left out as an outlier.
_FEW_ROWS = 20
# Cells that may be longer than labels are: those of further header lines.
_OUTLIERS = 2
# A column with fewer filled cells holds remarks, or what ran over from others.
_SPARSE = 0.1


@dataclass(frozen=True)
class ColumnProfile:
    """Statistics of a sample of a column without empty and binary cells.

    Attributes:
        values: Number of cells.
        mean_words: Mean number of words.
        max_words: Largest number of words, but for two cells of many.
        max_characters: Largest number of characters, but for two cells of many.
        kind: What the cells are if neither texts nor labels; see ``kind_of``.
        wordy: Whether most cells have letters, and are not codes, lists or objects.
        labels: Distinct cells as labels.
        example: The first cell for messages, truncated.
    """

    values: int
    mean_words: float
    max_words: int
    max_characters: int
    kind: str
    wordy: bool
    labels: frozenset[str]
    example: str

    @classmethod
    def of(cls, sample: Iterable[object]) -> "ColumnProfile":
        """Profile the cells of a sample."""
        cells = list(sample)
        texts = [text for value in cells if (text := _readable(value)) and text.strip()]
        nested = sum(isinstance(value, dict | list) for value in cells)
        counts = [len(text.split()) for text in texts]
        lettered = sum(any(map(str.isalpha, text)) for text in texts)
        return cls(
            values=len(texts),
            mean_words=sum(counts) / max(len(counts), 1),
            max_words=_largest(counts),
            max_characters=_largest(map(len, texts)),
            kind="sparse" if 0 < len(texts) < _SPARSE * len(cells) else kind_of([text.strip() for text in texts]),
            wordy=lettered * 2 > len(texts) and nested * 2 < len(texts) and not are_codes(texts),
            labels=frozenset(label for text in texts if (label := cell_label(text))),
            example=quoted(brief(texts[0])) if texts else "empty",
        )

    @property
    def content(self) -> str:
        """What the cells are, in a word: ``kind``, or ``text``, ``words`` or ``numbers``."""
        return self.kind or ("numbers" if not self.wordy else "words" if self.is_short else "text")

    @property
    def is_text(self) -> bool:
        """Whether the cells may be texts."""
        return self.wordy and not self.kind

    @property
    def is_short(self) -> bool:
        """Whether all cells are as short as the names of classes."""
        return self.max_words <= _LABEL_WORDS and self.max_characters <= _LABEL_CHARACTERS

    def is_label(self, *, only_choice: bool) -> bool:
        """Return whether cells are short and repeat; with few rows, words or the only choice need not repeat."""
        if self.kind or not self.is_short:
            return False
        repeats = len(self.labels) * 2 <= self.values
        return repeats or (self.values < _FEW_ROWS and (self.wordy or only_choice))


def _largest(sizes: Iterable[int]) -> int:
    ordered = sorted(sizes, reverse=True)
    return ordered[_OUTLIERS if len(ordered) >= _FEW_ROWS else 0] if ordered else 0


def _readable(value: object) -> str | None:
    try:
        return cell_text(value)
    except DataError:
        return None
