"""Predict tables on Ray Data: tables in, a directory of Parquet files out, on the cores or GPUs of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from emoclass.data.columns.choosing import choose_columns
from emoclass.data.columns.chosen import Columns
from emoclass.data.options import DataOptions
from emoclass.errors import ConfigError
from emoclass.inference.classifiers import WINDOW
from emoclass.inference.fields import OutputOptions, fields_of
from emoclass.inference.predictor import load_model
from emoclass.inference.ray.locations import TableFiles, find_tables
from emoclass.inference.ray.tables import table_schema
from emoclass.inference.thresholds import Thresholds
from emoclass.inference.totals import Totals
from emoclass.runtime import require_packages
from emoclass.store.checkpoints import find_model, model_notes

if TYPE_CHECKING:
    from ray.data import Dataset

    from emoclass.inference.ray.cluster import Workers

# A worker has its next block at hand. With more, the first workers to start would take the blocks of the others.
_BLOCKS_AT_ONCE = 2
_SAMPLE_RECORDS = 100
# Reading and writing take little time, and must run beside workers that hold all cores.
_NO_CORES = 0


def predict_tables(
    sources: Sequence[str],
    output: str,
    *,
    model: str | Path | None = None,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  # frozen
    options: OutputOptions | None = None,
    reading: DataOptions | None = None,
    workers: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    show_progress: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> Totals:
    """Predict tables and write Parquet files, on the Ray cluster of ``RAY_ADDRESS`` or on this machine.

    The rows are those that prediction in one process writes, in no particular order. What a lost worker or node was
    working on is computed again, as often as necessary.

    Args:
        sources: See ``find_tables``; all nodes of a cluster have to reach them.
        output: A directory that does not exist or is empty, or the URI of one. A local one appears when complete.
        model: A trained model; the newest if ``None``. Ray sends it to the nodes.
        thresholds: Thresholds in place of those of the model.
        options: What to write of a prediction; the format is parquet.
        reading: How to read the tables.
        workers: Number of workers; one per GPU, or else per CPU core, if ``None``.
        device: ``auto``, ``cpu`` or ``cuda``; each worker has a GPU, or a share of the cores.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        show_progress: Whether Ray shows progress bars.
        on_note: Called with each automatic decision, such as the choice of a column.

    Returns:
        Counts of the written records.

    Raises:
        ConfigError: ray is not installed, or the cluster has fewer cores than ``workers``.
        EmoclassError: A table, the model or the output is wrong.
    """
    require_packages("--engine ray", "ray", "ray")
    from emoclass.inference.ray.cluster import connection, data_context, plan_workers
    from emoclass.inference.ray.sink import COUNTS, PartFiles, output_directory

    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {device} does not go with --engine ray; use auto, cpu or cuda")
    options, reading = options or OutputOptions(format="parquet"), reading or DataOptions()
    files = find_tables(sources, format=reading.format)
    schema = table_schema(files, reading, on_note)
    stored = find_model(model)
    for note in model_notes(model, stored):
        on_note(note)
    reading = replace(reading, trained=stored.manifest.columns)
    # Workers move it to their device.
    classifier = load_model(stored, device="cpu", precision="fp32", engine="torch")
    classifier = classifier.at(thresholds)
    fields = fields_of(classifier, options, on_note)
    with connection(), ExitStack() as stack:
        import ray

        plan = plan_workers(workers, device, precision)
        filesystem, directory = stack.enter_context(output_directory(output))
        stack.enter_context(data_context(plan.device, show_progress=show_progress))
        rows = _read(files, schema.remove_metadata(), reading, plan.count)
        texts = _text_columns(rows, schema, files, reading, on_note)
        names = fields.free_names(schema.names, fields.types())
        new = [(name, pa.type_for_alias(alias)) for name, alias in zip(names, fields.types().values(), strict=True)]
        added = pa.schema([*new, *((name, pa.int64()) for name in COUNTS)])
        written = pa.schema([*schema, *new], metadata=schema.metadata)
        sink = PartFiles(filesystem, directory, written)
        predicted = _predict(rows, plan, (ray.put(classifier), plan, texts, options, added))
        predicted.write_datasink(sink, ray_remote_args={"num_cpus": _NO_CORES}, concurrency=plan.count)
        return sink.close()


def _read(files: TableFiles, schema: pa.Schema, reading: DataOptions, tasks: int) -> Dataset:
    import ray
    from ray.data import TaskPoolStrategy

    from emoclass.inference.ray.actors import read_files

    paths = ray.data.from_items([{"path": path} for path in files.paths], override_num_blocks=len(files.paths))
    return paths.map_batches(
        read_files,
        fn_args=(files, schema, reading),
        batch_size=None,
        compute=TaskPoolStrategy(tasks),
        num_cpus=_NO_CORES,
    )


def _predict(rows: Dataset, plan: Workers, arguments: tuple[Any, ...]) -> Dataset:
    from ray.data import ActorPoolStrategy

    from emoclass.inference.ray.actors import TablePredictor

    return rows.map_batches(
        TablePredictor,
        fn_constructor_args=arguments,
        batch_size=WINDOW,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=plan.count, max_tasks_in_flight_per_actor=_BLOCKS_AT_ONCE),
        num_cpus=plan.cores,
        num_gpus=1 if plan.device == "cuda" else None,
    )


def _text_columns(
    rows: Dataset, schema: pa.Schema, files: TableFiles, reading: DataOptions, on_note: Callable[[str], None]
) -> Columns:
    first: list[dict[str, object]] = []

    def sample(column: str) -> Iterable[object]:
        if not first:
            first.extend(rows.take(_SAMPLE_RECORDS))
        return [row[column] for row in first]

    chosen = choose_columns(
        files.paths[0],
        schema.names,
        sample,
        replace(reading.wanted, labels="none"),
    )
    for note in chosen.notes:
        on_note(note)
    return chosen
