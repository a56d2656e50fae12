"""Run ``emoclass predict`` in this process or on Ray, and summarize the run."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from emoclass.cli import _console as console
from emoclass.cli._signals import cleanup_seconds, prompt_exit
from emoclass.data.columns.naming import counted
from emoclass.data.options import DataOptions
from emoclass.data.tables.formats import LINES, STDIN, format_of, written_format
from emoclass.errors import ConfigError, DataError
from emoclass.files import output_file
from emoclass.inference.fields import OutputOptions
from emoclass.inference.records import Layout, RecordInput, TextInput
from emoclass.inference.thresholds import Thresholds
from emoclass.inference.totals import Totals
from emoclass.outputs import is_same_file
from emoclass.store.checkpoints import find_model, model_notes

_SHOWN_ERRORS = 5
# Share of records up to which texts that the model cannot read are not worth a word.
_NEGLIGIBLE = 0.01


@dataclass(frozen=True)
class Inputs:
    """What to predict.

    Attributes:
        texts: The TEXT arguments.
        files: The values of ``--input``.
        options: How to read files and standard input.
    """

    texts: list[str]
    files: list[str]
    options: DataOptions

    def check(self) -> None:
        """Check that the options of reading have an effect.

        Raises:
            ConfigError: There are TEXT arguments and something else to read.
        """
        if self.texts and self.files:
            raise ConfigError("give TEXT arguments or --input, not both")
        names = {
            "--input-format": self.options.format,
            "--text-column": self.options.text_column,
            "--text-separator": self.options.text_separator,
            "--encoding": self.options.encoding,
            "--delimiter": self.options.delimiter,
            "--quoting": self.options.quoting,
            "--header" if self.options.header else "--no-header": self.options.header,
        }
        for name, value in names.items():
            if self.texts and value is not None:
                raise ConfigError(
                    f"{name} says how to read --input or standard input: leave it out with TEXT arguments"
                )


@dataclass(frozen=True)
class Output:
    """Where to write, and what.

    Attributes:
        path: The value of ``--output``.
        format: The value of ``--output-format``.
        options: What to write of a prediction; the format may still change.
    """

    path: str | None
    format: str | None
    options: OutputOptions

    @property
    def is_terminal(self) -> bool:
        """Whether the records are shown on a terminal."""
        return self.path is None and sys.stdout.isatty()

    def options_for(self, layout: Layout) -> OutputOptions:
        """Return what to write, in the explicit format, that of the path's suffix, or that of the input.

        Raises:
            ConfigError: Parquet would go to a terminal.
        """
        format = self.format or (self.path and format_of(self.path)[0]) or layout.format
        format = format if format == LINES else written_format(format)
        if format == "parquet" and self.is_terminal:
            raise ConfigError("parquet is not written to a terminal; use --output FILE")
        return replace(self.options, format=format)

    def replaces(self, inputs: Inputs) -> bool:
        """Return whether the output takes the place of the input.

        Raises:
            ConfigError: Something of the inputs would be lost.
        """
        if self.path is None:
            with suppress(OSError, ValueError):
                if any(is_same_file(sys.stdout.fileno(), name) for name in inputs.files):
                    raise ConfigError("standard output goes into the file that is read: use --output for that")
            return False
        if not any(is_same_file(self.path, name) for name in inputs.files):
            return False
        if len(inputs.files) > 1:
            raise ConfigError(f"--output {self.path} is also one of several inputs: name another file")
        if inputs.options.skip_errors:
            raise ConfigError(f"--on-error skip would remove rows from {self.path}: name another --output")
        return True

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the file, or standard output."""
        return nullcontext(sys.stdout.buffer) if self.path is None else output_file(self.path)


@dataclass(frozen=True)
class ModelOptions:
    """Which model to use, how to compute, and what thresholds to use: the values of the options of these names."""

    name: str | None
    device: str
    precision: str
    engine: str
    verify: bool
    thresholds: Thresholds


