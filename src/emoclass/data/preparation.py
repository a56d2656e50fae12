"""From what the user names to clean training, validation and test parts with one set of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from emoclass.data.cleaning.cleaning import CleanData, clean
from emoclass.data.columns.labels import LabelSet
from emoclass.data.options import DataOptions
from emoclass.data.similarity.folding import text_hashes
from emoclass.data.split.splitting import split_indices
from emoclass.data.tables.split_directories import WHOLE
from emoclass.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Clean parts for one training.

    Attributes:
        source: What the user named.
        sha256: Fingerprint of all files that were read.
        train: The part to learn from.
        val: The part that chooses the best epoch.
        test: The part that is used once, at the end; ``None`` if there is none.
        labels: The classes, those of ``train``.
        removed_rows: Rows that cleaning took out, by reason, over all parts.
        conflicts: Texts that stand there with two or more labels.
        leaked: For ``val`` and ``test``, rows whose text also stands in ``train``.
        notes: What was decided without being asked.
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
    source: str | Path,
    *,
    val: str | Path | None = None,
    test: str | Path | None = None,
    options: DataOptions,
    ratios: tuple[float, float, float] = (80, 10, 10),
    seed: int,
) -> TrainingData:
    """Reads, cleans and, where parts are missing, splits.

    A single table without ``val`` and ``test`` is split in all three parts. With a test part, given or in the
    directory, only a validation part is split off; with a validation part alone there is no test part.

    Args:
        source: A table, or a directory with train, val and test tables.
        val: A table that is the validation part.
        test: A table that is the test part.
        options: How to read.
        ratios: Shares of train, val and test.
        seed: Seed of the split.

    Raises:
        DataError: Something cannot be read or split, or a part has a label that the training part has not.
        ConfigError: Parts are given twice.
    """
    tables = options.read_splits(source)
    for part, path in (("val", val), ("test", test)):
        if path is None:
            continue
        if part in tables:
            raise ConfigError(f"{source} has a {part} part already; leave --{part} out, or give the train file alone")
        tables[part] = options.read(path)
    cleaned = {part: clean(table, options.choose_columns(table)) for part, table in tables.items()}
    notes = [note for part, table in tables.items() for note in (*table.notes, *cleaned[part].columns.notes)]
    parts = {("train" if part == WHOLE else part): data for part, data in cleaned.items()}
    if "val" not in parts:
        shares = (ratios[0], ratios[1], 0.0) if "test" in parts else ratios
        parts = {**parts, **_split(parts["train"], shares, seed)}
    if "val" not in parts:
        raise ConfigError("--ratios leaves no validation part, which the best epoch is chosen by; give it a share")
    labels = LabelSet.from_labels(parts["train"].labels, where=f"{parts['train'].name}: ")
    for part in parts.keys() - {"train"}:
        _require_known(parts[part], labels)
    hashes = {part: text_hashes(data.texts) for part, data in parts.items()}
    return TrainingData(
        source=str(source),
        sha256=_combined(table.sha256 for table in tables.values()),
        train=parts["train"],
        val=parts["val"],
        test=parts.get("test"),
        labels=labels,
        removed_rows=_sum_counts([data.removed_counts for data in cleaned.values()]),
        conflicts=sum(len(data.conflicts) for data in cleaned.values()),
        leaked={part: _count_common(hashes[part], hashes["train"]) for part in ("val", "test") if part in hashes},
        notes=tuple(dict.fromkeys(notes)),
    )


def select(data: CleanData, indices: Sequence[int] | npt.NDArray[np.int64]) -> CleanData:
    """The cleaned rows at these positions."""
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
    LabelSet.from_labels(data.labels, where=f"{data.name}: ")
    indices = split_indices(data.texts, data.labels, ratios=ratios, seed=seed)
    return {part: select(data, chosen) for part, chosen in indices.items() if len(chosen)}


def _require_known(data: CleanData, labels: LabelSet) -> None:
    try:
        labels.encode(data.labels)
    except DataError as error:
        raise DataError(f"{data.name}: {error}") from None


def _combined(digests: object) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()  # type: ignore[arg-type]


def _sum_counts(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {reason: sum(count[reason] for count in counts) for reason in counts[0]}


def _count_common(hashes: npt.NDArray[np.int64], training: npt.NDArray[np.int64]) -> int:
    import numpy as np

    return int(np.isin(hashes, training).sum())
