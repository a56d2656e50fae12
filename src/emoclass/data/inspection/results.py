"""What an inspection finds: plain values, to be shown or written as JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from emoclass.data.cleaning.cleaning import Conflict
from emoclass.data.cleaning.traits import Trait


@dataclass(frozen=True)
class Finding:
    """One thing to know about the data.

    Attributes:
        code: a fixed name of the kind of finding.
        severity: ``decide`` if a person should, ``info`` if emoclass handles it the only sensible way.
        part: where it is; train, val, test, all, or a file.
        message: one line with numbers and advice.
    """

    code: str
    severity: Literal["decide", "info"]
    part: str
    message: str


@dataclass(frozen=True)
class ClassCount:
    """One class among the kept rows.

    Attributes:
        name: The class.
        count: Its rows.
        share: Their share of the kept rows.
        first_row: 1-based data row of its first one.
        first_line: Line where that row starts; ``None`` for Parquet.
    """

    name: str
    count: int
    share: float
    first_row: int
    first_line: int | None


@dataclass(frozen=True)
class LengthStats:
    """Lengths of the texts of a table; p95 is the length that 95 % of the texts do not exceed.

    ``histogram`` has texts in bins of equal width from 0 to p99, and the rest in a last one.
    """

    min: int
    mean: float
    p50: int
    p95: int
    p99: int
    max: int
    histogram: tuple[int, ...]
    bin_width: int


@dataclass(frozen=True)
class TokenStats(LengthStats):
    """Lengths in content tokens, and what a model cannot take of them.

    Attributes:
        limit: content tokens that it takes.
        over_limit: texts with more.
        share_over_limit: their share.
        dropped: tokens that truncation drops: from the middle with head and tail, from the end with the head alone.
        share_dropped: their share of all tokens.
        unknown: tokens that are not in the vocabulary.
        share_unknown: their share of all tokens.
    """

    limit: int
    over_limit: int
    share_over_limit: float
    dropped: int
    share_dropped: float
    unknown: int
    share_unknown: float


@dataclass(frozen=True)
class Repetition:
    """Rows with the same, or nearly the same, text.

    Attributes:
        texts: the first of them.
        labels: their labels.
        rows: their 1-based data rows.
        lines: lines where these rows start; empty for Parquet.
        size: how many there are in all.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[int, ...]
    lines: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Duplicates:
    """Repeated texts of one part, among the rows that cleaning kept.

    Attributes:
        folded: rows whose text equals an earlier one after Unicode, case and blanks are folded.
        near: further rows whose text is nearly that of an earlier one.
        near_examples: the largest groups of those.
        near_conflicts: groups of texts, not all equal, that have several labels; folded texts count as different.
        near_conflict_examples: the largest of them, the first two rows of each with different labels.
    """

    folded: int
    near: int
    near_examples: tuple[Repetition, ...]
    near_conflicts: int
    near_conflict_examples: tuple[Repetition, ...]


@dataclass(frozen=True)
class Leak:
    """Rows of ``part`` whose text also stands in ``other``.

    Attributes:
        part: the later part.
        other: the earlier part.
        rows: rows with a text that is there too, when folded.
        near: further rows with a text that is nearly one there.
        share: of both among the rows of ``part``.
        examples: a text of ``part`` and one of ``other``.
    """

    part: str
    other: str
    rows: int
    near: int
    share: float
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PartInspection:
    """One table.

    Attributes:
        part: train, val, test, all for a single table, or the name of one of several.
        name: the input.
        rows: data rows of the input.
        kept_rows: rows that stay after cleaning.
        text_column: the chosen text column.
        label_column: the chosen label column.
        removed: removed rows by reason.
        classes: largest first.
        imbalance_ratio: rows of the largest class to rows of the smallest.
        conflicts: texts that stand with several labels.
        conflict_examples: the first of them.
        duplicates: texts that are the same, or nearly so, among the kept rows.
        traits: what texts hold that a model cannot read, or should not.
        characters: lengths of the kept texts.
        words: lengths in blank-separated words.
        tokens: lengths in content tokens; None without a token counter.
    """

    part: str
    name: str
    rows: int
    kept_rows: int
    text_column: str
    label_column: str
    removed: dict[str, int]
    classes: tuple[ClassCount, ...]
    imbalance_ratio: float
    conflicts: int
    conflict_examples: tuple[Conflict, ...]
    duplicates: Duplicates
    traits: tuple[Trait, ...]
    characters: LengthStats
    words: LengthStats
    tokens: TokenStats | None


@dataclass(frozen=True)
class Inspection:
    """All parts, texts that stand in more than one of them, and findings."""

    parts: tuple[PartInspection, ...]
    leaks: tuple[Leak, ...]
    findings: tuple[Finding, ...]

    @property
    def needs_decision(self) -> bool:
        """True if a finding cannot be left to emoclass."""
        return any(finding.severity == "decide" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "needs_decision": self.needs_decision}
