"""Clean a labelled table as a stream of blocks; each row read leaves eight bytes in memory."""

from __future__ import annotations

import shlex
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from emoclass.data.cleaning.cleaning import BLOCK_ROWS, REASONS, Block, nothing_left
from emoclass.data.cleaning.rows import RowCells
from emoclass.data.columns.choosing import SAMPLE_ROWS, choose_columns
from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.class_names import are_integers, name_of
from emoclass.data.columns.labels import Label, names_of
from emoclass.data.columns.naming import brief, listed, located
from emoclass.data.similarity.folding import HashSet, hashes_of
from emoclass.data.tables.features import class_names
from emoclass.data.tables.formats import STDIN
from emoclass.data.tables.joined import JoinedReader
from emoclass.data.tables.records import Record
from emoclass.data.tables.row_errors import RowErrors
from emoclass.data.tables.split_directories import SplitFiles
from emoclass.data.tables.table import no_rows
from emoclass.errors import DataError

if TYPE_CHECKING:
    from emoclass.data.options import DataOptions

# Characters after which a block ends before it has all its rows.
_BLOCK_CHARACTERS = 1 << 24
# Records that are read ahead to know the keys of JSON objects, and whether labels are words.
_HEAD_RECORDS = 256


class LabelledReader:
    """A reader of the rows that ``clean`` would keep, in constant memory; close it, or use it in a ``with`` block.

    Columns are chosen as for a table. If names are not enough, a file is read once more to sample its content; of a
    pipe only the first rows are sampled.

    Args:
        source: A file, ``-`` for standard input, or the files of a split.
        options: Options of reading.

    Attributes:
        name: What messages call the input.
        total_rows: Number of data rows if known without reading them; else ``None``.
        notes: What was recognized or chosen without an option; more after the last block.

    Raises:
        DataError: The input cannot be read or has no rows, or a column does not exist or is ambiguous; also while
            iterating.
    """

    def __init__(self, source: str | Path | SplitFiles, options: DataOptions) -> None:
        self._files = source if isinstance(source, SplitFiles) else SplitFiles(str(source), (source,))
        self._options = options
        self._errors = RowErrors(skip=options.skip_errors)
        self._reader = options.open_split(self._files, on_error=self._errors)
        self._ahead: list[Record] = []
        self._removed: Counter[str] = Counter()
        self._known = HashSet()
        self.name, self.total_rows = self._reader.name, self._reader.total_rows
        with ExitStack() as stack:
            stack.enter_context(self._reader)
            self._columns, names = self._choose_columns()
            if not self._columns.labels:
                shown = listed(map(brief, names), most=8)
                raise DataError(f"{self.name}: no column looks like labels; the columns are {shown}: {self._advice}")
            self._texts = [names.index(text) for text in self._columns.texts]
            self._labels = [names.index(label) for label in self._columns.labels]
            self._file_rows = self._reader.files if isinstance(self._reader, JoinedReader) else []
            self._cells = RowCells(self.name, self._columns, self._file_rows)
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
        return any(str(path) == STDIN or not Path(path).is_file() for path in self._files.paths)

    @property
    def _advice(self) -> str:
        """What to do with a table that may have no labels."""
        if not self._files.paths:
            return "pass --label-column or, if it has no labels, predict its texts"
        command = predict_command(self._files.paths, self._options.words())
        return f"pass --label-column or, if it has no labels, predict it with the same --model: {command}"

    @property
    def removed_counts(self) -> dict[str, int]:
        """Number of rows removed so far for every reason, including zeros."""
        return {reason: self._removed[reason] for reason in REASONS}

    def blocks(self) -> Iterator[Block]:
        """Yield the kept rows in blocks, once."""
        texts, labels, rows = list[str](), list[Label](), list[int]()
        read = characters = total = kept = 0
        ahead, self._ahead = self._ahead, []
        for record in chain(ahead, self._reader):
            if self._errors.count and not self._errors.skip:
                break
            read += 1
            text, label, reason = self._read(record)
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
        self._check_errors()
        block = self._without_duplicates(Block(texts, labels, np.array(rows, dtype=np.int64), read))
        if not total + read:
            raise no_rows(self._reader)
        if not kept + len(block.texts):
            message = nothing_left(self.name, self._columns, self._removed)
            only_labels_lack = not any(self._removed[reason] for reason in ("null_text", "blank_text"))
            raise DataError(f"{message}; {self._advice}" if only_labels_lack else message)
        late = (note for note in self._reader.notes if note not in self.notes)
        self.notes += (*late, *self._cells.notes(), *self._errors.notes())
        yield block

    def _check_errors(self) -> None:
        """Read on to name all rows that cannot be read, before anything more is computed."""
        if self._errors.count and not self._errors.skip:
            deque(self._reader, maxlen=0)
            self._errors.check()

    def _without_duplicates(self, block: Block) -> Block:
        pairs = zip(block.texts, block.labels, strict=True)
        is_new = self._known.add(
            hashes_of(f"{len(text)} {text}{chr(0).join(names_of(label))}" for text, label in pairs)
        )
        self._options.on_rows(block.read)
        if is_new.all():
            return block
        self._removed["duplicate"] += int((~is_new).sum())
        chosen = np.flatnonzero(is_new).tolist()
        texts, labels = [block.texts[i] for i in chosen], [block.labels[i] for i in chosen]
        return Block(texts, labels, block.rows[is_new], block.read)

    def _read(self, record: Record) -> tuple[str, Label, str | None]:
        text_cells = [_value(record, position) for position in self._texts]
        try:
            label_cells = [name_of(_value(record, each), self._columns.class_names) for each in self._labels]
        except DataError as error:
            where = located(record.number, record.line, self._file_rows)
            raise DataError(f"{self.name}: {where}: {error}") from error
        return self._cells.read(text_cells, label_cells, record.number, record.line)

    def _choose_columns(self) -> tuple[Columns, list[str]]:
        """Return the chosen columns and the names of all."""
        self._look_ahead(_HEAD_RECORDS)
        names = list(self._reader.columns)
        known = class_names(self._reader.schema)
        with suppress(DataError):
            chosen = self._choose(names, known, self._ahead, only_words=True)
            if not chosen.notes:
                return chosen.with_class_names(self.name, known), names
        names, sample = self._sample()
        if not sample:
            raise no_rows(self._reader)
        return self._choose(names, known, sample).with_class_names(self.name, known), names

    def _choose(
        self, names: list[str], known: Mapping[str, Sequence[str]], records: list[Record], *, only_words: bool = False
    ) -> Columns:
        """Choose by names, and by records where names are not enough.

        With ``only_words`` these are the first ones: they can only say that a label column does not hold integers.
        """

        def sample(column: str) -> Iterable[object]:
            position = names.index(column)
            values = [name_of(_value(record, position), known.get(column, ()), strict=False) for record in records]
            if only_words and are_integers(values):
                raise DataError(f"{self.name}: the first rows of {column!r} may be ids")
            return values

        return choose_columns(
            self.name,
            names,
            sample,
            replace(self._options.wanted, labels="optional", first_rows=self._is_pipe),
        )

    def _sample(self) -> tuple[list[str], list[Record]]:
        """Return all names, and records sampled from a whole file or from the start of a pipe."""
        if self._is_pipe:
            self._look_ahead(SAMPLE_ROWS)
            return list(self._reader.columns), self._ahead
        sample, step = list[Record](), 1
        errors = RowErrors(skip=self._options.skip_errors)
        with self._options.open_split(self._files, on_error=errors) as again:
            for record in again:
                if (record.number - 1) % step == 0:
                    sample.append(record)
                if len(sample) > SAMPLE_ROWS:
                    sample, step = sample[::2], 2 * step
            errors.check()
            return list(again.columns), sample

    def _look_ahead(self, records: int) -> None:
        self._ahead += islice(self._reader, records - len(self._ahead))
        self._check_errors()


def predict_command(sources: Sequence[str | Path], options: Sequence[str] = ()) -> str:
    """Return the command that predicts the files of a table without labels, read with the given options."""
    inputs = [word for source in sources for word in ("--input", str(source))]
    given = ["--format", "csv"] if STDIN in inputs and "--format" not in options else []  # lines, for predict
    return shlex.join(["emoclass", "predict", *inputs, *given, *options])


def _value(record: Record, position: int) -> object:
    return record.values[position] if position < len(record.values) else None
