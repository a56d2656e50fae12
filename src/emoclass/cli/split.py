"""``emoclass split``."""

from __future__ import annotations

from typing import Annotated

import typer

from emoclass._version import __version__
from emoclass.cli import _options as options
from emoclass.config import TrainConfig


def split(
    data: options.Data,
    output_dir: Annotated[
        str,
        typer.Option("--output-dir", "-o", metavar="DIR", help="New directory for train, val, test and split.json."),
    ],
    ratios: options.Ratios = "80/10/10",
    seed: options.Seed = TrainConfig.seed,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    format_: options.Format = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    json_: options.Json = False,
) -> None:
    """Clean DATA and split it into train, validation and test files, with the same shares of every class.

    Rows with the same text stay together, so that no text stands on two sides.
    """
    from emoclass.cli import _console as console
    from emoclass.data.split_writing import write_split
    from emoclass.data.splitting import parse_ratios

    reader = options.data_options(text_column, label_column, format_, encoding, delimiter)
    shares = parse_ratios(ratios)
    table = reader.read(data)
    cleaned = reader.clean(table)
    for message in (*table.notes, *cleaned.columns.notes):
        console.note(message)
    result = write_split(output_dir, table, cleaned, ratios=shares, seed=seed, version=__version__)
    console.tell_removed(result.removed, result.conflicts)
    if json_:
        console.print_json({"directory": str(result.directory), **result.to_dict()})
        return
    parts = list(result.counts)
    labels = list(result.counts["train"])
    rows = [[label, *(result.counts[part].get(label, 0) for part in parts)] for label in labels]
    rows.append(["all", *(result.rows[part] for part in parts)])
    console.print_table(console.results(), console.table(f"Rows in {result.directory}", ["class", *parts], rows))
