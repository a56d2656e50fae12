"""Statistics of text lengths."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LengthStats:
    """Lengths of the texts of a table; p95 is the length that 95 % of the texts do not exceed."""

    min: int
    mean: float
    p50: int
    p95: int
    p99: int
    max: int


@dataclass(frozen=True)
class TokenStats(LengthStats):
    """Lengths in content tokens, and how many texts a model has to truncate."""

    limit: int
    over_limit: int
    share_over_limit: float


def length_stats(lengths: Sequence[int]) -> LengthStats:
    """Return the statistics of lengths, of which there is at least one."""
    import numpy as np

    values = np.asarray(lengths, dtype=np.int64)
    p50, p95, p99 = np.percentile(values, [50, 95, 99], method="inverted_cdf")
    return LengthStats(int(values.min()), float(values.mean()), int(p50), int(p95), int(p99), int(values.max()))


def token_stats(lengths: Sequence[int], limit: int) -> TokenStats:
    """Return the statistics of lengths in tokens, and how many are over the limit."""
    stats = length_stats(lengths)
    over = sum(length > limit for length in lengths)
    return TokenStats(**vars(stats), limit=limit, over_limit=over, share_over_limit=over / len(lengths))
