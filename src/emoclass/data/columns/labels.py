"""Map class names to ids and back."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from emoclass.data.columns.naming import listed_labels, shortened
from emoclass.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Only canonical integers: "1", "01" and "+1" are different names.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,14}\.?[0-9]{0,14}|\.[0-9]{1,14})")
_SHOWN = 3


@dataclass(frozen=True)
class LabelSet:
    """The classes of a classifier.

    Attributes:
        names: Class names; ``names[i]`` is the class with id ``i``.

    Raises:
        DataError: Names are repeated, or there are fewer than two.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise DataError(f"class names must differ: {listed_labels(self.names)}")
        if len(self.names) < 2:
            found = f"only {shortened(self.names[0])}" if self.names else "none"
            raise DataError(f"at least two classes are needed, found {found}: add rows of another class")

    @classmethod
    def from_labels(cls, labels: Iterable[str], *, where: str = "") -> "LabelSet":
        """Return the distinct labels in the order of ``sorted_names``.

        Args:
            labels: Label of each row.
            where: Prefix of messages that names the source of the labels.

        Raises:
            DataError: There are fewer than two classes.
        """
        try:
            return cls(tuple(sorted_names(labels)))
        except DataError as error:
            raise DataError(f"{where}{error}") from None

    @cached_property
    def label2id(self) -> dict[str, int]:
        """Id of each class name."""
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def id2label(self) -> dict[int, str]:
        """Class name of each id."""
        return dict(enumerate(self.names))

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, labels: Sequence[str]) -> "NDArray[np.int64]":
        """Return the class ids of labels, ``int64[labels]``.

        Raises:
            DataError: A label is not one of the classes.
        """
        import numpy as np

        label2id = self.label2id
        try:
            return np.fromiter((label2id[label] for label in labels), dtype=np.int64, count=len(labels))
        except KeyError:
            unknown = sorted(set(labels) - set(self.names))
            raise DataError(
                f"unknown label{'s' * (len(unknown) > 1)} {listed_labels(unknown)}; the classes are"
                f" {listed_labels(self.names)}{meant(unknown, self.names)}: correct the labels or remove these rows"
            ) from None

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the class names of class ids."""
        return [self.names[index] for index in ids]


def sorted_names(labels: Iterable[str]) -> list[str]:
    """Return the distinct labels, in numeric order if all are integers, else by code point."""
    distinct = set(labels)
    return sorted(distinct, key=int) if all(map(_INTEGER.fullmatch, distinct)) else sorted(distinct)


def folded_name(name: str) -> str | Decimal:
    """Return what names have in common that look the same: a number, or the name without case, accents and marks."""
    compatible = unicodedata.normalize("NFKC", name).strip()
    if _NUMBER.fullmatch(compatible):
        return Decimal(compatible).normalize() + 0  # not -0
    bare = "".join(c for c in unicodedata.normalize("NFKD", compatible.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", bare) or name


def meant(unknown: Iterable[str], names: Iterable[str]) -> str:
    """Return a question after classes that unknown labels look like, as in " (is '1.0' the class '1'?)", or ""."""
    by_fold = defaultdict(list)
    for name in names:
        by_fold[folded_name(name)].append(name)
    pairs = ((label, by_fold.get(folded_name(label), [])) for label in unknown)
    questions = [f"is {shortened(label)} the class {shortened(same[0])}?" for label, same in pairs if len(same) == 1]
    return f" ({' '.join([*questions[:_SHOWN], *['…'] * (len(questions) > _SHOWN)])})" if questions else ""
