"""Stratified splits that keep groups of rows, such as near duplicates, together."""

import math
from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.cleaning.label_checks import named_rare
from emoclass.data.columns.labels import Label, each_name
from emoclass.data.columns.naming import shortened
from emoclass.data.similarity.near import duplicate_groups
from emoclass.data.split.balancing import balance
from emoclass.data.split.groups import Groups, digest
from emoclass.data.split.iterative import place_iteratively
from emoclass.data.split.placing import SmallClassError, complete_splits, place_large
from emoclass.data.tables.split_directories import SPLITS
from emoclass.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ratios = tuple[float, float, float]
DEFAULT_RATIOS: Ratios = (80.0, 10.0, 10.0)


def parse_ratios(text: str) -> Ratios:
    """Read train/val/test ratios such as ``80/10/10`` or ``0.8/0.1/0.1``; val or test may be 0.

    Raises:
        ConfigError: Not three numbers, a negative ratio, or a train ratio of 0.
    """
    try:
        train, val, test = (float(field) for field in text.split("/"))
    except ValueError:
        raise ConfigError(f"--ratios {text!r} are not three numbers: write train/val/test as in 80/10/10") from None
    shares_of((train, val, test))
    return train, val, test


def split_indices(
    texts: Sequence[str],
    labels: Sequence[Label],
    *,
    ratios: Ratios = DEFAULT_RATIOS,
    seed: int,
    groups: "NDArray[np.int64] | None" = None,
    unit: str = "different texts",
) -> "dict[str, NDArray[np.int64]]":
    """Split rows into train, validation and test by the same ratios in each class, with every class in every split.

    Groups are never divided. Those of several rows are placed first (see ``placing``) and then improved by local search
    (see ``balancing``); single rows fill up what is missing. The order of single rows is that of a hash of seed and
    text, so that few texts change their split when rows are added or reordered. All steps are bounded by counts: the
    result depends on nothing but seed, texts, labels and groups.

    Rows with any number of labels do not fill up a class: all are placed by labels and pairs of labels (see
    ``iterative``), and then improved.

    Args:
        texts: Text of each row.
        labels: Label of each row.
        ratios: Ratios of train, validation and test.
        seed: Seed of the hash and of the local search.
        groups: Group of each row, ``int64[rows]``; texts that are the same or nearly so by default.
        unit: What groups are called in messages.

    Returns:
        Rows of each split whose ratio is not 0, ``int64[rows in the split]``, ascending.

    Raises:
        SmallClassError: A class is in fewer groups than there are splits, or its groups keep it out of a split.
    """
    import numpy as np

    shares = shares_of(ratios)
    group_ids = np.unique(duplicate_groups(texts) if groups is None else groups, return_inverse=True)[1]
    place = _place_any if isinstance(labels[0], tuple) else _place_one
    split_of_row = place(texts, labels, group_ids, shares, seed, unit)[group_ids]
    return {split: np.flatnonzero(split_of_row == number) for number, split in enumerate(shares)}


def _place_any(
    texts: Sequence[str],
    labels: Sequence[Label],
    group_ids: "NDArray[np.int64]",
    shares: dict[str, float],
    seed: int,
    unit: str,
) -> "NDArray[np.int64]":
    """Return the split of each group of rows with any number of labels, ``int64[groups]``."""
    import numpy as np

    names, label_ids = np.unique(np.array(list(each_name(labels)), dtype=object), return_inverse=True)
    every = np.arange(len(labels))
    # All rows share one more label, so that the sizes of the splits count like the labels.
    rows = np.concatenate([np.repeat(every, [len(label) for label in labels]), every])
    ids = np.concatenate([label_ids, np.full(len(every), len(names))])
    table = Groups.build(texts, (rows, ids), group_ids, seed=seed, with_singles=False)
    all_names = [*names.tolist(), "any"]
    _check_sizes(all_names, table, shares, unit)
    split_of_group = place_iteratively(table, list(shares.values()))
    complete_splits(split_of_group, table, all_names, list(shares), seed=seed)
    return balance(split_of_group, table, np.outer(np.bincount(ids), list(shares.values())), seed=seed)


def _place_one(
    texts: Sequence[str],
    labels: Sequence[Label],
    group_ids: "NDArray[np.int64]",
    shares: dict[str, float],
    seed: int,
    unit: str,
) -> "NDArray[np.int64]":
    """Return the split of each group of rows with one label each, ``int64[groups]``."""
    import numpy as np

    names, label_ids = np.unique(np.array(labels, dtype=object), return_inverse=True)
    table = Groups.build(texts, (np.arange(len(labels)), label_ids), group_ids, seed=seed)
    _check_sizes(names.tolist(), table, shares, unit)
    ratio_of_split = list(shares.values())
    ties = [[digest(seed, f"{name}\n{split}") for split in shares] for name in names.tolist()]
    totals = np.bincount(label_ids)
    quotas = np.array([_allocate(total, ratio_of_split, tie) for total, tie in zip(totals.tolist(), ties, strict=True)])
    split_of_group = place_large(table, quotas)
    _fill_singles(split_of_group, table, quotas, ties)
    complete_splits(split_of_group, table, names.tolist(), list(shares), seed=seed)
    split_of_group = balance(split_of_group, table, np.outer(totals, ratio_of_split), seed=seed)
    _fill_singles(split_of_group, table, quotas, ties)
    return split_of_group


