"""How many labels the texts of a table have, and which of them stand together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from emoclass.data.columns.labels import Label, each_name, names_of
from emoclass.data.inspection.results import LabelPair, SeveralLabels

_SHOWN = 10


def count_several(labels: Sequence[Label]) -> SeveralLabels:
    """Return how many labels rows have, and the pairs of labels that most rows have."""
    sizes = Counter(len(names_of(label)) for label in labels)
    alone = Counter(each_name(labels))
    together = Counter(pair for label in labels for pair in combinations(names_of(label), 2))
    return SeveralLabels(
        rows=tuple(sizes[number] for number in range(max(sizes) + 1)),
        mean=sum(number * rows for number, rows in sizes.items()) / len(labels),
        pairs=tuple(
            LabelPair(first, second, rows, rows * len(labels) / (alone[first] * alone[second]))
            for (first, second), rows in sorted(together.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        ),
        different_pairs=len(together),
    )
