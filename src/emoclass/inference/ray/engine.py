"""Bulk prediction on Ray Data: tables in, a directory of Parquet files out, on the cores or GPUs of a cluster."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from pyarrow.parquet import ParquetWriter

from emoclass.data.columns.cells import cell_text
from emoclass.data.columns.choosing import choose_columns
from emoclass.data.options import DataOptions
from emoclass.data.tables.writing import arrow_table
from emoclass.errors import ConfigError, DataError, DeviceError, EmoclassError, one_line
from emoclass.files import free_directory, new_directory
from emoclass.inference.output import AddedColumns, OutputOptions
from emoclass.inference.predictor import WINDOW, load
from emoclass.inference.ray.locations import TableFiles, find_tables, is_uri, locate
from emoclass.inference.ray.tables import read_tables, table_schema
from emoclass.runtime import available_memory, resolve_precision

try:
    import ray
    from ray.data import ActorPoolStrategy, DataContext, Dataset, TaskPoolStrategy
    from ray.data.datasource import Datasink, WriteResult
except ImportError:
    raise ConfigError('--engine ray needs another package: pip install "emoclass[ray]"') from None

# What workers share out among them, and what one that dies loses: seconds of its work.
_BLOCK_BYTES = {"cpu": 1 << 18, "cuda": 1 << 21}
# A worker has its next block at hand. With more, the first that is ready would take what others are to do.
_BLOCKS_AT_ONCE = 2
# Rows of an output file, at least, but for the last ones.
_FILE_ROWS = 65_536
_MOST_STORE_BYTES = 1 << 31
_SAMPLE_RECORDS = 100
# Reading and writing take little time. They must find a place beside workers that hold all cores.
_BESIDE = 0
_TRUNCATED = "emoclass: truncated"


@dataclass(frozen=True)
class Totals:
    """Counts of records, and of those that are empty, truncated, or below a confidence."""

    records: int = 0
    empty: int = 0
    truncated: int = 0
    unsure: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.records + other.records,
            self.empty + other.empty,
            self.truncated + other.truncated,
            self.unsure + other.unsure,
        )


def predict_tables(
    sources: Sequence[str],
    output: str,
    *,
    model: str | Path | None = None,
    options: OutputOptions | None = None,
    reading: DataOptions | None = None,
    workers: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    low: float = 0.5,
    show_progress: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> Totals:
    """Predicts tables and writes Parquet files, on the Ray cluster that RAY_ADDRESS names, or on this machine's cores.

    The rows are those that prediction in one process writes, in no particular order. What a lost worker or node was
    working on is computed again, without end if it keeps failing.

    Args:
        sources: See ``find_tables``; on a cluster all nodes have to reach them.
        output: A directory that does not exist or is empty, or the URI of one; local ones appear when complete.
        model: A trained model; the newest when not given. The nodes get it through Ray.
        options: What is written of a prediction; the format is parquet.
        reading: How to read the tables.
        workers: How many; when not given as many as there are GPUs, or else CPU cores.
        device: ``auto``, ``cpu`` or ``cuda``; each worker has a GPU, or a share of the cores.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        low: Confidences below this are counted as unsure.
        show_progress: Whether Ray shows what it does.
        on_note: Takes what was decided without being asked.

    Raises:
        ConfigError: ray is not installed, or there are fewer cores than workers.
        EmoclassError: Of some kind, with what to do about it.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {device} does not go with --engine ray; use auto, cpu or cuda")
    options, reading = options or OutputOptions(format="parquet"), reading or DataOptions()
    files = find_tables(sources, format=reading.format)
    schema = table_schema(files, reading, on_note)
    # Workers move it to where they compute.
    classifier = load(model, device="cpu", precision="fp32")
    with _cluster(), ExitStack() as stack:
        place = _place(workers, device, precision)
        filesystem, directory = stack.enter_context(_directory(output))
        stack.enter_context(_context(_BLOCK_BYTES[place.device], show_progress))
        rows = _read(files, schema, reading, place.workers)
        text = _text_column(rows, schema, files, reading, on_note)
        added = AddedColumns(options, classifier.labels, on_note)
        names = added.free_names(schema.names, added.types())
        types = [(name, pa.type_for_alias(type_)) for name, type_ in zip(names, added.types().values(), strict=True)]
        sink = _Parts(filesystem, directory, pa.schema([*schema, *types]), confidence=names[1], low=low)
        rows.map_batches(
            _Worker,
            fn_constructor_args=(
                ray.put(classifier),
                place,
                text,
                options,
                pa.schema([*types, (_TRUNCATED, pa.bool_())]),
            ),
            batch_size=WINDOW,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=place.workers, max_tasks_in_flight_per_actor=_BLOCKS_AT_ONCE),
            num_cpus=place.cores,
            num_gpus=1 if place.device == "cuda" else None,
        ).write_datasink(sink, ray_remote_args={"num_cpus": _BESIDE}, concurrency=place.workers)
        return sink.close()