def split_rows(
    data: CleanData,
    *,
    ratios: Ratios = DEFAULT_RATIOS,
    seed: int,
    groups: "NDArray[np.int64] | None" = None,
    unit: str = "different texts",
) -> "dict[str, NDArray[np.int64]]":
    """Split cleaned rows as ``split_indices`` does.

    Raises:
        DataError: As there, with the rows of the classes that have hardly any.
    """
    try:
        return split_indices(data.texts, data.labels, ratios=ratios, seed=seed, groups=groups, unit=unit)
    except SmallClassError as error:
        where = named_rare(data, error.names)
        raise DataError(f"{data.name}: {error}{where and '; '}{where}") from None


def largest_deviation(
    labels: Sequence[Label], splits: "dict[str, NDArray[np.int64]]", ratios: Ratios
) -> tuple[float, str, str]:
    """Return the largest deviation of a class share from its ratio, with the class and the split.

    The share of a class in a split is the fraction of its rows that are in the split.
    """
    totals = Counter(each_name(labels))
    shares = shares_of(ratios)
    worst = (0.0, "", "")
    for split, rows in splits.items():
        counts = Counter(each_name(labels[row] for row in rows.tolist()))
        for name, total in totals.items():
            worst = max(worst, (abs(counts[name] / total - shares[split]), name, split))
    return worst


def shares_of(ratios: Ratios) -> dict[str, float]:
    """Return the fraction of each split that is not empty.

    Raises:
        ConfigError: Not three numbers, a negative ratio, or a train ratio of 0.
    """
    given = list(ratios) if hasattr(ratios, "__getitem__") and not isinstance(ratios, str) else []
    if len(given) != 3 or not all(isinstance(ratio, Real) for ratio in given):
        raise ConfigError(f"--ratios {ratios!r} are not three numbers: pass train, val and test as in (80, 10, 10)")
    if not all(math.isfinite(ratio) and ratio >= 0 for ratio in ratios) or ratios[0] == 0:
        written = "/".join(f"{ratio:g}" for ratio in ratios)
        raise ConfigError(f"--ratios {written} cannot be used: none may be negative and train must be above 0")
    return {split: ratio / sum(ratios) for split, ratio in zip(SPLITS, ratios, strict=True) if ratio > 0}


def _check_sizes(names: list[str], groups: Groups, shares: dict[str, float], unit: str) -> None:
    """Refuse classes in fewer groups than there are splits."""
    import numpy as np

    counts = np.bincount(groups.entry_label)
    small = {name: count for name, count in zip(names, counts.tolist(), strict=True) if count < len(shares)}
    if small:
        listed = [f"{shortened(name)} ({count})" for name, count in small.items()]
        of = f" of {len(small):,} of {len(names):,} classes" if len(listed) > 1 else ""
        raise SmallClassError(
            f"too few {unit}{of} for each of {', '.join(shares)} ({len(shares)} at least):"
            f" {', '.join(listed[:10])}{', …' * (len(listed) > 10)}:"
            f" add rows of these classes, or leave them out with --min-class-rows {len(shares)}",
            small,
        )


def _fill_singles(
    split_of_group: "NDArray[np.int64]", groups: Groups, quotas: "NDArray[np.int64]", ties: list[list[bytes]]
) -> None:
    """Place single rows: order those of each class by rank and cut where its quotas say."""
    import numpy as np

    single = ~groups.large
    placed = groups.count(np.where(single, -1, split_of_group), quotas.shape[1], rows=True)
    of_single = np.flatnonzero(single[groups.entry_group])
    order = of_single[np.lexsort((groups.ranks[groups.entry_group[of_single]], groups.entry_label[of_single]))]
    members = np.split(groups.entry_group[order], np.cumsum(groups.singles)[:-1])
    for label, chosen in enumerate(members):
        counts = _fill(len(chosen), quotas[label], placed[label], ties[label])
        split_of_group[chosen] = np.repeat(np.arange(quotas.shape[1]), counts)


def _fill(singles: int, quotas: "NDArray[np.int64]", placed: "NDArray[np.int64]", ties: list[bytes]) -> list[int]:
    """Divide the single rows of a class so that splits come as close to their quotas as they can."""
    missing = [max(0, int(quota - there)) for quota, there in zip(quotas, placed, strict=True)]
    if not singles or sum(missing) == singles:
        return missing if singles else [0] * len(missing)
    # Splits without the class come first, if there are enough rows.
    least = [int(there == 0) for there in placed]
    if sum(least) > singles:
        least = [0] * len(least)
    return _allocate(singles, [rows / sum(missing) for rows in missing], ties, least)


def _allocate(total: int, shares: list[float], ties: list[bytes], least: list[int] | None = None) -> list[int]:
    """Divide by largest remainder, at least one each unless ``least`` says otherwise.

    Ties go by hash, so that no split gains over many classes.
    """
    least = least or [1] * len(shares)
    quotas = [total * share for share in shares]
    counts = [max(low, math.floor(quota + 1e-9)) for low, quota in zip(least, quotas, strict=True)]
    while missing := total - sum(counts):
        step = 1 if missing > 0 else -1
        can_change = [split for split in range(len(counts)) if counts[split] + step >= least[split]]
        split = max(can_change, key=lambda i: (round(step * (quotas[i] - counts[i]), 9), ties[i]))
        counts[split] += step
    return counts
