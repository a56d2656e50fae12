"""``emoclass inspect-data``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emoclass.cli import _options as options
from emoclass.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from rich.table import Table

    from emoclass.data.cleaning import CleanData
    from emoclass.data.inspection import Inspection, PartInspection
    from emoclass.model.tokenization import HeadTailTokenizer

# Both have the same vocabulary, and either may be the one that is on this disk.
_DEFAULT_BASES = ("bert-base-uncased", "minilm")
_BAR_WIDTH = 24


def inspect_data(
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help=options.DATA_HELP)],
    base_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Whose tokens to count.", show_default="bert-base-uncased, if it can be had"
        ),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    format_: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    json_: options.Json = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if something needs a decision.")] = False,
) -> None:
    """Show what is in DATA before anything is trained on it: columns, classes, lengths, and what needs a decision.

    Several files, or a split directory, are also compared with each other.
    """
    from emoclass.cli import _console as console
    from emoclass.data.inspection import inspect

    reader = options.data_options(text_column, label_column, format_, encoding, delimiter)
    parts: dict[str, CleanData] = {}
    for source in data:
        for part, table in reader.read_parts(source, ("train", "val", "test")).items():
            name = part if len(data) == 1 else table.name
            if name in parts:
                raise ConfigError(f"{name} is named twice")
            parts[name] = reader.clean(table)
            for message in (*table.notes, *parts[name].columns.notes):
                console.note(message)
    tokenizer = _find_tokenizer(base_model)
    if tokenizer is None:
        inspection = inspect(parts)
    else:
        inspection = inspect(parts, token_counter=tokenizer.count, token_limit=tokenizer.max_content_tokens)
    if json_:
        console.print_json(inspection.to_dict())
    else:
        _print(inspection)
    if strict and inspection.needs_decision:
        raise typer.Exit(1)


def _find_tokenizer(base_model: str | None) -> HeadTailTokenizer | None:
    from emoclass.cli import _console as console
    from emoclass.model.base import resolve_tokenizer

    if base_model is not None:
        return resolve_tokenizer(base_model)
    for name in _DEFAULT_BASES:
        try:
            return resolve_tokenizer(name)
        except ModelError:
            continue
    console.note("tokens are not counted: no tokenizer is on this disk or in reach; name one with --base-model")
    return None


def _print(inspection: Inspection) -> None:
    from emoclass.cli import _console as console

    out = console.results()
    for part in inspection.parts:
        console.print_table(out, _columns(part))
        console.print_table(out, _classes(part))
        console.print_table(out, _lengths(part))
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


def _columns(part: PartInspection) -> Table:
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
            ["imbalance ratio", f"{part.imbalance_ratio:.1f}"],
        ],
    )


def _classes(part: PartInspection) -> Table:
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


def _lengths(part: PartInspection) -> Table:
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
