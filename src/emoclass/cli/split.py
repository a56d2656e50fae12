"""``emoclass split``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emoclass._version import __version__
from emoclass.cli import _options as options
from emoclass.config import TrainConfig
from emoclass.data.columns.naming import counted
from emoclass.data.tables.formats import FORMATS
from emoclass.errors import ConfigError

if TYPE_CHECKING:
    from rich import table as rich_table

    from emoclass.data.options import DataOptions

_GROUP_HELP = "Keep rows with the same value in this column together, such as users or threads."
_FORMAT_HELP = "csv, tsv, jsonl or parquet."


@options.reads_tables
def split(
    data: options.Table,
    output_dir: Annotated[
        str,
        typer.Option("--output-dir", "-o", metavar="DIR", help="New directory for train, val, test and split.json."),
    ],
    ratios: options.Ratios = "80/10/10",
    seed: options.Seed = TrainConfig.seed,
    group_column: Annotated[str | None, typer.Option(metavar="NAME", help=_GROUP_HELP)] = None,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Keep repeated rows and split them like any others.")
    ] = False,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output-format",
            help=_FORMAT_HELP,
            show_default="that of DATA",
            **options.one_of(FORMATS, metavar="FORMAT"),
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    *,
    reading: DataOptions,
    min_class_rows: options.MinClassRows = 0,
    json_: options.Json = False,
) -> None:
    """Clean DATA and split it into train, validation and test files with the same share of every class.

    Rows whose texts are the same or nearly so stay together, so that no text is in two splits.
    """
    from dataclasses import replace

    from emoclass.cli import _console as console
    from emoclass.data.cleaning.cleaning import clean
    from emoclass.data.cleaning.label_checks import require_classes
    from emoclass.data.cleaning.small_classes import SmallClasses
    from emoclass.data.inspection.findings import find_before_use
    from emoclass.data.split.splitting import parse_ratios
    from emoclass.data.split.writing import SplitOptions, free_target, write_split
    from emoclass.data.tables.split_directories import WHOLE

    if output_format is not None and output_format not in FORMATS:
        raise ConfigError(f"--output-format {output_format} is unknown: use {', '.join(FORMATS)}")
    settings = SplitOptions(
        ratios=parse_ratios(ratios),
        seed=seed,
        group_column=group_column,
        keep_duplicates=keep_duplicates,
        format=output_format,
        overwrite=overwrite,
    )
    free_target(output_dir, overwrite=overwrite)
    with console.progress_bar(console.status()) as progress:
        task = progress.add_task("rows read", total=None)
        table = replace(reading, on_rows=lambda rows: progress.advance(task, rows)).read(data)
    parts = SmallClasses(fewest=min_class_rows).clean_parts(
        {WHOLE: reading.choose_columns(table)}, lambda _, own: clean(table, own, keep_duplicates=keep_duplicates)
    )
    cleaned = parts[WHOLE]
    for message in (*table.notes, *cleaned.notes, *require_classes(cleaned, reading.words())):
        console.note(message)
    for finding in find_before_use(cleaned):
        console.note(f"{finding.part}: {finding.message}")
    with console.status().status(f"finding duplicates, splitting and writing {counted(len(cleaned), 'row')}"):
        record = write_split(output_dir, table, cleaned, settings, version=__version__)
    console.tell_removed(record["removed"], record["conflicts"])
    if groups := record["grouping"]["groups"]:
        rows = counted(record["grouping"]["rows_in_groups"], "row is", "rows are")
        console.note(f"{rows} in {counted(groups, 'group')}")
    worst = record["largest_deviation"]
    points = f"{100 * worst['deviation']:.2f} points"
    console.note(f"largest deviation from the ratios: {points} of {worst['class']} in {worst['part']}")
    if json_:
        console.print_json({"directory": str(Path(output_dir)), **record})
    else:
        console.print_table(console.results(), _counts(output_dir, record["parts"]))


def _counts(directory: str, splits: dict[str, dict[str, Any]]) -> rich_table.Table:
    """Return the rows of each class in each split."""
    from emoclass.cli import _console as console

    rows = [
        [label, *(split["classes"].get(label, 0) for split in splits.values())] for label in splits["train"]["classes"]
    ]
    rows.append(["all", *(split["rows"] for split in splits.values())])
    return console.table(f"Rows in {Path(directory)}", ["class", *splits], rows)
