"""Results of an inspection: plain values to show or to write as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from emoclass.data.cleaning.cleaning import Conflict
from emoclass.data.cleaning.label_checks import LabelProblem, RareClass
from emoclass.data.cleaning.traits import Trait
from emoclass.data.columns.naming import FileRows
from emoclass.data.tables.formats import DELIMITERS

_SHOWN_COLUMNS = 8


@dataclass(frozen=True)
class Finding:
    """One thing to know about the data.

    Attributes:
        code: Fixed name of the kind of finding.
        severity: ``decide`` if a person has to, ``info`` if emoclass handles it in the only sensible way.
        part: The split, or the file: ``train``, ``val``, ``test``, ``all``, or a path.
        message: One line with numbers and advice.
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
class LabelPair:
    """Two labels that rows have together.

    Attributes:
        first: One of the labels.
        second: The other.
        rows: Rows with both.
        lift: How many times as many these are as if the labels had nothing to do with each other.
    """

    first: str
    second: str
    rows: int
    lift: float


@dataclass(frozen=True)
class SeveralLabels:
    """Any number of labels a row.

    Attributes:
        rows: Rows without a label, with one, with two and so on.
        mean: Mean number of labels of a row.
        pairs: The pairs of labels that most rows have together.
        different_pairs: Number of all such pairs.
    """

    rows: tuple[int, ...]
    mean: float
    pairs: tuple[LabelPair, ...]
    different_pairs: int


@dataclass(frozen=True)
class ColumnContent:
    """What a column of a table holds.

    Attributes:
        name: The column.
        content: ``text``, ``words``, ``numbers``, ``id``, ``date``, ``address``, ``constant``, ``sparse`` or ``empty``.
        example: Its first cell that is not empty, in quotes and truncated.
    """

    name: str
    content: str
    example: str


