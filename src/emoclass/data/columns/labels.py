"""Map class names to ids and back."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from emoclass.config import Task
from emoclass.data.columns.naming import distinguished, listed_labels, plain_digits, shortened
from emoclass.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The label of a row: a name, or the sorted names where there may be any number of them.
Label: TypeAlias = str | tuple[str, ...]

# Only canonical integers: "1", "01" and "+1" are different names.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])_(?=[0-9])")
_STYLE = re.compile("[\ufe00-\ufe0f]")  # of emoji
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,14}\.?[0-9]{0,14}|\.[0-9]{1,14})")
_SHOWN = 3


@dataclass(frozen=True)
class LabelSet:
    """The classes of a classifier.

    Attributes:
        names: Class names; ``names[i]`` is the class with id ``i``.
        task: Whether each text has one of them, or any number.

    Raises:
        DataError: Names are repeated, or there are fewer than two.
    """

    names: tuple[str, ...]
    task: Task = "single"

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise DataError(f"class names must differ: {listed_labels(self.names)}")
        if len(self.names) < 2:
            found = f"only {shortened(self.names[0])}" if self.names else "none"
            raise DataError(f"at least two classes are needed, found {found}: add rows of another class")

    @classmethod
    def from_labels(cls, labels: Iterable[Label], *, task: Task = "single", where: str = "") -> "LabelSet":
        """Return the distinct labels in the order of ``sorted_names``.

        Args:
            labels: Label of each row.
            task: Whether these are names, or tuples of names.
            where: Prefix of messages that names the source of the labels.

        Raises:
            DataError: There are fewer than two classes.
        """
        try:
            return cls(tuple(sorted_names(each_name(labels))), task)
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

    def encode(self, labels: Sequence[Label]) -> "NDArray[Any]":
        """Return the class ids of labels, ``int64[labels]``; or which classes each has, ``bool[labels, classes]``.

        Raises:
            DataError: A label is not one of the classes.
        """
        import numpy as np

        label2id = self.label2id
        try:
            ids = np.array([label2id[name] for name in each_name(labels)], dtype=np.int64)
        except KeyError:
            unknown = sorted(set(each_name(labels)) - set(self.names))
            raise DataError(
                f"unknown label{'s' * (len(unknown) > 1)} {listed_labels(unknown)}; the classes are"
                f" {listed_labels(self.names)}{meant(unknown, self.names)}: correct the labels or remove these rows"
            ) from None
        if self.task == "single":
            return ids
        has = np.zeros((len(labels), len(self)), dtype=np.bool_)
        has[np.repeat(np.arange(len(labels)), [len(label) for label in labels]), ids] = True
        return has

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the class names of class ids."""
        return [self.names[index] for index in ids]


def names_of(label: Label) -> tuple[str, ...]:
    """Return the names in a label."""
    return (label,) if isinstance(label, str) else label


def each_name(labels: Iterable[Label]) -> Iterator[str]:
    """Yield the names in labels, row by row."""
    for label in labels:
        yield from names_of(label)


def shown_label(label: Label) -> str:
    """Return a label for a table or a file of what was read: its names, joined by commas."""
    return ", ".join(names_of(label))


def sorted_names(labels: Iterable[str]) -> list[str]:
    """Return the distinct labels, in numeric order if all are integers, else by code point."""
    distinct = set(labels)
    return sorted(distinct, key=int) if all(map(_INTEGER.fullmatch, distinct)) else sorted(distinct)


def folded_name(name: str) -> str | Decimal:
    """Return what names have in common that look the same: a number, or the name without case, accents and marks."""
    compatible = _STYLE.sub("", unicodedata.normalize("NFKC", name)).strip()
    compatible = _BETWEEN_DIGITS.sub("", plain_digits(compatible))
    if _NUMBER.fullmatch(compatible):
        return Decimal(compatible).normalize() + 0  # not -0
    bare = "".join(c for c in unicodedata.normalize("NFKD", compatible.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", bare) or compatible


def meant(unknown: Iterable[str], names: Iterable[str]) -> str:
    """Return a question after classes that unknown labels look like, as in " (is '1.0' the class '1'?)", or ""."""
    by_fold = defaultdict(list)
    for name in names:
        by_fold[folded_name(name)].append(name)
    pairs = ((label, by_fold.get(folded_name(label), [])) for label in unknown)
    shown = (distinguished((label, same[0])) for label, same in pairs if len(same) == 1)
    questions = [f"is {label} the class {name}?" for label, name in shown]
    return f" ({' '.join([*questions[:_SHOWN], *['…'] * (len(questions) > _SHOWN)])})" if questions else ""
