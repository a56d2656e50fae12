"""A stratified split in which the same text never stands on two sides."""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emoclass.data.folding import fold_text
from emoclass.data.reading import PARTS
from emoclass.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ratios = tuple[float, float, float]
DEFAULT_RATIOS: Ratios = (80.0, 10.0, 10.0)


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
    texts: Sequence[str], labels: Sequence[str], *, ratios: Ratios = DEFAULT_RATIOS, seed: int
) -> "dict[str, NDArray[np.int64]]":
    """Divide rows into train, val and test, each class by the same ratios and with at least one text in each.

    Texts that are equal when folded (see ``fold_text``) stay together, under the label of the first. A hash
    of seed and text decides where they go: it needs no random generator, whose versions may differ, and few
    texts move when rows are added or come in another order.

    Returns:
        For each part whose ratio is not 0, int64[rows in the part], ascending.

    Raises:
        DataError: a class has fewer different texts than there are parts.
    """
    import numpy as np

    shares = _shares(ratios)
    group_of_key: dict[str, int] = {}
    groups = np.fromiter((group_of_key.setdefault(fold_text(text), len(group_of_key)) for text in texts), np.int64)
    members = _groups_by_label(labels, groups, list(group_of_key), seed)
    _check_sizes(members, shares)
    part_of_group = np.empty(len(group_of_key), dtype=np.int64)
    for label, shuffled in members.items():
        ties = [_digest(seed, f"{label}\n{part}") for part in shares]
        counts = _allocate(len(shuffled), list(shares.values()), ties)
        part_of_group[shuffled] = np.repeat(np.arange(len(shares)), counts)
    part_of_row = part_of_group[groups]
    return {part: np.flatnonzero(part_of_row == number) for number, part in enumerate(shares)}


def _shares(ratios: Ratios) -> dict[str, float]:
    """Return the fraction of each part that is not empty."""
    if not all(math.isfinite(ratio) and ratio >= 0 for ratio in ratios) or ratios[0] == 0:
        written = "/".join(f"{ratio:g}" for ratio in ratios)
        raise ConfigError(f"--ratios {written} cannot be used: none may be negative and train must be above 0")
    return {part: ratio / sum(ratios) for part, ratio in zip(PARTS, ratios, strict=True) if ratio > 0}


def _groups_by_label(
    labels: Sequence[str], groups: "NDArray[np.int64]", keys: Sequence[str], seed: int
) -> dict[str, list[int]]:
    """Return each label's groups in an order that the seed decides."""
    members: dict[str, list[int]] = {label: [] for label in sorted(set(labels))}
    seen = 0
    for label, group in zip(labels, groups.tolist(), strict=True):
        if group == seen:  # groups are numbered as they come, so this is the first row of a new one
            members[label].append(group)
            seen += 1
    for member in members.values():
        member.sort(key=lambda group: (_digest(seed, keys[group]), group))
    return members


def _check_sizes(members: dict[str, list[int]], shares: dict[str, float]) -> None:
    small = [f"{label!r} ({len(groups)})" for label, groups in members.items() if len(groups) < len(shares)]
    if small:
        listed = ", ".join(small[:20]) + ", …" * (len(small) > 20)
        raise DataError(
            f"too few different texts for each of {', '.join(shares)} ({len(shares)} at least): {listed}:"
            " add rows of these classes, merge them with others or remove them"
        )


def _allocate(total: int, shares: list[float], ties: list[bytes]) -> list[int]:
    """Divide by largest remainder, at least 1 each; ties go by hash, so no part gains over many classes."""
    quotas = [total * share for share in shares]
    counts = [max(1, math.floor(quota + 1e-9)) for quota in quotas]
    while missing := total - sum(counts):
        step = 1 if missing > 0 else -1
        can_change = [part for part in range(len(counts)) if counts[part] + step >= 1]
        part = max(can_change, key=lambda i: (round(step * (quotas[i] - counts[i]), 9), ties[i]))
        counts[part] += step
    return counts


def _digest(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\n{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
