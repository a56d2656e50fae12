"""Statistics of text lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

_BINS = 12


@dataclass(frozen=True)
class LengthStats:
    """Lengths of the texts of a table; p95 is the length that 95 % of the texts do not exceed.

    ``histogram`` has texts in bins of equal width from 0 to p99, and the rest in a last one.
    """

    min: int
    mean: float
    p50: int
    p95: int
    p99: int
    max: int
    histogram: tuple[int, ...]
    bin_width: int


@dataclass(frozen=True)
class TokenStats(LengthStats):
    """Lengths in content tokens, and what a model cannot take of them.

    Attributes:
        limit: content tokens that it takes.
        over_limit: texts with more.
        share_over_limit: their share.
        dropped: tokens that truncation drops: from the middle with head and tail, from the end with the head alone.
        share_dropped: their share of all tokens.
        unknown: tokens that are not in the vocabulary.
        share_unknown: their share of all tokens.
    """

    limit: int
    over_limit: int
    share_over_limit: float
    dropped: int
    share_dropped: float
    unknown: int
    share_unknown: float


def length_stats(lengths: Sequence[int]) -> LengthStats:
    """Return the statistics of lengths, of which there is at least one."""
    import numpy as np

    values = np.asarray(lengths, dtype=np.int64)
    p50, p95, p99 = np.percentile(values, [50, 95, 99], method="inverted_cdf")
    width = max(1, -(-int(p99) // _BINS))
    bins = np.minimum(values // width, _BINS)
    return LengthStats(
        min=int(values.min()),
        mean=float(values.mean()),
        p50=int(p50),
        p95=int(p95),
        p99=int(p99),
        max=int(values.max()),
        histogram=tuple(np.bincount(bins, minlength=_BINS + 1).tolist()),
        bin_width=width,
    )


def token_stats(lengths: Sequence[int], unknown: Sequence[int], limit: int) -> TokenStats:
    """Return the statistics of lengths in tokens, and what is over the limit or unknown."""
    stats = length_stats(lengths)
    over = sum(length > limit for length in lengths)
    dropped = sum(length - limit for length in lengths if length > limit)
    total = max(1, sum(lengths))
    return TokenStats(
        **vars(stats),
        limit=limit,
        over_limit=over,
        share_over_limit=over / len(lengths),
        dropped=dropped,
        share_dropped=dropped / total,
        unknown=sum(unknown),
        share_unknown=sum(unknown) / total,
    )
