"""Prepare clean training, validation and test sets with one set of labels."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from emoclass.data.cleaning.cleaning import CleanData, clean
from emoclass.data.cleaning.label_checks import places_of, rare_classes, require_classes
from emoclass.data.cleaning.small_classes import SmallClasses
from emoclass.data.columns.labels import LabelSet, names_of
from emoclass.data.columns.naming import located
from emoclass.data.inspection.findings import find_before_use
from emoclass.data.options import DataOptions
from emoclass.data.parts import PartColumns, choose_together
from emoclass.data.similarity.folding import bare_hashes
from emoclass.data.split.splitting import shares_of, split_rows
from emoclass.data.tables.formats import STDIN
from emoclass.data.tables.frames import TableSource, source_name
from emoclass.data.tables.split_directories import WHOLE
from emoclass.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from emoclass.data.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Clean data for one run.

    Attributes:
        source: The input as given.
        sha256: Fingerprint of all files that were read.
        train: The training set.
        val: The validation set, which chooses the best epoch.
        test: The test set, which is used once at the end; ``None`` if there is none.
        labels: The classes of the training set.
        removed_rows: Rows that cleaning removed from all sets, by reason.
        conflicts: Number of texts with two or more labels.
        leaked: For ``val`` and ``test``, the number of rows whose text is also in ``train``, apart from punctuation.
        notes: What was recognized or chosen without an option.
    """

    source: str
    sha256: str
    train: CleanData
    val: CleanData
    test: CleanData | None
    labels: LabelSet
    removed_rows: dict[str, int]
    conflicts: int
    leaked: dict[str, int]
    notes: tuple[str, ...]


def prepare_training_data(
    source: TableSource,
    *,
    val: TableSource | None = None,
    test: TableSource | None = None,
    options: DataOptions,
    ratios: tuple[float, float, float] = (80, 10, 10),
    seed: int,
) -> TrainingData:
    """Read and clean tables, and split them if sets are missing.

    A single table without ``val`` and ``test`` is split into all three sets. With a test set, given or in the
    directory, only a validation set is split off; with a validation set alone there is no test set.

    Args:
        source: A table, by its path or in memory, or a directory with train, val and test tables.
        val: The table of the validation set.
        test: The table of the test set.
        options: Options of reading.
        ratios: Ratios of train, val and test.
        seed: Seed of the split.

    Raises:
        DataError: A table cannot be read or split, lacks a column or labels, or has a label that the training set does
            not have.
        ConfigError: A set is given twice, or the ratios are no ratios or leave no validation set.
    """
    shares_of(ratios)  # checked before the data is read
    small_classes = SmallClasses(fewest=options.min_class_rows, merged_into=options.merge_into)
    tables, name = options.read_splits(source), source_name(source)
    paths = {split: name if split == WHOLE else table.name for split, table in tables.items()}
    for split, path in (("val", val), ("test", test)):
        if path is None:
            continue
        if split in tables:
            raise ConfigError(f"{name} has a {split} file already: drop --{split}, or pass the train file alone")
        tables[split] = options.read(path, split)
    columns = choose_together(tables, options)
    given = {split: tables[split].name for split, path in (("val", val), ("test", test)) if path is not None}
    _require_labels(columns, paths, given, name)
    cleaned = small_classes.clean_parts(
        {split: part.columns for split, part in columns.items()}, lambda split, own: clean(tables[split], own)
    )
    notes = [note for split, table in tables.items() for note in (*table.notes, *cleaned[split].notes)]
    splits = {("train" if split == WHOLE else split): data for split, data in cleaned.items()}
    notes += require_classes(splits["train"], options.words())
    if rare := places_of(rare_classes(splits["train"]), splits["train"].files):
        notes.append(f"{splits['train'].name}: {rare}: add rows of such a class, or remove it")
    notes += [f"{found.part}: {found.message}" for data in splits.values() for found in find_before_use(data)]
    if "val" not in splits:
        shares = (ratios[0], ratios[1], 0.0) if "test" in splits else ratios
        splits = {**splits, **_split(splits["train"], shares, seed)}
    if "val" not in splits:
        raise ConfigError("--ratios leaves no validation set, which chooses the best epoch: give it a share")
    labels = splits["train"].label_set()
    for split in splits.keys() - {"train"}:
        _require_known(splits[split], labels)
    hashes = {split: bare_hashes(data.texts) for split, data in splits.items()}
    return TrainingData(
        source=name,
        sha256=_combined_sha256(tables.values()),
        train=splits["train"],
        val=splits["val"],
        test=splits.get("test"),
        labels=labels,
        removed_rows=_sum_counts([data.removed_counts for data in cleaned.values()]),
        conflicts=sum(len(data.conflicts) for data in cleaned.values()),
        leaked={split: _count_common(hashes[split], hashes["train"]) for split in ("val", "test") if split in hashes},
        notes=tuple(dict.fromkeys(notes)),
    )


def _require_labels(
    columns: Mapping[str, PartColumns],
    found: Mapping[str, str],
    given: Mapping[str, str],
    source: str,
) -> None:
    """Require labels in all tables, and name the command without those that have none.

    Args:
        columns: The columns of each split.
        found: Path of each split of the source.
        given: Path of each split that an option names.
        source: The source.
    """
    unlabelled = [split for split, part in columns.items() if part.unlabelled]
    if not unlabelled:
        return
    paths, train = dict(given), source
    if found.keys() & set(unlabelled):  # the others of the directory have to be named
        paths, train = {**found, **paths}, found["train"]
    kept = {split: path for split, path in paths.items() if split in ("val", "test") and split not in unlabelled}
    command = ["emoclass", "train", train, *(word for split, path in kept.items() for word in (f"--{split}", path))]
    them = "it" if len(unlabelled) == 1 else f"the {' and '.join(unlabelled)} sets"
    advice = f"leave {them} out: {shlex.join(command)} (with your other options)"
    if not all(Path(path).exists() or path == STDIN for path in (train, *kept.values())):  # a set of several files
        advice = f"move {them} out of {source}" if Path(source).is_dir() else f"leave {them} out"
    raise DataError(f"{columns[unlabelled[0]].unlabelled}: add the labels, or {advice}")


def select(data: CleanData, indices: Sequence[int] | npt.NDArray[np.int64]) -> CleanData:
    """Return the cleaned rows at the given positions."""
    return replace(
        data,
        texts=[data.texts[i] for i in indices],
        labels=[data.labels[i] for i in indices],
        rows=data.rows[indices],
        lines=data.lines[indices],
        removed={},
        conflicts=(),
    )


def _split(data: CleanData, ratios: tuple[float, float, float], seed: int) -> dict[str, CleanData]:
    data.label_set()
    indices = split_rows(data, ratios=ratios, seed=seed)
    return {split: select(data, chosen) for split, chosen in indices.items() if len(chosen)}


def _require_known(data: CleanData, labels: LabelSet) -> None:
    try:
        labels.encode(data.labels)
    except DataError as error:
        known = labels.label2id.keys()
        first = next(position for position, label in enumerate(data.labels) if not known >= set(names_of(label)))
        raise DataError(f"{data.name}: {error}; the first is in {located(*data.origin(first), data.files)}") from None


def _combined_sha256(tables: Iterable[Table]) -> str:
    return hashlib.sha256("".join(table.sha256 for table in tables).encode()).hexdigest()


def _sum_counts(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {reason: sum(count[reason] for count in counts) for reason in counts[0]}


def _count_common(hashes: npt.NDArray[np.int64], training: npt.NDArray[np.int64]) -> int:
    import numpy as np

    return int(np.isin(hashes, training).sum())
