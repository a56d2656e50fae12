"""``emoclass inspect-data``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from emoclass.cli import _options as options
from emoclass.data.columns.naming import counted
from emoclass.errors import ConfigError, DataError, ModelError
from emoclass.outputs import require_other, require_outputs

if TYPE_CHECKING:
    from emoclass.data.cleaning.cleaning import CleanData
    from emoclass.data.inspection.label_noise import Suspect
    from emoclass.data.options import DataOptions
    from emoclass.data.tables.table import Table
    from emoclass.encoders.tokenization import HeadTailTokenizer

# Both have the same vocabulary. The first may be installed, and then nothing asks the hub.
_DEFAULT_BASES = ("minilm", "bert-base-uncased")
_FIX_HELP = "Write the cleaned table to a new FILE, and all changes with their reasons to another one beside it."
_NOISE_HELP = "Rank rows whose label is probably wrong: those that a model trained on the other rows disagrees with."


@options.reads_tables
def inspect_data(
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help=options.DATA_HELP)],
    base_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Base model whose tokens to count, or none.",
            show_default="minilm, if available",
        ),
    ] = None,
    *,
    reading: DataOptions,
    json_: options.Json = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if something needs a decision, with one line for each on stderr.")
    ] = False,
    fix: Annotated[str | None, typer.Option("--fix", "-o", metavar="FILE", help=_FIX_HELP)] = None,
    overwrite: options.Overwrite = False,
    label_noise: Annotated[bool, typer.Option("--label-noise", help=_NOISE_HELP)] = False,
    report: Annotated[
        str | None, typer.Option(metavar="FILE.html", help="Write the inspection as an HTML page.")
    ] = None,
) -> None:
    """Show what is in DATA before training on it: columns, classes, lengths, and what needs a decision.

    Several files, or a split directory, are also compared with each other.
    """
    from dataclasses import asdict, replace

    from emoclass.cli import _console as console
    from emoclass.cli._inspection import print_inspection
    from emoclass.data.inspection.inspection import TOKEN_LIMIT, inspect

    require_other("--report", report, data)
    _check(fix=fix, overwrite=overwrite, report=report, label_noise=label_noise)
    with console.progress_bar(console.status()) as progress:
        rows_read = progress.add_task("rows read", total=None)
        tables, cleaned = _read(data, replace(reading, on_rows=lambda rows: progress.advance(rows_read, rows)))
        if fix is not None and len(cleaned) > 1:
            raise ConfigError("--fix takes one table: fix each split by itself, or the whole table before splitting it")
        tokenizer = _find_tokenizer(base_model)
        counting = progress.add_task("texts inspected", total=sum(map(len, cleaned.values())))
        inspection = inspect(
            cleaned,
            tables=tables,
            token_counter=None if tokenizer is None else tokenizer.count,
            token_limit=TOKEN_LIMIT if tokenizer is None else tokenizer.max_content_tokens,
            on_texts=lambda texts: progress.advance(counting, texts),
        )
    suspects, failure = _find_suspects(cleaned) if label_noise else (None, None)
    if json_:
        document = inspection.to_dict()
        if suspects is not None:
            document["label_noise"] = {name: [asdict(each) for each in found] for name, found in suspects.items()}
        console.print_json(document)
    else:
        print_inspection(inspection, suspects)
    if report is not None:
        from emoclass.pages.writing import write_inspection

        write_inspection(inspection, report, suspects=suspects)
    if fix is not None:
        ((name, table),) = tables.items()
        _fix(table, cleaned[name], fix, overwrite=overwrite)
    decisions = [finding for finding in inspection.findings if strict and finding.severity == "decide"]
    for finding in decisions:
        console.warn(f"{finding.part}: {finding.code}: {finding.message}")
    if failure is not None:
        raise failure
    if decisions:
        raise typer.Exit(1)


def _check(*, fix: str | None, overwrite: bool, report: str | None, label_noise: bool) -> None:
    """Reject before the work what would fail after it."""
    if fix is not None:
        from emoclass.data.cleaning.fixing import check_target

        check_target(fix, overwrite=overwrite)
    require_outputs(fix, report)
    if report is not None:
        from emoclass.pages import rendering

        rendering.require_packages()
    if label_noise:
        from emoclass.data.inspection import label_noise as noise

        noise.require_packages()


def _read(sources: list[str], reader: DataOptions) -> tuple[dict[str, Table], dict[str, CleanData]]:
    """Return tables and their kept rows by split, or by path where file names say no split or the same one."""
    from emoclass.cli import _console as console
    from emoclass.data.cleaning.cleaning import clean
    from emoclass.data.parts import choose_together
    from emoclass.data.tables.shards import split_of
    from emoclass.data.tables.split_directories import WHOLE

    reader.require(*sources)
    read = [
        (split_of(table.name) if split == WHOLE and len(sources) > 1 else split, table)
        for source in sources
        for split, table in reader.read_splits(source).items()
    ]
    named = Counter(split for split, _ in read)
    tables: dict[str, Table] = {}
    for split, table in read:
        name = split if split is not None and named[split] == 1 else table.name
        if name in tables:
            raise ConfigError(f"{name} is named twice: name it once")
        tables[name] = table
    chosen = choose_together(tables, reader, labels="optional")
    cleaned = {name: clean(table, chosen[name].columns) for name, table in tables.items()}
    for name, table in tables.items():
        for message in (*table.notes, *cleaned[name].notes):
            console.note(message)
    return tables, cleaned


def _fix(table: Table, data: CleanData, path: str, *, overwrite: bool) -> None:
    from emoclass.cli import _console as console
    from emoclass.data.cleaning.fixing import fix_table

    record, changes = fix_table(table, data, path, overwrite=overwrite)
    reasons = Counter(change.reason.replace("_", " ") for change in changes if change.action == "removed")
    kinds = f" ({', '.join(f'{rows} {reason}' for reason, rows in reasons.items())})" if reasons else ""
    removed = reasons.total()
    labels = sum(change.reason == "label" for change in changes)
    repaired = [counted(len(changes) - removed - labels, "text"), *([counted(labels, "label")] if labels else [])]
    console.note(
        f"{path}: {counted(removed, 'row')} removed{kinds}, {' and '.join(repaired)} repaired; {record} lists them"
    )


def _find_suspects(cleaned: dict[str, CleanData]) -> tuple[dict[str, list[Suspect]] | None, DataError | None]:
    """Return suspects by split, or the error, which must not keep back the rest of the output."""
    from emoclass.data.inspection.label_noise import find_suspects

    try:
        return {name: find_suspects(data) if data.columns.label else [] for name, data in cleaned.items()}, None
    except DataError as error:
        return None, error


def _find_tokenizer(base_model: str | None) -> HeadTailTokenizer | None:
    from emoclass.cli import _console as console

    if base_model == "none":
        return None
    from emoclass.encoders.base import resolve_tokenizer

    if base_model is not None:
        return resolve_tokenizer(base_model)
    for name in _DEFAULT_BASES:
        try:
            return resolve_tokenizer(name)
        except ModelError:
            continue
    console.note("tokens are not counted: no tokenizer is on this disk or can be downloaded; pass --base-model")
    return None
