"""``emoclass inspect-data``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from emoclass.cli import _options as options
from emoclass.errors import ConfigError, DataError, ModelError

if TYPE_CHECKING:
    from rich import table as rich_table

    from emoclass.data.cleaning.cleaning import CleanData
    from emoclass.data.inspection.label_noise import Suspect
    from emoclass.data.inspection.results import Inspection, Leak, LengthStats, PartInspection, Repetition
    from emoclass.data.options import DataOptions
    from emoclass.data.tables.table import Table
    from emoclass.encoders.tokenization import HeadTailTokenizer

# Both have the same vocabulary, and either may be the one that is on this disk.
_DEFAULT_BASES = ("bert-base-uncased", "minilm")
_BAR_WIDTH = 24
_SHOWN_SUSPECTS = 10
_SHOWN_TEXT = 120
_FIX_HELP = "Write the cleaned table to a new FILE, and what was changed, and why, to another beside it."
_NOISE_HELP = "Rank rows whose label is probably wrong, by what a model trained on the others says."


def inspect_data(
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help=options.DATA_HELP)],
    base_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Whose tokens to count, or none.", show_default="bert-base-uncased, if it can be had"
        ),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    format_: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    json_: options.Json = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if something needs a decision, with a line for each on stderr.")
    ] = False,
    fix: Annotated[str | None, typer.Option(metavar="FILE", help=_FIX_HELP)] = None,
    label_noise: Annotated[bool, typer.Option("--label-noise", help=_NOISE_HELP)] = False,
    report: Annotated[str | None, typer.Option(metavar="FILE.html", help="Write all that as one page of HTML.")] = None,
) -> None:
    """Show what is in DATA before anything is trained on it: columns, classes, lengths, and what needs a decision.

    Several files, or a split directory, are also compared with each other.
    """
    from dataclasses import asdict, replace

    from emoclass.cli import _console as console
    from emoclass.data.inspection.inspection import TOKEN_LIMIT, inspect

    _check(fix=fix, report=report, label_noise=label_noise)
    reader = options.data_options(text_column, label_column, format_, encoding, delimiter)
    with console.progress_bar(console.status()) as progress:
        reading = progress.add_task("rows read", total=None)
        tables, parts = _read(data, replace(reader, on_rows=lambda rows: progress.advance(reading, rows)))
        if fix is not None and len(parts) > 1:
            raise ConfigError("--fix is for one table; fix the parts one by one, or the whole before it is split")
        tokenizer = _find_tokenizer(base_model)
        counting = progress.add_task("texts compared and counted", total=sum(map(len, parts.values())))
        inspection = inspect(
            parts,
            token_counter=None if tokenizer is None else tokenizer.count,
            token_limit=TOKEN_LIMIT if tokenizer is None else tokenizer.max_content_tokens,
            on_texts=lambda texts: progress.advance(counting, texts),
        )
    suspects, failure = _find_suspects(parts) if label_noise else (None, None)
    if json_:
        document = inspection.to_dict()
        if suspects is not None:
            document["label_noise"] = {part: [asdict(each) for each in found] for part, found in suspects.items()}
        console.print_json(document)
    else:
        _print(inspection, suspects)
    if report is not None:
        from emoclass.pages.writing import write_inspection

        write_inspection(inspection, report, suspects=suspects)
    if fix is not None:
        ((name, table),) = tables.items()
        _fix(table, parts[name], fix)
    decisions = [finding for finding in inspection.findings if strict and finding.severity == "decide"]
    for finding in decisions:
        console.warn(f"{finding.part}: {finding.code}: {finding.message}")
    if failure is not None:
        raise failure
    if decisions:
        raise typer.Exit(1)


def _check(*, fix: str | None, report: str | None, label_noise: bool) -> None:
    """Refuse before the work what would be refused after it."""
    if fix is not None:
        from emoclass.data.cleaning.fixing import check_target

        check_target(fix)
    if report is not None:
        from emoclass.pages import rendering

        rendering.require_packages()
    if label_noise:
        from emoclass.data.inspection import label_noise as noise

        noise.require_packages()


def _read(sources: list[str], reader: DataOptions) -> tuple[dict[str, Table], dict[str, CleanData]]:
    """Tables and what is kept of them, by part; several files are parts if their names say so, each another."""
    from emoclass.cli import _console as console
    from emoclass.data.cleaning.cleaning import clean
    from emoclass.data.tables.split_directories import WHOLE, split_of

    read = [
        (split_of(table.name) if part == WHOLE and len(sources) > 1 else part, table)
        for source in sources
        for part, table in reader.read_splits(source).items()
    ]
    named = Counter(part for part, _ in read)
    tables: dict[str, Table] = {}
    parts: dict[str, CleanData] = {}
    for part, table in read:
        name = part if part is not None and named[part] == 1 else table.name
        if name in parts:
            raise ConfigError(f"{name} is named twice")
        tables[name], parts[name] = table, clean(table, reader.choose_columns(table))
        for message in (*table.notes, *parts[name].columns.notes):
            console.note(message)
    return tables, parts


def _fix(table: Table, data: CleanData, path: str) -> None:
    from emoclass.cli import _console as console
    from emoclass.data.cleaning.fixing import fix_table

    account, changes = fix_table(table, data, path)
    removed = sum(change.action == "removed" for change in changes)
    console.note(f"{path}: {removed} rows removed, {len(changes) - removed} texts repaired; {account} says which")


def _find_suspects(parts: dict[str, CleanData]) -> tuple[dict[str, list[Suspect]] | None, DataError | None]:
    """Suspects by part; or why there are none, which is no reason to keep back all else."""
    from emoclass.data.inspection.label_noise import find_suspects

    try:
        return {part: find_suspects(data) for part, data in parts.items()}, None
    except DataError as error:
        return None, error


def _find_tokenizer(base_model: str | None) -> HeadTailTokenizer | None:
    from emoclass.cli import _console as console
    from emoclass.encoders.base import resolve_tokenizer

    if base_model == "none":
        return None
    if base_model is not None:
        return resolve_tokenizer(base_model)
    for name in _DEFAULT_BASES:
        try:
            return resolve_tokenizer(name)
        except ModelError:
            continue
    console.note("tokens are not counted: no tokenizer is on this disk or in reach; name one with --base-model")
    return None


def _print(inspection: Inspection, suspects: dict[str, list[Suspect]] | None) -> None:
    from emoclass.cli import _console as console

    out = console.results()
    for part in inspection.parts:
        console.print_table(out, _columns(part))
        console.print_table(out, _classes(part))
        console.print_table(out, _lengths(part))
        console.print_table(out, _histogram(part.tokens or part.words, "tokens" if part.tokens else "words"))
        for title, repetitions in (
            ("Nearly equal texts", part.duplicates.near_examples),
            ("Nearly equal texts with several labels", part.duplicates.near_conflict_examples),
        ):
            if repetitions:
                console.print_table(out, _repetitions(title, repetitions))
        if suspects is not None:
            console.print_table(out, _suspects(suspects[part.part]))
    for leak in inspection.leaks:
        console.print_table(out, _leak(leak))
    if not inspection.findings:
        out.print("nothing needs a decision")
        return
    console.print_table(
        out,
        console.table(
            "Findings",
            ["", "part", "finding"],
            [["decide" if f.severity == "decide" else "note", f.part, f.message] for f in inspection.findings],
            text_columns=3,
        ),
    )


def _histogram(stats: LengthStats, unit: str) -> rich_table.Table:
    from emoclass.cli import _console as console

    most = max(stats.histogram)
    rows = []
    for number, count in enumerate(stats.histogram):
        lower = number * stats.bin_width
        last = number == len(stats.histogram) - 1
        name = f"{lower} and more" if last else f"{lower} to {lower + stats.bin_width - 1}"
        rows.append([name, "█" * -(-_BAR_WIDTH * count // most), count])
    return console.table(f"Texts by {unit}", [unit, "", "texts"], rows, text_columns=2)


def _repetitions(title: str, repetitions: tuple[Repetition, ...]) -> rich_table.Table:
    from emoclass.cli import _console as console

    rows = [
        [row, line, label, _short(text)]
        for each in repetitions
        for row, line, label, text in zip(
            each.rows, each.lines or [""] * len(each.rows), each.labels, each.texts, strict=True
        )
    ]
    return console.table(title, ["row", "line", "label", "text"], rows, text_columns=4)


def _leak(leak: Leak) -> rich_table.Table:
    from emoclass.cli import _console as console

    rows = [[_short(mine), _short(theirs)] for mine, theirs in leak.examples]
    return console.table(
        f"{leak.rows + leak.near} texts of {leak.part} also stand in {leak.other}, {leak.near} not quite the same",
        [leak.part, leak.other],
        rows,
        text_columns=2,
    )


def _suspects(suspects: list[Suspect]) -> rich_table.Table:
    from emoclass.cli import _console as console

    return console.table(
        f"{len(suspects)} labels are probably wrong, the most suspicious first (--json has all)",
        ["row", "line", "label", "rather", "text"],
        [
            [each.row, each.line or "", each.label, each.suggestion, _short(each.text)]
            for each in suspects[:_SHOWN_SUSPECTS]
        ],
        text_columns=5,
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"


def _columns(part: PartInspection) -> rich_table.Table:
    from emoclass.cli import _console as console

    removed = [[f"removed: {reason.replace('_', ' ')}", count] for reason, count in part.removed.items()]
    return console.table(
        part.name if part.part in ("all", part.name) else f"{part.part}: {part.name}",
        ["", ""],
        [
            ["text column", part.text_column],
            ["label column", part.label_column],
            ["rows", part.rows],
            *removed,
            ["rows kept", part.kept_rows],
            ["texts with several labels", part.conflicts],
            ["equal but for case, blanks or form", part.duplicates.folded],
            ["nearly equal to another", part.duplicates.near],
            *([trait.name.replace("_", " "), trait.rows] for trait in part.traits),
            ["imbalance ratio", f"{part.imbalance_ratio:.1f}"],
        ],
    )


def _classes(part: PartInspection) -> rich_table.Table:
    from emoclass.cli import _console as console

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


def _lengths(part: PartInspection) -> rich_table.Table:
    from emoclass.cli import _console as console

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