def predict_here(inputs: Inputs, output: Output, model: ModelOptions) -> None:
    """Predict in this process.

    Raises:
        EmoclassError: An input, the model or an option is wrong.
    """
    stored = find_model(model.name)
    for note in model_notes(model.name, stored):
        console.note(note)
    model.thresholds.of(stored.manifest.labels, stored.manifest.task)

    from emoclass.inference.fields import fields_of
    from emoclass.inference.predictor import load_model
    from emoclass.inference.streaming import predict_records

    skipped, is_replaced = _SkippedRecords(), output.replaces(inputs)
    inputs = replace(inputs, options=replace(inputs.options, trained=stored.manifest.columns))
    with prompt_exit(cleanup_seconds(output.path)), ExitStack() as stack:
        records = (
            TextInput(inputs.texts) if inputs.texts else stack.enter_context(_open_files(inputs, skipped, is_replaced))
        )
        options = output.options_for(records.layout)
        if is_replaced and options.format == LINES:
            raise ConfigError(f"--output {output.path} would replace the texts by their labels: name another file")
        if isinstance(records, RecordInput):
            records.require_same_columns(options.format)
        classifier = load_model(
            stored, device=model.device, precision=model.precision, engine=model.engine, verify=model.verify
        )
        classifier = classifier.at(model.thresholds)
        fields = fields_of(classifier, options, console.note)
        start = time.perf_counter()
        file = stack.enter_context(output.open())
        # A terminal that shows the records shows their progress.
        advance = stack.enter_context(console.record_progress(shown=not inputs.texts and not output.is_terminal))
        totals = predict_records(classifier, records, file, fields, on_note=console.note, on_records=advance)
    if not inputs.texts:
        console.note(_summary(totals, time.perf_counter() - start, fields.low_confidence, skipped.count))


def predict_on_ray(inputs: Inputs, output: Output, model: ModelOptions, workers: int | None) -> None:
    """Predict on Ray.

    Raises:
        EmoclassError: An input, the model or an option is wrong, or ray is not installed.
    """
    if inputs.options.skip_errors or output.options.escape_formulas:
        raise ConfigError("--on-error and --escape-formulas do not go with --engine ray")
    if inputs.texts or not inputs.files or STDIN in inputs.files:
        raise ConfigError("--engine ray reads files, not TEXT arguments or standard input: give --input")
    if output.path is None or output.format not in (None, "parquet"):
        raise ConfigError("--engine ray writes a directory of Parquet files: give --output DIRECTORY")
    from emoclass.inference.ray.engine import predict_tables

    start = time.perf_counter()
    totals = predict_tables(
        inputs.files,
        output.path,
        model=model.name,
        thresholds=model.thresholds,
        options=replace(output.options, format="parquet"),
        reading=inputs.options,
        workers=workers,
        device=model.device,
        precision=model.precision,
        show_progress=sys.stderr.isatty(),
        on_note=console.note,
    )
    console.note(_summary(totals, time.perf_counter() - start, output.options.low_confidence))


def _open_files(inputs: Inputs, skipped: _SkippedRecords, is_replaced: bool) -> RecordInput:
    files = inputs.files or [STDIN]
    if STDIN in files and sys.stdin is not None and sys.stdin.isatty():
        console.note("reading from the terminal; end with Ctrl-D")
    return RecordInput(
        files,
        inputs.options,
        on_error=skipped.add if inputs.options.skip_errors else _stop,
        on_note=console.note,
        is_replaced=is_replaced,
    )


def _stop(error: DataError) -> None:
    raise DataError(f"{error}; --on-error skip skips such records")


class _SkippedRecords:
    """Warns of the first records that cannot be read, and counts all.

    Attributes:
        count: Number of skipped records.
    """

    def __init__(self) -> None:
        self.count = 0

    def add(self, error: DataError) -> None:
        """Count a record that cannot be read."""
        self.count += 1
        if self.count <= _SHOWN_ERRORS:
            console.warn(f"{error}; skipped")
        elif self.count == _SHOWN_ERRORS + 1:
            console.warn("more records are skipped; the summary says how many")


def _summary(totals: Totals, seconds: float, low: float, skipped: int = 0) -> str:
    parts = [f"{counted(totals.records, 'record')} in {seconds:.1f} s"]
    if totals.records > 1:
        parts.append(f"{totals.records / seconds:,.0f}/s")
    counts = {
        "skipped": skipped,
        "empty": totals.empty,
        "truncated": totals.truncated,
        f"below confidence {low:g}": totals.unsure,
        "without a label": totals.unlabelled,
    }
    for what, count in (("with mostly unknown tokens", totals.unknown), ("with damaged encoding", totals.damaged)):
        if count > _NEGLIGIBLE * totals.records:
            counts[what] = count
    return ", ".join(parts + [f"{count:,} {what}" for what, count in counts.items() if count])
