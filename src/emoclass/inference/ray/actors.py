"""What runs on the nodes: tasks that read tables, and actors that add predictions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import ray
import torch

from emoclass.data.columns.chosen import Columns
from emoclass.data.options import DataOptions
from emoclass.data.tables.writing import arrow_table
from emoclass.inference.fields import OutputOptions, fields_of
from emoclass.inference.ray.cluster import Workers
from emoclass.inference.ray.locations import TableFiles
from emoclass.inference.ray.tables import read_tables
from emoclass.inference.totals import Totals
from emoclass.runtime import resolve_precision


def read_files(batch: dict[str, Any], files: TableFiles, schema: pa.Schema, reading: DataOptions) -> Iterator[pa.Table]:
    """Yield the tables of a batch of paths."""
    for path in batch["path"]:
        yield from read_tables(files, str(path), schema, reading)


class TablePredictor:
    """Adds predictions to tables; an actor, so that each worker loads the model once.

    Args:
        classifier: Ray's reference to the classifier.
        workers: The device, the precision and the cores of a worker.
        texts: The text columns.
        options: What to write of a prediction.
        added: The ``pyarrow.Schema`` of the added columns; the last ones are ``Totals`` of one record.
    """

    def __init__(
        self, classifier: Any, workers: Workers, texts: Columns, options: OutputOptions, added: pa.Schema
    ) -> None:
        # The tokenizer reads this before its first batch.
        os.environ["RAYON_NUM_THREADS"] = str(workers.cores)
        torch.set_num_threads(workers.cores)
        device = torch.device(workers.device)
        self._classifier = ray.get(classifier).to(device, resolve_precision(workers.precision, device))
        self._fields: Any = fields_of(self._classifier, options)
        self._ranks = options.ranks(len(self._classifier.labels))
        self._texts, self._added = texts, added

    def __call__(self, table: pa.Table) -> pa.Table:
        cells = zip(*(table[name].to_pylist() for name in self._texts.texts), strict=True)
        texts = [self._texts.text_of(row) or "" for row in cells]
        predictions = self._classifier.predict(texts, top_k=self._ranks)
        low = self._fields.low_confidence
        rows = [
            [*self._fields.values(p), *vars(Totals.of([(text, p)], low)).values()]
            for text, p in zip(texts, predictions, strict=True)
        ]
        added = arrow_table(rows, self._added)
        return pa.Table.from_arrays([*table.columns, *added.columns], schema=pa.schema([*table.schema, *added.schema]))
