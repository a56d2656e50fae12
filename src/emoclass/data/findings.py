"""What in the data needs a decision, and what is only worth knowing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from emoclass.data.inspection import Leak, PartInspection

# A class with fewer rows has no row or a single one in a tenth of the data.
SMALL_CLASS = 10
IMBALANCE = 10.0
_EMPTY = ("null_text", "blank_text", "null_label", "blank_label")


@dataclass(frozen=True)
class Finding:
    """One thing to know about the data.

    Attributes:
        code: a fixed name of the kind of finding.
        severity: ``decide`` if a person should, ``info`` if emoclass handles it the only sensible way.
        part: where it is; train, val, test or all.
        message: one line with numbers and advice.
    """

    code: str
    severity: Literal["decide", "info"]
    part: str
    message: str


def find_in_part(part: "PartInspection") -> Iterator[Finding]:
    """Yield what stands out in one table."""
    yield from _removed_rows(part)
    if part.conflicts:
        first = part.conflict_examples[0]
        rows = ", ".join(f"row {row} {label!r}" for row, label in zip(first.rows, first.labels, strict=True))
        yield Finding(
            "conflicting_labels",
            "decide",
            part.part,
            f"{_count(part.conflicts, 'text stands', 'texts stand')} with two or more labels, the first in"
            f" {rows}: choose one label for each",
        )
    if part.label_column is not None:
        yield from _classes(part)
    if part.tokens is not None and part.tokens.over_limit:
        over, limit = part.tokens.over_limit, part.tokens.limit
        yield Finding(
            "long_texts",
            "info",
            part.part,
            f"{_count(over, 'text has', 'texts have')} more than {limit} tokens: head and tail are kept",
        )


def find_unseen_classes(parts: "Sequence[PartInspection]") -> Iterator[Finding]:
    """Yield for each part the classes that train does not have."""
    train = next((part for part in parts if part.part == "train"), None)
    known = {entry.name for entry in train.classes} if train else set()
    for part in parts:
        unseen = [entry.name for entry in part.classes if train and entry.name not in known]
        if unseen:
            yield Finding(
                "unseen_class",
                "decide",
                part.part,
                f"{_named(unseen)} stand here but not in train: add them there or remove them here",
            )


def find_leaks(leaks: "Sequence[Leak]") -> Iterator[Finding]:
    """Yield texts that stand in two parts."""
    for leak in leaks:
        yield Finding(
            "leakage",
            "decide",
            leak.part,
            f"{_count(leak.rows, 'text', 'texts')} ({leak.share:.1%}) also in {leak.other}:"
            " scores on them say little; remove them, or split again with emoclass split",
        )


def _removed_rows(part: "PartInspection") -> Iterator[Finding]:
    empty = {reason: part.removed[reason] for reason in _EMPTY if part.removed.get(reason)}
    if empty:
        kinds = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in empty.items())
        total = _count(sum(empty.values()), "row", "rows")
        message = f"{total} without text or label left out ({kinds}): complete them or accept the loss"
        yield Finding("empty_rows", "decide", part.part, message)
    if duplicates := part.removed.get("duplicate"):
        message = f"{_count(duplicates, 'row repeats', 'rows repeat')} text and label of an earlier one: left out"
        yield Finding("duplicates", "info", part.part, message)


def _classes(part: "PartInspection") -> Iterator[Finding]:
    if len(part.classes) == 1:
        message = f"all rows are {part.classes[0].name!r}: a classifier needs two classes or more"
        yield Finding("single_class", "decide", part.part, message)
    small = [entry for entry in part.classes if entry.count < SMALL_CLASS]
    if small:
        listed = _named([f"{entry.name} ({entry.count})" for entry in small])
        message = f"{listed} below {SMALL_CLASS} rows: add rows, merge or remove such classes"
        yield Finding("small_class", "decide", part.part, message)
    if part.imbalance_ratio >= IMBALANCE:
        largest, smallest = part.classes[0], part.classes[-1]
        message = (
            f"{largest.name!r} has {part.imbalance_ratio:.0f} times the rows of {smallest.name!r}:"
            " judge by macro F1, or balance the classes"
        )
        yield Finding("imbalance", "decide", part.part, message)
    for names in _similar([entry.name for entry in part.classes]):
        message = f"{_named(names)} differ only by case or blanks: write them the same if they are one class"
        yield Finding("similar_labels", "decide", part.part, message)


def _similar(names: list[str]) -> list[list[str]]:
    by_fold = defaultdict(list)
    for name in names:
        by_fold["".join(name.casefold().split())].append(name)
    return [same for same in by_fold.values() if len(same) > 1]


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _named(names: Sequence[str]) -> str:
    return ", ".join([*map(repr, names[:10]), *["…"] * (len(names) > 10)])
