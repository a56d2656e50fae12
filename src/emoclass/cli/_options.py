"""Options shared by several commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from emoclass.cli._shared import Options, with_options
from emoclass.config import TASKS, Task
from emoclass.data.tables.formats import LINES, QUOTINGS, READ_FORMATS
from emoclass.errors import ConfigError

# A longer list of values would leave no room for the help beside it.
_METAVAR_CHARACTERS = 17


def one_of(values: Iterable[str], *, metavar: str = "") -> dict[str, Any]:
    """Return what an option with fixed values shows in the help, and lets the shell complete."""
    shown = tuple(values)
    joined = "|".join(shown)
    return {
        "metavar": joined if len(joined) <= _METAVAR_CHARACTERS else metavar,
        "autocompletion": lambda incomplete: [value for value in shown if value.startswith(incomplete)],
    }


def complete_models(incomplete: str) -> list[str]:
    """Return the names of trained models that begin with what was typed."""
    from emoclass.runtime import models_dir
    from emoclass.store.starter import NAME

    trained = models_dir().iterdir() if models_dir().is_dir() else ()
    names = [NAME, *(path.name for path in trained)]
    return sorted(name for name in names if name.startswith(incomplete) and not name.startswith("."))


DATA_HELP = "A .csv, .tsv, .jsonl or .parquet file (also .gz), '-' for CSV on stdin, or a directory with a train file."
_TABLE_HELP = "A .csv, .tsv, .jsonl or .parquet file (also .gz), or '-' for CSV on stdin."

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Table = Annotated[str, typer.Argument(metavar="DATA", help=_TABLE_HELP)]
_TextColumn = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Column with the texts; repeat it to join several.", show_default="detected"),
]
_TextSeparator = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Separator of joined text columns.", show_default="a space"),
]
_LabelColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Column with the labels; repeat it, or give a pattern such as 'is_*', for a column of 0 and 1 each.",
        show_default="detected",
    ),
]
_LabelSeparator = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Separator of several labels in a cell.", show_default="detected"),
]
_Task = Annotated[
    str | None,
    typer.Option(
        **one_of(TASKS), help="One label for each text (single), or any number (multi).", show_default="detected"
    ),
]
_FORMAT_HELP = "csv, tsv, jsonl, parquet, fasttext or xlsx; overrides name and content."
_Format = Annotated[
    str | None,
    typer.Option("--format", help=_FORMAT_HELP, show_default="detected", **one_of(READ_FORMATS, metavar="FORMAT")),
]
_InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        "--format",
        **one_of((LINES, *READ_FORMATS), metavar="FORMAT"),
        help=_FORMAT_HELP.replace("csv,", "text (one per line), csv,"),
        show_default="detected",
    ),
]
_Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Encoding of text files, such as cp1252.", show_default="UTF-8")
]
_Delimiter = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Field separator of CSV.", show_default="detected")
]
_Quoting = Annotated[
    str | None,
    typer.Option(
        **one_of(QUOTINGS, metavar="STYLE"),
        help='Quotes of CSV and TSV: double (""), backslash (\\"), single (\'), or none.',
        show_default="detected",
    ),
]
_Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the first line is a header.", show_default="detected"),
]
_OnError = Annotated[
    str,
    typer.Option("--on-error", **one_of(("stop", "skip")), help="Stop at rows that cannot be read, or leave them out."),
]

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|DIR|USER/REPO",
        help="Trained model, also one on the hub (USER/REPO, USER/REPO@REVISION).",
        show_default="the newest",
        autocompletion=complete_models,
    ),
]
Threshold = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="[LABEL=]P",
        help="Probability from which on labels, or one LABEL, are predicted; may be repeated.",
        show_default="that of the model",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="Device: auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        **one_of(("auto", "fp32", "bf16", "fp16"), metavar="PRECISION"),
        help="Precision of the encoder layers: auto (the fastest native one), fp32, bf16 or fp16.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Details = Annotated[bool, typer.Option("--details", help="Print all tables, not only what fits a screen.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run has written there.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Random seed.")]
Ratios = Annotated[str, typer.Option(metavar="A/B/C", help="Ratios of the training, validation and test set.")]

MinClassRows = Annotated[
    int, typer.Option("--min-class-rows", metavar="N", help="Leave out classes with fewer rows.", show_default="none")
]

_READING: Options = {
    "text_column": (_TextColumn, None),
    "text_separator": (_TextSeparator, None),
    "label_column": (_LabelColumn, None),
    "label_separator": (_LabelSeparator, None),
    "task": (_Task, None),
    "format_": (_Format, None),
    "encoding": (_Encoding, None),
    "delimiter": (_Delimiter, None),
    "quoting": (_Quoting, None),
    "header": (_Header, None),
    "on_error": (_OnError, "stop"),
}


def reads_tables(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading tables in place of its parameter ``reading``, a ``DataOptions``."""
    return _reading(command, _READING)


def reads_inputs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading tables without labels or plain text; see ``reads_tables``."""
    own = {name: option for name, option in _READING.items() if name not in ("label_column", "label_separator", "task")}
    return _reading(command, {**own, "format_": (_InputFormat, None)})


def _reading(command: Callable[..., None], options: Options) -> Callable[..., None]:
    def run(**values: Any) -> None:
        given = {name: values.pop(name, default) for name, (_, default) in options.items()}
        command(**values, reading=_data_options(**given))

    return with_options(command, options, run, place="reading")


def _data_options(
    *,
    text_column: list[str] | None,
    text_separator: str | None,
    format_: str | None,
    on_error: str,
    label_column: list[str] | None = None,
    label_separator: str | None = None,
    task: Task | None = None,
    **others: Any,
) -> Any:
    from emoclass.data.options import DataOptions

    if on_error not in ("stop", "skip"):
        raise ConfigError(f"--on-error {on_error} is not known; use stop or skip")
    if label_separator == "":
        raise ConfigError("--label-separator is empty: pass what stands between the labels of a cell")
    return DataOptions(
        text_column=text_column or None,
        text_separator=_unescaped(text_separator),
        label_column=label_column or None,
        label_separator=_unescaped(label_separator),
        task=task,
        format=format_,
        skip_errors=on_error == "skip",
        **others,
    )


def _unescaped(text: str | None) -> str | None:
    return None if text is None else text.replace(r"\n", "\n").replace(r"\t", "\t")
