"""Clean a labelled table as a stream of blocks; each row read leaves eight bytes in memory."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from emoclass.data.cleaning.cleaning import BLOCK_ROWS, REASONS, Block, nothing_left, removal_reason
from emoclass.data.columns.cells import cell_label
from emoclass.data.columns.choosing import SAMPLE_ROWS, choose_columns
from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.naming import brief, listed, located
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
        notes: What was recognized or chosen without an option.

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
            if not self._columns.label:
                shown = listed(map(brief, names), most=8)
                raise DataError(f"{self.name}: no column looks like labels; the columns are {shown}: {self._advice}")
            self._texts = [names.index(text) for text in self._columns.texts]
            self._label = names.index(self._columns.label)
            self.notes = (*self._reader.notes, *self._columns.notes)
            self._stack = stack.pop_all()

    def __enter__(self) -> LabelledReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def _is_pipe(self) -> bool:
        return str(self._source) == STDIN or not Path(self._source).is_file()

    @property
    def _advice(self) -> str:
        """What to do with a table that may have no labels."""
        command = predict_command([self._source], self._options.format)
        return f"pass --label-column or, if it has no labels, predict it: {command}"

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
            text, label = self._cells(record)
            if reason := removal_reason(text, label):
                self._removed[reason] += 1
            elif text is not None and label is not None:
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
            message = nothing_left(self.name, self._columns, self._removed)
            only_labels_lack = not any(self._removed[reason] for reason in ("null_text", "blank_text"))
            raise DataError(f"{message}; {self._advice}" if only_labels_lack else message)
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

    def _cells(self, record: Record) -> tuple[str | None, str | None]:
        try:
            text = self._columns.text_of([_value(record, position) for position in self._texts])
            return text, cell_label(_value(record, self._label))
        except DataError as error:
            raise DataError(f"{self.name}: {located(record.number, record.line)}: {error}") from error

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
            replace(self._options.wanted, labels="optional", first_rows=self._is_pipe),
            has_header_line=self._reader.format in ("csv", "tsv"),
        )

    def _sample(self) -> tuple[list[str], list[Record]]:
        """Return all names, and records sampled from a whole file or from the start of a pipe."""
        if self._is_pipe:
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


def predict_command(sources: Sequence[str | Path], format: str | None = None) -> str:
    """Return the command that predicts the files of a table without labels; ``format`` is that of an option."""
    inputs = [word for source in sources for word in ("--input", str(source))]
    if STDIN in inputs:
        format = format or "csv"  # lines, for predict
    return shlex.join(["emoclass", "predict", *inputs, *(["--input-format", format] if format else [])])


def _value(record: Record, position: int) -> object:
    return record.values[position] if position < len(record.values) else None
