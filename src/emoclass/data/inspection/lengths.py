"""Compute statistics of text lengths."""

from collections.abc import Sequence

from emoclass.data.inspection.results import LengthStats, TokenStats

_BINS = 12


def length_stats(lengths: Sequence[int]) -> LengthStats:
    """Return the statistics of one length or more."""
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
    """Return the statistics of lengths in tokens, with tokens over the limit and unknown tokens."""
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
