"""``emoclass predict``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emoclass.cli import _options as options
from emoclass.data.tables.formats import FORMATS, LINES, STDIN, check_output_name
from emoclass.errors import ConfigError
from emoclass.runtime import ENGINES

if TYPE_CHECKING:
    from emoclass.data.options import DataOptions

_INPUT_HELP = "A .txt, .csv, .tsv, .jsonl or .parquet file (also .gz), or '-' for stdin; repeat it for more inputs."
_OUTPUT_FORMAT_HELP = "text (label, TAB, confidence), csv, tsv, jsonl or parquet."
_OUTPUT_FORMAT_DEFAULT = "by the extension of --output, else as the input"


@options.reads_inputs
def predict(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts to classify.", show_default="lines on stdin")
    ] = None,
    model: options.Model = None,
    input_: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="FILE", help=_INPUT_HELP)] = None,
    *,
    reading: DataOptions,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Output file; appears when complete.", show_default="stdout"
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output-format",
            "-f",
            help=_OUTPUT_FORMAT_HELP,
            show_default=_OUTPUT_FORMAT_DEFAULT,
            **options.one_of((LINES, *FORMATS), metavar="FORMAT"),
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Write jsonl.")] = False,
    top_k: Annotated[int, typer.Option("--top-k", "-k", metavar="K", help="Write the K most probable classes.")] = 1,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probability of every class.")
    ] = False,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", metavar="P", help="Confidence below which the label is uncertain.")
    ] = 0.0,
    uncertain_label: Annotated[
        str | None,
        typer.Option(
            "--uncertain-label", metavar="NAME", help="Label of uncertain predictions.", show_default="uncertain"
        ),
    ] = None,
    threshold: options.Threshold = None,
    escape_formulas: Annotated[
        bool,
        typer.Option("--escape-formulas", help="Prefix ' to fields of csv and tsv that a spreadsheet would compute."),
    ] = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            **options.one_of((*ENGINES, "ray"), metavar="ENGINE"),
            help="numpy starts at once, torch is faster for many texts, auto (both), or ray: all cores, or a cluster.",
        ),
    ] = "auto",
    verify: Annotated[bool, typer.Option("--verify", help="Read and check all files of the model.")] = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Workers of --engine ray.", show_default="one per GPU or CPU core"),
    ] = None,
) -> None:
    """Predict the class of each TEXT, of each line on stdin, or of each record of a table.

    The output has one record per input record, in the same order. Tables keep all their fields and get a label and a
    confidence. An empty text gets an empty label.

    With --engine ray, --input may also be a directory, a pattern or a URI, and --output is a new directory of Parquet
    files with the rows in no particular order.
    """
    from emoclass.cli import _console as console
    from emoclass.cli._prediction import Inputs, ModelOptions, Output, predict_here, predict_on_ray
    from emoclass.inference.fields import OutputOptions
    from emoclass.inference.thresholds import Thresholds

    if engine == "local":
        console.note("--engine local is now called auto; the old name works until the next release")
        engine = "auto"
    if engine not in (*ENGINES, "ray"):
        raise ConfigError(f"--engine {engine} is not known; use {', '.join(ENGINES)} or ray")
    if workers is not None and engine != "ray":
        raise ConfigError("--workers needs --engine ray")
    if uncertain_label is not None and not min_confidence:
        raise ConfigError("--uncertain-label needs --min-confidence above 0")
    if json_ and output_format not in (None, "jsonl"):
        raise ConfigError(f"--json and --output-format {output_format} contradict each other: leave out one")
    output_format = "jsonl" if json_ else output_format
    output = None if output == STDIN else output
    if output is not None:
        check_output_name("--output", output)
    inputs = Inputs(texts or [], input_ or [], reading)
    inputs.check()
    written = OutputOptions(
        format=output_format or "text",
        top_k=top_k,
        probabilities=probabilities,
        min_confidence=min_confidence,
        uncertain_label=uncertain_label,
        escape_formulas=escape_formulas,
    )
    target = Output(output, output_format, written)
    chosen_model = ModelOptions(model, device, precision, engine, verify, Thresholds.parse(threshold or ()))
    if engine == "ray":
        predict_on_ray(inputs, target, chosen_model, workers)
    else:
        predict_here(inputs, target, chosen_model)
