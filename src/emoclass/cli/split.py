"""``emoclass split``."""

from __future__ import annotations

from typing import Annotated

import typer

from emoclass._version import __version__
from emoclass.cli import _options as options
from emoclass.config import TrainConfig
from emoclass.errors import ConfigError

_FORMAT_HELP = "csv, tsv, jsonl or parquet."


def split(
    data: options.Table,
    output_dir: Annotated[
        str,
        typer.Option("--output-dir", "-o", metavar="DIR", help="New directory for train, val, test and split.json."),
    ],
    ratios: options.Ratios = "80/10/10",
    seed: options.Seed = TrainConfig.seed,
    group_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Rows with the same value here stay together: users, threads.")
    ] = None,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Keep rows that repeat others, and divide them like any others.")
    ] = False,
    output_format: Annotated[
        str | None,
        typer.Option("--output-format", metavar="FORMAT", help=_FORMAT_HELP, show_default="that of DATA"),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    format_: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    json_: options.Json = False,
) -> None:
    """Clean DATA and split it into train, validation and test files, with the same shares of every class.

    Rows whose texts are the same, or nearly so, stay together, so that no text stands on two sides.
    """
    from dataclasses import replace

    from emoclass.cli import _console as console
    from emoclass.data.cleaning.cleaning import clean
    from emoclass.data.split.splitting import parse_ratios
    from emoclass.data.split.writing import write_split
    from emoclass.data.tables.formats import FORMATS

    if output_format is not None and output_format not in FORMATS:
        raise ConfigError(f"--output-format {output_format} is not known; use {', '.join(FORMATS)}")
    reader = options.data_options(text_column, label_column, format_, encoding, delimiter)
    shares = parse_ratios(ratios)
    with console.progress_bar(console.status()) as progress:
        task = progress.add_task("rows read", total=None)
        table = replace(reader, on_rows=lambda rows: progress.advance(task, rows)).read(data)
    cleaned = clean(table, reader.choose_columns(table), keep_duplicates=keep_duplicates)
    for message in (*table.notes, *cleaned.columns.notes):
        console.note(message)
    with console.status().status(f"comparing, dividing and writing {len(cleaned):,} rows"):
        result = write_split(
            output_dir,
            table,
            cleaned,
            ratios=shares,
            seed=seed,
            version=__version__,
            group_column=group_column,
            keep_duplicates=keep_duplicates,
            format=output_format,
        )
    console.tell_removed(result.removed, result.conflicts)
    if groups := result.grouping["groups"]:
        named = "1 group" if groups == 1 else f"{groups} groups"
        console.note(f"{result.grouping['rows_in_groups']} rows stand in {named}")
    worst = result.largest_deviation
    points = f"{100 * worst['deviation']:.2f} points"
    console.note(f"largest deviation from the ratios: {points} of {worst['class']} in {worst['part']}")
    if json_:
        console.print_json({"directory": str(result.directory), **result.to_dict()})
        return
    parts = list(result.counts)
    labels = list(result.counts["train"])
    rows = [[label, *(result.counts[part].get(label, 0) for part in parts)] for label in labels]
    rows.append(["all", *(result.rows[part] for part in parts)])
    console.print_table(console.results(), console.table(f"Rows in {result.directory}", ["class", *parts], rows))
