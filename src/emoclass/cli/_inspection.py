"""Tables of an inspection on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emoclass.cli import _console as console
from emoclass.data.columns.naming import counted, place_in

if TYPE_CHECKING:
    from rich.table import Table

    from emoclass.data.columns.naming import FileRows
    from emoclass.data.inspection.label_noise import Suspect
    from emoclass.data.inspection.results import (
        Inspection,
        Leak,
        LengthStats,
        PartInspection,
        Repetition,
        SeveralLabels,
    )

_BAR_WIDTH = 24
_SHOWN_SUSPECTS = 10
_SHOWN_TEXT = 120


def print_inspection(inspection: Inspection, suspects: dict[str, list[Suspect]] | None) -> None:
    """Print all tables, and suspects by split if they were searched for."""
    out = console.results()
    for part in inspection.parts:
        console.print_table(out, _columns(part))
        if part.classes:
            console.print_table(out, _classes(part))
        if part.several_labels is not None:
            console.print_table(out, _label_counts(part.several_labels, part.kept_rows))
            if part.several_labels.pairs:
                console.print_table(out, _label_pairs(part.several_labels))
        console.print_table(out, _lengths(part))
        console.print_table(out, _histogram(part.tokens or part.words, "tokens" if part.tokens else "words"))
        for title, repetitions in (
            ("Near duplicates", part.duplicates.near_examples),
            ("Near duplicates with conflicting labels", part.duplicates.near_conflict_examples),
        ):
            if repetitions:
                console.print_table(out, _repetitions(title, repetitions, part.files))
        if suspects is not None:
            console.print_table(out, _suspects(suspects[part.part], part.files))
    for leak in inspection.leaks:
        console.print_table(out, _leak(leak))
    if not inspection.findings:
        out.print("nothing needs a decision")
        return
    console.print_table(
        out,
        console.table(
            "Findings",
            ["", "split", "finding"],
            [["decide" if f.severity == "decide" else "note", f.part, f.message] for f in inspection.findings],
            text_columns=3,
        ),
    )


def _histogram(stats: LengthStats, unit: str) -> Table:
    most = max(stats.histogram)
    rows = []
    for number, count in enumerate(stats.histogram):
        lower = number * stats.bin_width
        last = number == len(stats.histogram) - 1
        name = f"{lower} and more" if last else f"{lower} to {lower + stats.bin_width - 1}"
        rows.append([name, "█" * -(-_BAR_WIDTH * count // most), count])
    return console.table(f"Texts by {unit}", [unit, "", "texts"], rows, text_columns=2)


def _repetitions(title: str, repetitions: tuple[Repetition, ...], files: tuple[FileRows, ...]) -> Table:
    rows = [
        [row, _line(row, line, files), label, _short(text)]
        for each in repetitions
        for row, line, label, text in zip(
            each.rows, each.lines or [None] * len(each.rows), each.labels, each.texts, strict=True
        )
    ]
    return console.table(title, ["row", "line", "label", "text"], rows, text_columns=4)


def _line(row: int, line: int | None, files: tuple[FileRows, ...]) -> object:
    return place_in(files, row, line) if files else line or ""


def _leak(leak: Leak) -> Table:
    rows = [[_short(mine), _short(theirs)] for mine, theirs in leak.examples]
    return console.table(
        f"{counted(leak.rows + leak.near, 'text')} of {leak.part} also in {leak.other}, {leak.near} of them nearly the"
        " same",
        [leak.part, leak.other],
        rows,
        text_columns=2,
    )


def _suspects(suspects: list[Suspect], files: tuple[FileRows, ...]) -> Table:
    return console.table(
        f"{counted(len(suspects), 'label is', 'labels are')} probably wrong, the most suspicious first (all with"
        " --json)",
        ["row", "line", "label", "suggestion", "text"],
        [
            [each.row, _line(each.row, each.line, files), each.label, each.suggestion, _short(each.text)]
            for each in suspects[:_SHOWN_SUSPECTS]
        ],
        text_columns=5,
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"


def _columns(part: PartInspection) -> Table:
    removed = [[f"removed: {reason.replace('_', ' ')}", count] for reason, count in part.removed.items() if count]
    return console.table(
        part.name if part.part in ("all", part.name) else f"{part.part}: {part.name}",
        ["", ""],
        [
            ["text column", part.text_column],
            ["label column", part.label_column or "none"],
            *([["other columns", part.other_columns]] if part.other_columns else ()),
            *([["read as", part.read_as]] if part.layout else ()),
            ["rows", part.rows],
            *removed,
            ["rows kept", part.kept_rows],
            ["texts with conflicting labels", part.conflicts],
            ["equal up to case, whitespace and Unicode form", part.duplicates.folded],
            ["nearly equal to another", part.duplicates.near],
            *([trait.name.replace("_", " "), trait.rows] for trait in part.traits),
            *([["imbalance ratio", f"{part.imbalance_ratio:.1f}"]] if part.imbalance_ratio is not None else ()),
        ],
    )


def _classes(part: PartInspection) -> Table:
    largest = max(entry.share for entry in part.classes)
    return console.table(
        "Classes",
        ["class", "", "rows", "share"],
        [
            [entry.name, "█" * max(1, round(_BAR_WIDTH * entry.share / largest)), entry.count, f"{entry.share:.1%}"]
            for entry in part.classes
        ],
        text_columns=2,
    )


def _label_counts(several: SeveralLabels, kept: int) -> Table:
    most = max(several.rows)
    rows = [
        [number, "█" * -(-_BAR_WIDTH * count // most), count, f"{count / kept:.1%}"]
        for number, count in enumerate(several.rows)
    ]
    return console.table(
        f"Labels a text ({several.mean:.2f} on average)", ["labels", "", "rows", "share"], rows, text_columns=2
    )


def _label_pairs(several: SeveralLabels) -> Table:
    rows = [[pair.first, pair.second, pair.rows, f"{pair.lift:.1f}"] for pair in several.pairs]
    title = f"Labels together ({len(rows)} of {several.different_pairs:,} pairs)"
    return console.table(title, ["label", "label", "rows", "times chance"], rows, text_columns=2)


def _lengths(part: PartInspection) -> Table:
    units = {"characters": part.characters, "words": part.words, "tokens": part.tokens}
    columns = ["length in", "min", "mean", "median", "95 %", "99 %", "max"]
    rows = [
        [unit, stats.min, f"{stats.mean:.1f}", stats.p50, stats.p95, stats.p99, stats.max]
        for unit, stats in units.items()
        if stats is not None
    ]
    title = "Lengths"
    if part.tokens is not None:
        title = f"Lengths ({part.tokens.share_over_limit:.1%} over {part.tokens.limit} tokens)"
    return console.table(title, columns, rows)