@dataclass(frozen=True)
class _Place:
    """Where to compute: the number of workers, the cores of each, and their device and precision."""

    workers: int
    cores: int
    device: str
    precision: str


class _Worker:
    """Add predictions to batches; an actor, so that it loads the model once."""

    def __init__(self, classifier: Any, place: _Place, text: str, options: OutputOptions, added: pa.Schema) -> None:
        # Of the tokenizer; it reads this before its first batch.
        os.environ["RAYON_NUM_THREADS"] = str(place.cores)
        torch.set_num_threads(place.cores)
        device = torch.device(place.device)
        self._classifier = ray.get(classifier).to(device, resolve_precision(place.precision, device))
        self._columns = AddedColumns(options, self._classifier.labels)
        self._ranks = options.ranks(len(self._classifier.labels))
        self._text, self._added = text, added

    def __call__(self, table: pa.Table) -> pa.Table:
        try:
            texts = [cell_text(value) or "" for value in table[self._text].to_pylist()]
        except DataError as error:
            raise DataError(f"column {self._text!r}: {error}") from error
        predictions = self._classifier.predict(texts, top_k=self._ranks)
        added = arrow_table([[*self._columns.values(p), p.truncated] for p in predictions], self._added)
        return pa.Table.from_arrays([*table.columns, *added.columns], schema=pa.schema([*table.schema, *added.schema]))


class _Parts(Datasink[Totals]):  # type: ignore[misc]
    """Files of a directory. A task that is run again writes the same file again, and is counted once."""

    def __init__(self, filesystem: Any, directory: str, schema: pa.Schema, *, confidence: str, low: float) -> None:
        self._filesystem, self._directory, self._schema = filesystem, directory, schema
        self._confidence, self._low = confidence, low
        self._totals = Totals()

    @property
    def min_rows_per_write(self) -> int:
        """See ``Datasink``."""
        return _FILE_ROWS

    def write(self, blocks: Iterable[pa.Table], ctx: Any) -> Totals:
        """Write blocks as one file; see ``Datasink``."""
        totals = Totals()
        with self._file(ctx.task_idx) as file:
            for block in filter(len, blocks):
                file.write_table(block.select(self._schema.names).cast(self._schema))
                totals += self._count(block)
        return totals

    def on_write_complete(self, write_result: WriteResult[Totals]) -> None:
        """Sum the totals of the tasks; see ``Datasink``."""
        self._totals = sum(write_result.write_returns, Totals())

    def close(self) -> Totals:
        """Return the totals; write a file without rows if there are none."""
        if not self._totals.records:
            self._file(0).close()
        return self._totals

    def _file(self, number: int) -> ParquetWriter:
        path = f"{self._directory}/part-{number:05}.parquet"
        return ParquetWriter(path, self._schema, filesystem=self._filesystem)

    def _count(self, block: pa.Table) -> Totals:
        confidence = block[self._confidence].to_numpy()
        return Totals(
            records=len(block),
            empty=int((confidence == 0).sum()),
            truncated=int(block[_TRUNCATED].to_numpy().sum()),
            unsure=int(((confidence > 0) & (confidence < self._low)).sum()),
        )