@dataclass(frozen=True)
class LengthStats:
    """Lengths of the texts of a table.

    Attributes:
        min: Shortest length.
        mean: Mean length.
        p50: Median.
        p95: Length that 95 % of the texts do not exceed.
        p99: Length that 99 % of the texts do not exceed.
        max: Longest length.
        histogram: Texts in bins of equal width from 0 to about ``p99``; the last bin has all longer texts.
        bin_width: Width of a bin.
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
    """Lengths in content tokens, with the tokens that a model does not see or know.

    Attributes:
        limit: Largest number of content tokens of the model.
        over_limit: Number of texts with more tokens.
        share_over_limit: Share of these texts.
        dropped: Tokens that truncation drops: from the middle with head and tail, from the end with the head alone.
        share_dropped: Share of these tokens.
        unknown: Tokens that are not in the vocabulary.
        share_unknown: Share of these tokens.
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
    """Some of a group of rows whose texts are the same or nearly so.

    Attributes:
        texts: Texts of these rows.
        labels: Labels of these rows.
        rows: 1-based data rows.
        lines: Lines where these rows start; empty for Parquet.
        size: Number of rows in the whole group.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[int, ...]
    lines: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Duplicates:
    """Repeated texts among the kept rows of one table.

    Attributes:
        folded: Rows whose text equals an earlier one after folding of Unicode forms, case and whitespace.
        near: Further rows whose text is nearly an earlier one.
        near_examples: The largest groups with nearly equal texts.
        near_conflicts: Number of groups of not identical texts with several labels.
        near_conflict_examples: The largest of these; the first two rows of each have different labels.
    """

    folded: int
    near: int
    near_examples: tuple[Repetition, ...]
    near_conflicts: int
    near_conflict_examples: tuple[Repetition, ...]


@dataclass(frozen=True)
class Leak:
    """Rows of ``part`` whose text also appears in ``other``.

    Attributes:
        part: The later split.
        other: The earlier split.
        rows: Rows whose folded text is in ``other``.
        near: Further rows whose text is nearly one in ``other``.
        share: Share of both among the rows of ``part``.
        examples: Pairs of a text of ``part`` and one of ``other``.
    """

    part: str
    other: str
    rows: int
    near: int
    share: float
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PartInspection:
    """Description of one table.

    Attributes:
        part: ``train``, ``val``, ``test``, ``all`` for a single table, or the path of one of several.
        name: The input.
        layout: How the input is written: format, encoding, line end, separator, quoting, header.
        table_columns: What each of its columns holds.
        several_labels: How many labels rows have, and which together; ``None`` with one label each.
        rows: Data rows of the input.
        kept_rows: Rows after cleaning.
        text_column: The text column.
        label_column: The label column; empty if the table has no labels.
        removed: Removed rows by reason.
        notes: How columns were chosen, and which cells were not taken as they are.
        classes: Classes, the largest first; none if the table has no labels.
        imbalance_ratio: Rows of the largest class divided by those of the smallest; ``None`` without classes.
        rare_classes: Classes with one or two rows where others have more.
        label_problem: What makes the labels no classes; ``None`` if they seem to be classes.
        conflicts: Number of texts with several labels.
        conflict_examples: The first of them.
        duplicates: Repeated and nearly repeated texts among the kept rows.
        traits: What texts contain that a model cannot read or should not see.
        characters: Lengths of the kept texts in characters.
        words: Lengths in words separated by whitespace.
        tokens: Lengths in content tokens; ``None`` without a token counter.
        files: Where the rows of each file start, if the input was read from several.
    """

    part: str
    name: str
    rows: int
    kept_rows: int
    text_column: str
    label_column: str
    removed: dict[str, int]
    notes: tuple[str, ...]
    classes: tuple[ClassCount, ...]
    imbalance_ratio: float | None
    rare_classes: tuple[RareClass, ...]
    label_problem: LabelProblem | None
    conflicts: int
    conflict_examples: tuple[Conflict, ...]
    duplicates: Duplicates
    traits: tuple[Trait, ...]
    characters: LengthStats
    words: LengthStats
    tokens: TokenStats | None
    files: tuple[FileRows, ...] = ()
    layout: Mapping[str, Any] = field(default_factory=dict)
    table_columns: tuple[ColumnContent, ...] = ()
    several_labels: SeveralLabels | None = None

    @property
    def other_columns(self) -> str:
        """The columns that are neither text nor label with what they hold, for reports."""
        used = {*self.text_column.split(" + "), *self.label_column.split(" + ")}
        others = [f"{each.name or '(no name)'}: {each.content}" for each in self.table_columns if each.name not in used]
        return ", ".join([*others[:_SHOWN_COLUMNS], *[f"… ({len(others)})"] * (len(others) > _SHOWN_COLUMNS)])

    @property
    def read_as(self) -> str:
        """How the table is written, for reports."""
        layout = self.layout
        words = [str(layout[key]) for key in ("format", "encoding") if key in layout]
        if "delimiter" in layout:
            words.append(f"{DELIMITERS.get(layout['delimiter'], layout['delimiter'])} between fields")
            words.append(f"{'no' if layout['quoting'] == 'none' else layout['quoting']} quotes")
            words += [] if layout["header"] else ["no header"]
        words += [layout["line_end"]] if layout.get("line_end") else []
        return ", ".join([*words, *["gzip"] * bool(layout.get("gzip"))])


@dataclass(frozen=True)
class Inspection:
    """Descriptions of all tables, texts in more than one of them, and findings.

    Attributes:
        parts: One description per table.
        leaks: Texts of one table that also appear in another.
        findings: What to know or to decide.
    """

    parts: tuple[PartInspection, ...]
    leaks: tuple[Leak, ...]
    findings: tuple[Finding, ...]

    @property
    def needs_decision(self) -> bool:
        """Whether a finding needs a decision."""
        return any(finding.severity == "decide" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "needs_decision": self.needs_decision}
