"""A stratified split in which the same text never stands on two sides."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emoclass.data.similarity.folding import fold_text
from emoclass.data.similarity.near import duplicate_groups
from emoclass.data.tables.parts import PARTS
from emoclass.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ratios = tuple[float, float, float]
DEFAULT_RATIOS: Ratios = (80.0, 10.0, 10.0)
# A class in more groups than this can be spared a few wherever it is.
_RARE_GROUPS = 100
# What a search for another division may try, and how far from the best it may end.
_SEARCH = {"node_limit": 1_000, "mip_rel_gap": 0.2, "time_limit": 20.0}


def parse_ratios(text: str) -> Ratios:
    """Read train/val/test ratios such as ``80/10/10`` or ``0.8/0.1/0.1``; val or test may be 0.

    Raises:
        ConfigError: not three numbers, a negative one, or nothing to train on.
    """
    try:
        train, val, test = (float(field) for field in text.split("/"))
    except ValueError:
        raise ConfigError(f"--ratios {text!r} are not three numbers: write train/val/test as in 80/10/10") from None
    _shares((train, val, test))
    return train, val, test


def split_indices(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    ratios: Ratios = DEFAULT_RATIOS,
    seed: int,
    groups: "NDArray[np.int64] | None" = None,
    unit: str = "different texts",
) -> "dict[str, NDArray[np.int64]]":
    """Divide rows into train, val and test, each class by the same ratios and with at least one text in each.

    A group never stands on two sides. Groups of several rows are placed first, the largest first, each where it
    disturbs the shares of the classes least; single rows then fill up what is missing. Where that leaves a part without
    a class, the smallest group that can be spared elsewhere moves there, or, if none can, groups change places. A hash
    of seed and text decides in which order: it needs no random generator, whose versions may differ, and few texts move
    when rows are added or come in another order.

    Args:
        texts: one a row.
        labels: one a row.
        ratios: of train, val and test.
        seed: decides which text goes where.
        groups: int64[rows], group of each row; by default texts that are the same or nearly so.
        unit: what groups are, for messages.

    Returns:
        For each part whose ratio is not 0, int64[rows in the part], ascending.

    Raises:
        DataError: a class stands in fewer groups than there are parts, or its groups keep it out of one.
    """
    import numpy as np

    shares = _shares(ratios)
    groups = duplicate_groups(texts) if groups is None else groups
    names, label_ids = np.unique(np.array(labels, dtype=object), return_inverse=True)
    _, first, groups, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    pairs = np.unique(np.stack([label_ids, groups]), axis=1)
    _check_sizes(names.tolist(), pairs, shares, unit)
    ties = {name: [_digest(seed, f"{name}\n{part}") for part in shares] for name in names.tolist()}
    totals = np.bincount(label_ids, minlength=len(names))
    quotas = np.array(
        [_allocate(int(total), list(shares.values()), ties[name]) for name, total in zip(names, totals, strict=True)]
    )
    part_of_group = np.full(len(sizes), -1, dtype=np.int64)
    placed = np.zeros_like(quotas)
    order_keys = _group_keys(texts, groups, len(sizes), seed)
    _place_large(part_of_group, placed, quotas, groups, sizes, label_ids, order_keys)
    single = np.flatnonzero(sizes == 1)
    label_of_single = label_ids[first[single]]
    for number, name in enumerate(names.tolist()):
        members = single[label_of_single == number].tolist()
        members.sort(key=lambda group: (order_keys[group], group))
        counts = _fill(len(members), quotas[number], placed[number], ties[name])
        part_of_group[members] = np.repeat(np.arange(len(shares)), counts)
    _spread(part_of_group, pairs, sizes, order_keys, names.tolist(), list(shares))
    part_of_row = part_of_group[groups]
    return {part: np.flatnonzero(part_of_row == number) for number, part in enumerate(shares)}


def largest_deviation(
    labels: Sequence[str], parts: "dict[str, NDArray[np.int64]]", ratios: Ratios
) -> tuple[float, str, str]:
    """Return how far the share of a class in a part is from the ratio, at most, with the class and the part."""
    totals = Counter(labels)
    shares = _shares(ratios)
    worst = (0.0, "", "")
    for part, rows in parts.items():
        counts = Counter(labels[row] for row in rows.tolist())
        for name, total in totals.items():
            worst = max(worst, (abs(counts[name] / total - shares[part]), name, part))
    return worst


def _shares(ratios: Ratios) -> dict[str, float]:
    """Return the fraction of each part that is not empty."""
    if not all(math.isfinite(ratio) and ratio >= 0 for ratio in ratios) or ratios[0] == 0:
        written = "/".join(f"{ratio:g}" for ratio in ratios)
        raise ConfigError(f"--ratios {written} cannot be used: none may be negative and train must be above 0")
    return {part: ratio / sum(ratios) for part, ratio in zip(PARTS, ratios, strict=True) if ratio > 0}


def _check_sizes(names: list[str], pairs: "NDArray[np.int64]", shares: dict[str, float], unit: str) -> None:
    """Refuse classes of fewer groups than parts; ``pairs`` is int64[2, …], each class with each of its groups."""
    import numpy as np

    counts = np.bincount(pairs[0], minlength=len(names))
    small = [f"{name!r} ({count})" for name, count in zip(names, counts, strict=True) if count < len(shares)]
    if small:
        listed = ", ".join(small[:20]) + ", …" * (len(small) > 20)
        raise DataError(
            f"too few {unit} for each of {', '.join(shares)} ({len(shares)} at least): {listed}:"
            " add rows of these classes, merge them with others or remove them"
        )


def _group_keys(texts: Sequence[str], groups: "NDArray[np.int64]", count: int, seed: int) -> list[bytes]:
    """Return for each group the least digest of its texts, whatever their order."""
    keys = [b"\xff" * 9] * count
    for text, group in zip(texts, groups.tolist(), strict=True):
        keys[group] = min(keys[group], _digest(seed, fold_text(text)))
    return keys


def _place_large(
    part_of_group: "NDArray[np.int64]",
    placed: "NDArray[np.int64]",
    quotas: "NDArray[np.int64]",
    groups: "NDArray[np.int64]",
    sizes: "NDArray[np.int64]",
    label_ids: "NDArray[np.int64]",
    keys: list[bytes],
) -> None:
    """Place groups of several rows; ``placed`` counts their rows by class and part."""
    import numpy as np

    large = np.flatnonzero(sizes > 1).tolist()
    large.sort(key=lambda group: (-sizes[group], keys[group]))
    order = np.argsort(groups, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for group in large:
        rows = order[starts[group] : starts[group] + sizes[group]]
        labels, counts = np.unique(label_ids[rows], return_counts=True)
        # By how much the squared distance from the quotas, relative to them, would grow in each part.
        growth = (counts[:, None] * (2 * placed[labels] + counts[:, None]) / np.maximum(quotas[labels], 0.5)).sum(
            axis=0
        )
        part = int(growth.argmin())
        part_of_group[group] = part
        placed[labels, part] += counts


def _spread(
    part_of_group: "NDArray[np.int64]",
    pairs: "NDArray[np.int64]",
    sizes: "NDArray[np.int64]",
    keys: list[bytes],
    names: list[str],
    parts: list[str],
) -> None:
    """Move groups, the smallest first, so that each class stands in each part."""
    import numpy as np

    label_of, group_of = pairs
    counts = np.zeros((len(names), len(parts)), dtype=np.int64)
    np.add.at(counts, (label_of, part_of_group[group_of]), 1)
    while lacking := np.argwhere(counts == 0).tolist():
        # The last group of a class in a part has to stay there.
        stays = np.zeros(len(sizes), dtype=bool)
        stays[group_of[counts[label_of, part_of_group[group_of]] == 1]] = True
        movable = ((part, group_of[(label_of == label) & ~stays[group_of]].tolist()) for label, part in lacking)
        part, groups = next((move for move in movable if move[1]), (0, []))
        if not groups:
            found = _rearranged(part_of_group, pairs, sizes, keys, {label for label, _ in lacking}, len(parts))
            if found is None:
                label, part = lacking[0]
                raise DataError(
                    f"{parts[part]} gets no text of {names[label]!r}, whose texts belong together with those of other"
                    " classes: add rows of this class, merge it with another or remove it"
                )
            part_of_group[:] = found
            return
        group = min(groups, key=lambda group: (sizes[group], keys[group]))
        labels = label_of[group_of == group]
        counts[labels, part_of_group[group]] -= 1
        counts[labels, part] += 1
        part_of_group[group] = part


def _rearranged(
    part_of_group: "NDArray[np.int64]",
    pairs: "NDArray[np.int64]",
    sizes: "NDArray[np.int64]",
    keys: list[bytes],
    lacking: set[int],
    parts: int,
) -> "NDArray[np.int64] | None":
    """The part of each group with each class in each part, and few rows elsewhere than they were; None if not found.

    An integer programme over the groups of classes that are lacking or rare, in the order of their keys, for scipy's
    solver; another release of it may find another solution.
    """
    import numpy as np
    from scipy.optimize import LinearConstraint, milp
    from scipy.sparse import coo_array

    label_of, group_of = pairs
    rare = np.bincount(label_of) <= _RARE_GROUPS
    rare[list(lacking)] = True
    free = np.array(sorted(set(group_of[rare[label_of]].tolist()), key=lambda group: (keys[group], group)))
    place = np.full(len(sizes), -1)
    place[free] = np.arange(len(free))
    # Variable g * parts + p: whether the free group g stands in part p.
    width = len(free) * parts
    moved = np.repeat(sizes[free].astype(float), parts)
    moved[np.arange(len(free)) * parts + part_of_group[free]] = 0
    once = coo_array((np.ones(width), (np.repeat(np.arange(len(free)), parts), np.arange(width))))
    of_free = place[group_of] >= 0
    fixed = np.zeros((len(rare), parts), dtype=np.int64)
    np.add.at(fixed, (label_of[~of_free], part_of_group[group_of[~of_free]]), 1)
    rows = (label_of[of_free, None] * parts + np.arange(parts)).ravel()
    columns = (place[group_of[of_free], None] * parts + np.arange(parts)).ravel()
    every = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(rare) * parts, width))
    constraints = [LinearConstraint(once, 1, 1), LinearConstraint(every, 1 - fixed.ravel(), np.inf)]
    found = milp(moved, integrality=np.ones(width), bounds=(0, 1), constraints=constraints, options=_SEARCH).x
    if found is None:
        return None
    result: NDArray[np.int64] = part_of_group.copy()
    result[free] = found.reshape(-1, parts).argmax(axis=1)
    return result


def _fill(singles: int, quotas: "NDArray[np.int64]", placed: "NDArray[np.int64]", ties: list[bytes]) -> list[int]:
    """Divide the single rows of a class so that parts come as near to their quotas as they can."""
    missing = [max(0, int(quota - there)) for quota, there in zip(quotas, placed, strict=True)]
    if sum(missing) == singles:
        return missing
    if not singles or not sum(missing):
        return [singles, *[0] * (len(missing) - 1)]
    return _allocate(singles, [part / sum(missing) for part in missing], ties, least=0)


def _allocate(total: int, shares: list[float], ties: list[bytes], *, least: int = 1) -> list[int]:
    """Divide by largest remainder, at least ``least`` each; ties go by hash, so no part gains over many classes."""
    quotas = [total * share for share in shares]
    counts = [max(least, math.floor(quota + 1e-9)) for quota in quotas]
    while missing := total - sum(counts):
        step = 1 if missing > 0 else -1
        can_change = [part for part in range(len(counts)) if counts[part] + step >= least]
        part = max(can_change, key=lambda i: (round(step * (quotas[i] - counts[i]), 9), ties[i]))
        counts[part] += step
    return counts


def _digest(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\n{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
