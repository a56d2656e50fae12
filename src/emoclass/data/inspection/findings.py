"""Turn the results of an inspection into findings: what needs a decision, and what is only worth knowing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Literal

from emoclass.data.cleaning.label_checks import places_of
from emoclass.data.cleaning.spellings import damaged_names
from emoclass.data.cleaning.traits import find_traits
from emoclass.data.columns.labels import each_name, folded_name, meant, shown_label, sorted_names
from emoclass.data.columns.naming import (
    FileRows,
    counted,
    distinguished,
    listed_labels,
    located,
    look_of,
    quoted,
    shortened,
)
from emoclass.data.inspection.results import Finding

if TYPE_CHECKING:
    from emoclass.data.cleaning.cleaning import CleanData, Conflict
    from emoclass.data.cleaning.traits import Trait
    from emoclass.data.inspection.results import Leak, PartInspection, Repetition

# A tenth of the data has at most one row of a class with fewer rows.
SMALL_CLASS = 10
IMBALANCE = 10.0
# A random split hardly makes the shares of a class differ by more between splits.
SHARES_DIFFER = 0.05
UNKNOWN_TOKENS = 0.01
_EMPTY = ("null_text", "blank_text", "null_label", "blank_label", "empty_label_list")
_SHOWN_CLASSES = 10


def find_in_part(part: "PartInspection") -> Iterator[Finding]:
    """Yield the findings about one table."""
    yield from _removed_rows(part)
    if part.conflicts:
        first = part.conflict_examples[0]
        rows = _with_labels(first, part)
        yield Finding(
            "conflicting_labels",
            "decide",
            part.part,
            f"{counted(part.conflicts, 'text has', 'texts have')} two or more labels, the first in"
            f" {rows}: {_advice(part)}",
        )
    yield from _near(part)
    yield from _classes(part)
    for trait in part.traits:
        yield _trait(part.part, trait, part.files)
    if part.tokens is not None and part.tokens.over_limit:
        over, limit = part.tokens.over_limit, part.tokens.limit
        yield Finding(
            "long_texts",
            "info",
            part.part,
            f"{counted(over, 'text has', 'texts have')} more than {limit} tokens: head and tail are kept, and"
            f" {part.tokens.dropped:,} tokens ({part.tokens.share_dropped:.1%}) between them are dropped; with the head"
            " alone they would be dropped from the end",
        )
    if part.tokens is not None:
        yield from find_unknown_tokens(part.part, part.tokens.share_unknown)


def find_before_use(data: "CleanData") -> Iterator[Finding]:
    """Yield what makes a split or a training useless that nobody would see in it: odd labels and damaged texts."""
    if data.columns.labels:
        yield from _spellings(data.name, sorted_names(each_name(data.labels)))
    for trait in find_traits(data, only=("damaged_encoding",)):
        yield _trait(data.name, trait, data.files)


def find_unknown_tokens(part: str, share: float) -> Iterator[Finding]:
    """Yield that a share of the tokens is not in the vocabulary, unless it is small."""
    if share > UNKNOWN_TOKENS:
        message = f"{share:.1%} of the tokens are not in the vocabulary: is the base model made for this language?"
        yield Finding("unknown_tokens", "decide", part, message)


def find_across_parts(parts: "Sequence[PartInspection]", leaks: "Sequence[Leak]") -> Iterator[Finding]:
    """Yield the findings from comparing tables with each other, and with train or else the first one."""
    reference = next((part for part in parts if part.part == "train"), parts[0])
    yield from _unseen_classes(parts, reference)
    yield from _leaks(leaks)
    shares = {entry.name: entry.share for entry in reference.classes}
    for part in (part for part in parts if part.classes):
        own = {entry.name: entry.share for entry in part.classes}
        name = max(shares, key=lambda name: abs(shares[name] - own.get(name, 0.0)), default=None)
        if part is not reference and name is not None and abs(shares[name] - own.get(name, 0.0)) > SHARES_DIFFER:
            yield Finding(
                "class_shares",
                "decide",
                part.part,
                f"{quoted(name)} is {own.get(name, 0.0):.1%} of the rows here and {shares[name]:.1%} of"
                f" {reference.part}'s: scores here say less about data like {reference.part}; split again unless"
                " this is intended",
            )


def _advice(part: "PartInspection") -> str:
    return "choose one label for each" if part.several_labels is None else "decide which labels apply to each"


def _near(part: "PartInspection") -> Iterator[Finding]:
    found = part.duplicates
    if found.folded or found.near:
        yield Finding(
            "near_duplicates",
            "info",
            part.part,
            f"{counted(found.folded, 'text')} equal to another up to case, whitespace and Unicode form, and"
            f" {found.near:,} nearly equal to another: emoclass split keeps them together; --fix keeps one of each",
        )
    if found.near_conflicts:
        first = found.near_conflict_examples[0]
        rows = _with_labels(first, part, most=2)
        yield Finding(
            "near_conflicts",
            "decide",
            part.part,
            f"{counted(found.near_conflicts, 'group')} of nearly equal texts with several labels, the largest"
            f" with {rows}: {_advice(part)}",
        )


_TRAITS: dict[str, tuple[Literal["decide", "info"], str, str]] = {
    "placeholder": ("decide", "a placeholder instead of text", "remove such rows, or let inspect-data --fix do it"),
    "damaged_encoding": (
        "decide",
        "damage by a wrong encoding",
        "export the data as UTF-8, or let inspect-data --fix repair it",
    ),
    "html": ("decide", "HTML", "a model reads it as words; remove it unless it is intended"),
    "urls": ("info", "URLs", "they become many tokens with little meaning"),
    "mentions": ("info", "@mentions", "names may reveal the class"),
    "emoji": ("info", "emoji", "BERT's vocabulary has few of them; write them as words if they matter"),
}


def _trait(part: str, trait: "Trait", files: Sequence[FileRows]) -> Finding:
    severity, what, advice = _TRAITS[trait.name]
    where = f"{counted(trait.rows, 'text')} ({trait.share:.1%})"
    first = f"{quoted(trait.examples[0])} in {located(trait.first_row, trait.first_line, files)}"
    return Finding(trait.name, severity, part, f"{what} in {where}, the first {first}: {advice}")


def _unseen_classes(parts: "Sequence[PartInspection]", reference: "PartInspection") -> Iterator[Finding]:
    known = {entry.name for entry in reference.classes}
    for part in parts:
        unseen = [entry.name for entry in part.classes if entry.name not in known]
        if unseen:
            yield Finding(
                "unseen_class",
                "decide",
                part.part,
                f"{_named(unseen)} appear here but not in {reference.part}{meant(unseen, known)}: add them there or"
                " remove them here",
            )


def _leaks(leaks: "Sequence[Leak]") -> Iterator[Finding]:
    for leak in leaks:
        yield Finding(
            "leakage",
            "decide",
            leak.part,
            f"{counted(leak.rows + leak.near, 'text')} ({leak.share:.1%}) also in {leak.other},"
            f" {leak.near:,} of them nearly the same: scores on them mean little; remove them, or split again with"
            " emoclass split",
        )


def _removed_rows(part: "PartInspection") -> Iterator[Finding]:
    empty = {reason: part.removed[reason] for reason in _EMPTY if part.removed.get(reason)}
    if empty:
        kinds = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in empty.items())
        total = counted(sum(empty.values()), "row")
        message = f"{total} without text or label dropped ({kinds}): complete them or accept the loss"
        yield Finding("empty_rows", "decide", part.part, message)
    if headers := part.removed.get("repeated_header"):
        message = f"{counted(headers, 'row repeats', 'rows repeat')} the header: dropped"
        yield Finding("repeated_headers", "info", part.part, message)
    if duplicates := part.removed.get("duplicate"):
        message = f"{counted(duplicates, 'row repeats', 'rows repeat')} text and label of an earlier one: dropped"
        yield Finding("duplicates", "info", part.part, message)


def _classes(part: "PartInspection") -> Iterator[Finding]:
    if not part.classes:
        message = "has no labels: add them, or leave it out of training and evaluation; emoclass predict can use it"
        yield Finding("no_labels", "decide", part.part, message)
    if len(part.classes) == 1:
        message = f"all rows are {shortened(part.classes[0].name)}: a classifier needs two classes or more"
        yield Finding("single_class", "decide", part.part, message)
    if part.label_problem is not None:
        yield Finding(part.label_problem.code, "decide", part.part, part.label_problem.message)
    if part.label_problem is None or not part.label_problem.fatal:
        yield from _sizes(part)
    yield from _spellings(part.part, [entry.name for entry in part.classes])


def _sizes(part: "PartInspection") -> Iterator[Finding]:
    small = [entry for entry in part.classes if entry.count < SMALL_CLASS]
    if small:
        sizes = ", ".join(f"{shortened(entry.name)} ({entry.count})" for entry in small[:_SHOWN_CLASSES])
        more = ", …" * (len(small) > _SHOWN_CLASSES)
        place = located(small[-1].first_row, small[-1].first_line, part.files)
        first = f"{shortened(small[-1].name)} is first in {place}"
        where = places_of(part.rare_classes, part.files, most=_SHOWN_CLASSES) or first
        message = f"{sizes}{more} below {SMALL_CLASS} rows, {where}: add rows, merge or remove such classes"
        yield Finding("small_class", "decide", part.part, message)
    if part.imbalance_ratio is not None and part.imbalance_ratio >= IMBALANCE:
        largest, smallest = part.classes[0], part.classes[-1]
        message = (
            f"{shortened(largest.name)} has {part.imbalance_ratio:.0f} times the rows of {shortened(smallest.name)}:"
            " judge by macro F1, or balance the classes"
        )
        yield Finding("imbalance", "decide", part.part, message)


def _spellings(part: str, names: Sequence[str]) -> Iterator[Finding]:
    """Yield the labels that are spelled differently but look alike, and those that are damaged."""
    by_fold = defaultdict(list)
    for name in names:
        by_fold[folded_name(name)].append(name)
    for key, same in by_fold.items():
        if len(same) == 1:
            continue
        what = "differ only by case, whitespace, punctuation or accents"
        advice = "spell them the same if they are one class"
        if isinstance(key, Decimal):
            what = "are the same number"
        elif len({*map(look_of, same)}) == 1:
            what = "look the same, but are not the same characters"
            advice = "spell them the same, or let inspect-data --fix do it"
        shown = distinguished(same)
        listed = ", ".join([*shown[:_SHOWN_CLASSES], *["…"] * (len(shown) > _SHOWN_CLASSES)])
        yield Finding("similar_labels", "decide", part, f"{listed} {what}: {advice}")
    if damaged := damaged_names(names):
        _, what, advice = _TRAITS["damaged_encoding"]
        labels = "label" if len(damaged) == 1 else "labels"
        yield Finding("damaged_labels", "decide", part, f"{what} in the {labels} {_named(damaged)}: {advice}")


def _with_labels(rows: "Conflict | Repetition", part: "PartInspection", *, most: int | None = None) -> str:
    lines = rows.lines or [None] * len(rows.rows)
    places = (located(row, line, part.files) for row, line in zip(rows.rows, lines, strict=True))
    return ", ".join(
        f"{place} {quoted(shown_label(label))}" for place, label in islice(zip(places, rows.labels, strict=True), most)
    )


def _named(names: Sequence[str]) -> str:
    return listed_labels(names, most=_SHOWN_CLASSES)
