"""``emoclass predict``."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from emoclass.cli import _options as options
from emoclass.cli._signals import cleanup_seconds, prompt_exit
from emoclass.errors import ConfigError, DataError

if TYPE_CHECKING:
    from emoclass.data.options import DataOptions
    from emoclass.inference.output import Batch
    from emoclass.inference.records import RecordInput

_INPUT_HELP = "A .txt, .csv, .tsv, .jsonl or .parquet file (also .gz), or '-' for stdin; may be given several times."
_FORMAT_HELP = "text (a text a line), csv, tsv, jsonl or parquet, whatever the input's name says."
_OUTPUT_FORMAT_HELP = "text (label, TAB, confidence), csv, tsv, jsonl or parquet."
_OUTPUT_FORMAT_DEFAULT = "by the name of --output, else as the input"
# Confidences below this count as low in the summary, where --min-confidence says nothing else.
_LOW = 0.5
_SHOWN_ERRORS = 5


def predict(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts.", show_default="lines on stdin")
    ] = None,
    model: options.Model = None,
    input_: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="FILE", help=_INPUT_HELP)] = None,
    input_format: Annotated[
        str | None, typer.Option("--input-format", "--format", metavar="FORMAT", help=_FORMAT_HELP)
    ] = None,
    text_column: options.TextColumn = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Written aside and renamed when complete.", show_default="stdout"
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output-format", "-f", metavar="FORMAT", help=_OUTPUT_FORMAT_HELP, show_default=_OUTPUT_FORMAT_DEFAULT
        ),
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", metavar="K", help="Name the K most probable classes.")] = 1,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add the probability of every class.")] = False,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", metavar="P", help="Below this confidence the label is uncertain.")
    ] = 0.0,
    uncertain_label: Annotated[
        str, typer.Option("--uncertain-label", metavar="NAME", help="The label below --min-confidence.")
    ] = "uncertain",
    escape_formulas: Annotated[
        bool, typer.Option("--escape-formulas", help="In csv and tsv, put ' before what a spreadsheet would compute.")
    ] = False,
    on_error: Annotated[
        str, typer.Option("--on-error", metavar="stop|skip", help="What to do at a record that cannot be read.")
    ] = "stop",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: Annotated[
        str, typer.Option("--engine", metavar="local|ray", help="This process, or Ray on all cores or a cluster.")
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Of --engine ray.", show_default="one for each GPU or CPU core"),
    ] = None,
) -> None:
    """Predict the class of each TEXT, of each line on stdin, or of each record of a table, in order.

    There is one record out per record in. Tables keep all their fields and get a label and a confidence. An empty
    text gets an empty label.

    With --engine ray, --input may also be a directory, a pattern or a URI, and --output is a new directory of Parquet
    files, whose rows are in no order.
    """
    reading = options.data_options(text_column, None, input_format, encoding, delimiter)
    _check(texts, input_, reading, on_error, engine, workers)
    from emoclass.cli import _console as console
    from emoclass.data.tables.formats import LINES, STDIN, format_of
    from emoclass.inference.output import OutputOptions, PredictionWriter
    from emoclass.inference.records import RecordInput, items_of_texts
    from emoclass.store.checkpoints import Verification, find_model

    chosen = OutputOptions(
        format=output_format or LINES,
        top_k=top_k,
        probabilities=probabilities,
        min_confidence=min_confidence,
        uncertain_label=uncertain_label,
        escape_formulas=escape_formulas,
    )
    tally = _Tally(min_confidence or _LOW)
    if engine == "ray":
        if on_error != "stop" or escape_formulas:
            raise ConfigError("--on-error and --escape-formulas do not go with --engine ray")
        sources, target = _ray_files(texts, input_, output, output_format)
        settings = {"model": model, "workers": workers, "device": device, "precision": precision}
        _predict_with_ray(
            sources, target, tally, options=replace(chosen, format="parquet"), reading=reading, **settings
        )
        return
    verification = Verification(find_model(model))  # beside the import of torch

    from emoclass.inference.predictor import load_verified
    from emoclass.inference.streaming import predict_items
    from emoclass.inference.threads import Behind

    with prompt_exit(cleanup_seconds(output)), ExitStack() as stack:
        records: RecordInput | None = None
        if not texts:
            sources = input_ or [STDIN]
            if STDIN in sources and sys.stdin is not None and sys.stdin.isatty():
                console.note("reading from the terminal; end with Ctrl-D")
            take_error = tally.skip if on_error == "skip" else _stop
            records = stack.enter_context(RecordInput(sources, reading, on_error=take_error, on_note=console.note))
        inherited = records.first.format if records else LINES
        chosen = replace(chosen, format=output_format or (output and format_of(output)[0]) or inherited)
        if records is not None:
            records.require_same_columns(chosen.format)
        if chosen.format == "parquet" and output is None and sys.stdout.isatty():
            raise ConfigError("parquet is not written to a terminal; use --output FILE")
        classifier = load_verified(verification, device=device, precision=precision)
        tally.start = time.perf_counter()
        writer = stack.enter_context(
            PredictionWriter(
                stack.enter_context(_destination(output)),
                chosen,
                classifier.labels,
                records.first.columns if records else ("text",),
                delimiter=records.first.delimiter if records and inherited == chosen.format else None,
                schema=records.first.schema if records else None,
                on_note=console.note,
            )
        )
        # A terminal that shows the records themselves shows their progress.
        is_shown = records is not None and not (output is None and sys.stdout.isatty())
        advance = stack.enter_context(console.record_progress(shown=is_shown))

        def write(batch: Batch) -> None:
            writer.write(batch)
            advance(len(batch))

        ranks = chosen.ranks(len(classifier.labels))

        with Behind(write) as behind:
            for batch in predict_items(classifier, records or items_of_texts(texts or ()), top_k=ranks):
                tally.count(batch)
                behind.put(batch)
    if not texts:
        console.note(tally.summary())


def _check(
    texts: list[str] | None,
    input_: list[str] | None,
    reading: DataOptions,
    on_error: str,
    engine: str,
    workers: int | None,
) -> None:
    if texts and input_:
        raise ConfigError("give TEXT arguments or --input, not both")
    reading_options = {
        "--input-format": reading.format,
        "--text-column": reading.text_column,
        "--encoding": reading.encoding,
        "--delimiter": reading.delimiter,
    }
    for name, value in reading_options.items():
        if texts and value is not None:
            raise ConfigError(f"{name} says how to read --input or standard input: leave it out with TEXT arguments")
    if on_error not in ("stop", "skip"):
        raise ConfigError(f"--on-error {on_error} is not known; use stop or skip")
    if engine not in ("local", "ray"):
        raise ConfigError(f"--engine {engine} is not known; use local or ray")
    if workers is not None and engine == "local":
        raise ConfigError("--workers needs --engine ray")


def _ray_files(
    texts: list[str] | None, sources: list[str] | None, output: str | None, output_format: str | None
) -> tuple[list[str], str]:
    from emoclass.data.tables.formats import STDIN

    if texts or not sources or STDIN in sources:
        raise ConfigError("--engine ray reads files, not TEXT arguments or standard input: give --input")
    if output is None or output_format not in (None, "parquet"):
        raise ConfigError("--engine ray writes a directory of Parquet files: give --output DIRECTORY")
    return sources, output


def _predict_with_ray(sources: list[str], output: str, tally: _Tally, **settings: Any) -> None:
    from emoclass.cli import _console as console
    from emoclass.inference.ray.engine import predict_tables

    totals = predict_tables(
        sources, output, low=tally.low, show_progress=sys.stderr.isatty(), on_note=console.note, **settings
    )
    for name, count in asdict(totals).items():
        setattr(tally, name, count)
    console.note(tally.summary())


def _stop(error: DataError) -> None:
    raise DataError(f"{error}; --on-error skip leaves such records out")


def _destination(output: str | None) -> AbstractContextManager[BinaryIO]:
    from emoclass.files import output_file

    return nullcontext(sys.stdout.buffer) if output is None else output_file(output)


@dataclass
class _Tally:
    """What the summary says."""

    low: float
    start: float = field(default_factory=time.perf_counter)
    records: int = 0
    empty: int = 0
    truncated: int = 0
    unsure: int = 0
    skipped: int = 0

    def skip(self, error: DataError) -> None:
        """Skip a record that cannot be read."""
        from emoclass.cli import _console as console

        self.skipped += 1
        if self.skipped <= _SHOWN_ERRORS:
            console.warn(f"{error}; left out")
        elif self.skipped == _SHOWN_ERRORS + 1:
            console.warn("more records are left out; the summary says how many")

    def count(self, batch: Batch) -> None:
        """Count classified records."""
        self.records += len(batch)
        for _, prediction in batch:
            if not prediction.label:
                self.empty += 1
            elif prediction.confidence < self.low:
                self.unsure += 1
            self.truncated += prediction.truncated

    def summary(self) -> str:
        """One line."""
        seconds = time.perf_counter() - self.start
        parts = [f"{self.records:,} {'record' if self.records == 1 else 'records'} in {seconds:.1f} s"]
        if self.records > 1:
            parts.append(f"{self.records / seconds:,.0f}/s")
        counts = {
            "left out": self.skipped,
            "empty": self.empty,
            "truncated": self.truncated,
            f"below confidence {self.low:g}": self.unsure,
        }
        return ", ".join(parts + [f"{count:,} {what}" for what, count in counts.items() if count])
