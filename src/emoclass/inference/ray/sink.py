"""Write the predictions of Ray tasks as Parquet files of one directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSelector, LocalFileSystem
from pyarrow.parquet import ParquetWriter
from ray.data.datasource import Datasink, WriteResult

from emoclass.errors import DataError, one_line
from emoclass.files import free_directory, new_directory
from emoclass.inference.ray.locations import is_uri, locate
from emoclass.inference.totals import Totals

# Columns of the blocks with the totals of each record; they are summed, not written.
COUNTS = tuple(f"emoclass: {field.name}" for field in fields(Totals))
# Minimum rows of a file, except for the last ones.
_FILE_ROWS = 65_536


class PartFiles(Datasink[Totals]):  # type: ignore[misc]
    """Writes a file per task; a task that runs again overwrites its file and is counted once.

    Args:
        filesystem: The ``pyarrow.fs.FileSystem`` to write to.
        directory: An existing directory in it.
        schema: The ``pyarrow.Schema`` of the files.
    """

    def __init__(self, filesystem: Any, directory: str, schema: pa.Schema) -> None:
        self._filesystem, self._directory, self._schema = filesystem, directory, schema
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
                totals += Totals(*(int(block[name].to_numpy().sum()) for name in COUNTS))
        return totals

    def on_write_complete(self, write_result: WriteResult[Totals]) -> None:
        """Sum up what the tasks wrote; see ``Datasink``."""
        self._totals = sum(write_result.write_returns, Totals())

    def close(self) -> Totals:
        """Return the counts of all files, and write one without rows if there are none."""
        if not self._totals.records:
            self._file(0).close()
        return self._totals

    def _file(self, number: int) -> ParquetWriter:
        path = f"{self._directory}/part-{number:05}.parquet"
        return ParquetWriter(path, self._schema, filesystem=self._filesystem)


@contextmanager
def output_directory(output: str) -> Iterator[tuple[Any, str]]:
    """Yield the file system and the path of a new directory.

    A local directory gets its name when the block ends without an error; the directory of a URI is written directly.

    Raises:
        DataError: The directory is not empty or cannot be written.
    """
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
