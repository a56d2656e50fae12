"""Clean a labelled table as a stream of blocks; each row read leaves eight bytes in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from emoclass.data.cleaning.cleaning import BLOCK_ROWS, REASONS, Block, nothing_left
from emoclass.data.cleaning.rows import RowCells
from emoclass.data.columns.choosing import SAMPLE_ROWS, Columns, choose_columns
from emoclass.data.similarity.folding import HashSet, hashes_of
from emoclass.data.tables.formats import STDIN
from emoclass.data.tables.records import Record
from emoclass.data.tables.table import NO_ROWS
from emoclass.errors import DataError

if TYPE_CHECKING:
    from emoclass.data.options import DataOptions

# Characters after which a block ends before it has all its rows.
_BLOCK_CHARACTERS = 1 << 24
# JSON objects that are read ahead to know their keys.
_HEAD_RECORDS = 256


class LabelledReader:
    """A reader of the rows that ``clean`` would keep, in constant memory; close it, or use it in a ``with`` block.

    Columns are chosen as for a table. If names are not enough, a file is read once more to sample its content; of a
    pipe only the first rows are sampled.

    Args:
        source: A file, or ``-`` for standard input.
        options: Options of reading.

    Attributes:
        name: What messages call the input.
        total_rows: Number of data rows if known without reading them; else ``None``.
        notes: What was recognized or chosen without an option; more after the last block.

    Raises:
        DataError: The input cannot be read or has no rows, or a column does not exist or is ambiguous; also while
            iterating.
    """

    def __init__(self, source: str | Path, options: DataOptions) -> None:
        self._source, self._options = source, options
        self._reader = options.open(source)
        self._ahead: list[Record] = []
        self._removed: Counter[str] = Counter()
        self._known = HashSet()
        self.name, self.total_rows = self._reader.name, self._reader.total_rows
        with ExitStack() as stack:
            stack.enter_context(self._reader)
            self._columns, names = self._choose_columns()
            self._text = names.index(self._columns.text)
            self._label = names.index(self._columns.label)
            self._cells = RowCells(self.name, self._columns)
            self.notes = (*self._reader.notes, *self._columns.notes)
            self._stack = stack.pop_all()

    def __enter__(self) -> LabelledReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def removed_counts(self) -> dict[str, int]:
        """Number of rows removed so far for every reason, including zeros."""
        return {reason: self._removed[reason] for reason in REASONS}

    def blocks(self) -> Iterator[Block]:
        """Yield the kept rows in blocks, once."""
        texts, labels, rows = list[str](), list[str](), list[int]()
        read = characters = total = kept = 0
        ahead, self._ahead = self._ahead, []
        for record in chain(ahead, self._reader):
            read += 1
            text_cell, label_cell = _value(record, self._text), _value(record, self._label)
            text, label, reason = self._cells.read(text_cell, label_cell, record.number, record.line)
            if reason:
                self._removed[reason] += 1
            else:
                texts.append(text)
                labels.append(label)
                rows.append(record.number)
                characters += len(text)
            if read == BLOCK_ROWS or characters >= _BLOCK_CHARACTERS:
                block = self._without_duplicates(Block(texts, labels, np.array(rows, dtype=np.int64), read))
                texts, labels, rows = [], [], []
                total, kept, read, characters = total + read, kept + len(block.texts), 0, 0
                yield block
        block = self._without_duplicates(Block(texts, labels, np.array(rows, dtype=np.int64), read))
        if not total + read:
            raise DataError(f"{self.name}: {NO_ROWS}")
        if not kept + len(block.texts):
            raise DataError(nothing_left(self.name, self._columns, self._removed))
        self.notes += self._cells.notes()
        yield block

    def _without_duplicates(self, block: Block) -> Block:
        pairs = zip(block.texts, block.labels, strict=True)
        is_new = self._known.add(hashes_of(f"{len(text)} {text}{label}" for text, label in pairs))
        self._options.on_rows(block.read)
        if is_new.all():
            return block
        self._removed["duplicate"] += int((~is_new).sum())
        chosen = np.flatnonzero(is_new).tolist()
        texts, labels = [block.texts[i] for i in chosen], [block.labels[i] for i in chosen]
        return Block(texts, labels, block.rows[is_new], block.read)

    def _choose_columns(self) -> tuple[Columns, list[str]]:
        """Return the chosen columns and the names of all."""
        if self._reader.format == "jsonl":
            self._look_ahead(_HEAD_RECORDS)
        names = list(self._reader.columns)
        try:
            return self._choose(names, None), names
        except DataError:  # names are not enough
            names, sample = self._sample()
        if not sample:
            raise DataError(f"{self.name}: {NO_ROWS}")
        return self._choose(names, sample), names

    def _choose(self, names: list[str], records: list[Record] | None) -> Columns:
        def sample(column: str) -> Iterable[object]:
            if records is None:
                raise DataError(f"{self.name}: no sample of {column!r}")
            position = names.index(column)
            return [_value(record, position) for record in records]

        return choose_columns(
            self.name,
            names,
            sample,
            text_column=self._options.text_column,
            label_column=self._options.label_column,
            has_header_line=self._reader.format in ("csv", "tsv"),
        )

    def _sample(self) -> tuple[list[str], list[Record]]:
        """Return all names, and records sampled from a whole file or from the start of a pipe."""
        if str(self._source) == STDIN or not Path(self._source).is_file():
            self._look_ahead(SAMPLE_ROWS)
            return list(self._reader.columns), self._ahead
        sample, step = list[Record](), 1
        with self._options.open(self._source) as again:
            for record in again:
                if (record.number - 1) % step == 0:
                    sample.append(record)
                if len(sample) > SAMPLE_ROWS:
                    sample, step = sample[::2], 2 * step
            return list(again.columns), sample

    def _look_ahead(self, records: int) -> None:
        self._ahead += islice(self._reader, records - len(self._ahead))


def _value(record: Record, position: int) -> object:
    return record.values[position] if position < len(record.values) else None
