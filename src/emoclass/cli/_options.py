"""Options shared by several commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emoclass.data.options import DataOptions

DATA_HELP = "A .csv, .tsv, .jsonl or .parquet file (also .gz), '-' for CSV on stdin, or a directory with a train file."
_TABLE_HELP = "A .csv, .tsv, .jsonl or .parquet file (also .gz), or '-' for CSV on stdin."

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Table = Annotated[str, typer.Argument(metavar="DATA", help=_TABLE_HELP)]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Column with the texts; repeat it to join several.", show_default="detected"),
]
TextSeparator = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What stands between joined text columns.", show_default="a space"),
]
LabelColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column with the labels.", show_default="detected")
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="csv, tsv, jsonl or parquet; overrides the file extension."),
]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Encoding of text files, such as cp1252.", show_default="UTF-8")
]
Delimiter = Annotated[str | None, typer.Option(metavar="CHAR", help="Field separator of CSV.", show_default="detected")]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME|DIR", help="Trained model.", show_default="the newest"),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="Device: auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[
    str,
    typer.Option(
        metavar="PRECISION",
        help="Precision of the encoder layers: auto (the fastest native one), fp32, bf16 or fp16.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Random seed.")]
Ratios = Annotated[str, typer.Option(metavar="A/B/C", help="Ratios of the training, validation and test set.")]


def data_options(
    text_column: list[str] | None,
    text_separator: str | None,
    label_column: str | None,
    format_: str | None,
    encoding: str | None,
    delimiter: str | None,
) -> DataOptions:
    """Collect the options above that say how to read tables."""
    from emoclass.data.options import DataOptions

    return DataOptions(
        text_column=text_column or None,
        text_separator=None if text_separator is None else text_separator.replace(r"\n", "\n").replace(r"\t", "\t"),
        label_column=label_column,
        format=format_,
        encoding=encoding,
        delimiter=delimiter,
    )