@contextmanager
def _cluster() -> Iterator[None]:
    """Connect to Ray until the end of the block, unless there is a connection already."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    # Nothing is reported to Ray's makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    settings: dict[str, Any] = {}
    if not address:
        store = min(available_memory() // 4, _MOST_STORE_BYTES)
        settings = {"address": "local", "include_dashboard": False, "object_store_memory": store}
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
        if threading.current_thread() is threading.main_thread():  # Ray took the signal for itself
            signal.signal(signal.SIGTERM, terminated)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"RAY_ADDRESS {address}" if address else "ray"
        raise ConfigError(f"{where}: does not start: {one_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _context(block_bytes: int, show_progress: bool) -> Iterator[None]:
    """Ray Data as it is needed here, on standard error only progress; all else is in Ray's own log."""
    context = DataContext.get_current()
    settings = {
        "target_max_block_size": block_bytes,
        "enable_progress_bars": show_progress,
        "print_on_execution_start": False,
    }
    before = {name: getattr(context, name) for name in settings}
    consoles = [h for h in logging.getLogger("ray.data").handlers if isinstance(h, logging.StreamHandler)]

    def is_progress(record: logging.LogRecord) -> bool:
        return show_progress and record.levelno < logging.WARNING

    try:
        for name, value in settings.items():
            setattr(context, name, value)
        for handler in consoles:
            handler.addFilter(is_progress)
        with warnings.catch_warnings():
            # There may be fewer blocks than workers.
            warnings.filterwarnings("ignore", module=r"ray\.data")
            yield
    except Exception as error:
        raise _mendable(error) from error
    finally:
        for handler in consoles:
            handler.removeFilter(is_progress)
        for name, value in before.items():
            setattr(context, name, value)


def _mendable(error: BaseException) -> EmoclassError:
    """Return the error of a task, without the advice that Ray appends."""
    root = error
    while (cause := getattr(root, "cause", None) or root.__cause__) is not None:
        root = cause
    message = str(root).partition("\n")[0]
    if isinstance(root, EmoclassError):
        return type(root)(message)
    return EmoclassError(f"Ray gave up: {type(root).__name__}: {one_line(message)}")


def _place(workers: int | None, device: str, precision: str) -> _Place:
    """Shares the cluster out evenly: as many cores a worker as fit all workers onto the nodes."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if device == "cuda" and not gpus:
        raise DeviceError("--device cuda: Ray finds no GPU; use --device cpu or auto")
    device = "cuda" if gpus and device != "cpu" else "cpu"
    if device == "cpu" or precision != "auto":
        resolve_precision(precision, torch.device(device))
    unit = "GPU" if device == "cuda" else "CPU"
    limits = [(int(node.get("CPU", 0)), int(node.get(unit, 0))) for node in nodes]

    def fitting(cores: int) -> int:
        return sum(min(all_cores // cores, units) for all_cores, units in limits)

    workers = fitting(1) if workers is None else workers
    shares = [cores for cores in range(1, 1 + max(limits)[0]) if fitting(cores) >= workers]
    if not shares or workers < 1:
        raise ConfigError(f"--workers {workers}: give 1 to {fitting(1)}, at most one for each {unit}")
    return _Place(workers, shares[-1], device, precision)


def _read(files: TableFiles, schema: pa.Schema, reading: DataOptions, tasks: int) -> Dataset:
    paths = ray.data.from_items([{"path": path} for path in files.paths], override_num_blocks=len(files.paths))
    return paths.map_batches(
        _read_files,
        fn_args=(files, schema, reading),
        batch_size=None,
        compute=TaskPoolStrategy(tasks),
        num_cpus=_BESIDE,
    )


def _read_files(batch: dict[str, Any], files: TableFiles, schema: pa.Schema, reading: DataOptions) -> Iterator[Any]:
    for path in batch["path"]:
        yield from read_tables(files, str(path), schema, reading)


def _text_column(
    rows: Dataset, schema: pa.Schema, files: TableFiles, reading: DataOptions, on_note: Callable[[str], None]
) -> str:
    first: list[dict[str, object]] = []

    def sample(column: str) -> Iterable[object]:
        if not first:
            first.extend(rows.take(_SAMPLE_RECORDS))
        return [row[column] for row in first]

    chosen = choose_columns(
        files.paths[0],
        schema.names,
        sample,
        text_column=reading.text_column,
        need_label=False,
        has_header_line=files.format in ("csv", "tsv"),
    )
    for note in chosen.notes:
        on_note(note)
    return chosen.text


@contextmanager
def _directory(output: str) -> Iterator[tuple[Any, str]]:
    """Where to write: aside and renamed at the end if it is a local directory."""
    from pyarrow.fs import FileSelector, LocalFileSystem

    if not is_uri(output):
        with new_directory(free_directory(output, "the predictions"), "the predictions", name=output) as aside:
            yield LocalFileSystem(), aside.as_posix()
        return
    try:
        filesystem, path = locate(output)
        if filesystem.get_file_info(FileSelector(path, allow_not_found=True)):
            raise DataError(f"{output}: is not empty, and nothing in it was touched: name a new directory")
        filesystem.create_dir(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{output}: cannot be written: {one_line(error)}") from error
    yield filesystem, path
