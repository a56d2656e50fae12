"""Detect labels that are no classes: several in one cell, scores, counts, objects."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emoclass.data.columns.cells import labels_in
from emoclass.data.columns.literals import parse_literal

Code = Literal["several_labels", "scores", "many_numbers", "vectors", "objects"]

_SEPARATORS = (",", ";#", ";", "|", "#", "/", "+", "&", "::", " and ", "\n", "\t", "，", "、", " ", "-", "_")
# Names of one class have these, too: every piece has to stand alone in other cells.
INSIDE_NAMES = (" ", "-", "_")
# Around several labels in the notation of some database or language, and a weight behind one of them.
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_WEIGHT = re.compile(r"\s*[:=]\s*[\d.]+%?$")
# Between these, numbers are ids even if none of them stands alone. "3/5" is a rating, "2,7" may be a decimal comma.
_ID_SEPARATORS = (",", ";", "|", "#", "\n", "\t")
_SPOKEN = {" ": "a space", "\n": "a line break", "\t": "a tab"}
_NEARLY_ALL = 0.8
_ID = re.compile(r"0|[1-9]\d{0,3}")
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d{1,3})?")
# More values than these, or fewer rows of each, and nobody would call them classes.
_MOST_SCORES, _ROWS_OF_A_SCORE = 50, 5
_FEW_NUMBERS = 20
_VECTOR = 3


@dataclass(frozen=True)
class LabelKind:
    """Labels that are no classes.

    Attributes:
        code: Name of the kind.
        names: The labels concerned, each with the labels that it holds if these are several.
        separator: What stands between several labels; empty where cells hold lists.
        fact: What they are, as the rest of a sentence about these rows.
        remedy: What to do.
        fatal: Whether training on them makes no sense.
    """

    code: Code
    names: Mapping[str, tuple[str, ...]]
    fact: str
    remedy: str
    fatal: bool = True
    separator: str = ""


_NAME_COLUMN = "and name it with --label-column"
_SCORES = f"scores on a scale, not classes: put ranges such as low and high into a column of their own, {_NAME_COLUMN}"
_FEW_SCORES = (
    f"each is learned as a class of its own; if they are scores, put ranges into another column, {_NAME_COLUMN}"
)
_COUNTS = f"ids or counts, not classes: put the class of each row into a column, {_NAME_COLUMN}"
_VECTORS = f"one number for each class: write the class of each row into a column, {_NAME_COLUMN}"
_OBJECTS = f"not classes: write the class of each row into a column, {_NAME_COLUMN}"
_SEVERAL = (
    "too few to be sure: learn any number of labels with --task multi, or choose one for each, or let inspect-data"
    " --fix leave these rows out"
)


def unusual_kind(counts: Mapping[str, int]) -> LabelKind | None:
    """Return the kind of labels that are no classes, ``None`` if they seem to be classes.

    Args:
        counts: Rows of each label.
    """
    several = _several(counts)
    if several and _are_vectors(list(several.values())):
        length = len(next(iter(several.values())))
        return LabelKind("vectors", several, f"have lists of {length} numbers as labels", _VECTORS)
    if several:
        separator = _separator(several)
        shown = f"separated by {_SPOKEN.get(separator, repr(separator.strip()))}" if separator else "in a list"
        return LabelKind("several_labels", several, f"have several labels {shown}", _SEVERAL, separator=separator)
    objects = [name for name in counts if name[:1] in ("[", "{") and parse_literal(name) is not None]
    rows = sum(counts.values())
    if sum(counts[name] for name in objects) * 2 > rows:
        return LabelKind("objects", _no_labels(objects), "have an object or a nested list as label", _OBJECTS)
    return _numeric_kind(counts, rows)


def _several(counts: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Return the labels in each cell that has several."""
    found = {name: tuple(labels) for name in counts if (labels := labels_in(name))}
    for separator in _SEPARATORS:
        divided = {name: pieces_of(name, separator) for name in counts if separator in name and name not in found}
        pieces = {name: labels for name, labels in divided.items() if len(labels) > 1}
        if pieces and _are_labels(pieces, counts, separator):
            found |= pieces
    return found


def _are_labels(pieces: Mapping[str, tuple[str, ...]], counts: Mapping[str, int], separator: str) -> bool:
    """Return whether the pieces are names that stand alone in other cells, or ids.

    Where most names do, one that never does is known by other cells that have it beside other names.
    """
    are_ids = all(_ID.fullmatch(piece) for labels in pieces.values() for piece in labels)
    may_be_fractions = are_ids and separator == "," and all(_NUMBER.fullmatch(name) for name in pieces)
    if are_ids and separator in _ID_SEPARATORS and not may_be_fractions:
        return True
    known = {piece.casefold() for name in counts if name not in pieces for piece in pieces_of(name, separator)}
    cells = Counter(piece.casefold() for labels in pieces.values() for piece in set(labels))
    if separator not in INSIDE_NAMES and 2 * len(known & cells.keys()) >= len(cells):
        known |= {piece for piece, number in cells.items() if number > 1}
    every = [(piece.casefold() in known, counts[name]) for name, labels in pieces.items() for piece in labels]
    share = 1.0 if separator in INSIDE_NAMES and not are_ids else _NEARLY_ALL
    if sum(rows for is_known, rows in every if is_known) < share * sum(rows for _, rows in every):
        return False
    are_halves = may_be_fractions and len(pieces) > 2 and {labels[1] for labels in pieces.values()} == {"5"}
    return not are_halves


def pieces_of(name: str, separator: str) -> tuple[str, ...]:
    """Return the labels in a cell: what stands between separators, without brackets, quotes and weights."""
    if _BRACKETS.get(name[:1]) == name[-1:] and len(name) > 1:
        name = name[1:-1]
    return tuple(piece for part in name.split(separator) if (piece := _WEIGHT.sub("", part).strip(" \"'")))


def _separator(several: Mapping[str, tuple[str, ...]]) -> str:
    """Return what separates the labels of the first cell; "" if it is a list."""
    name, labels = next(iter(several.items()))
    return "" if labels_in(name) else next(each for each in _SEPARATORS if pieces_of(name, each) == labels)


def _are_vectors(cells: Sequence[tuple[str, ...]]) -> bool:
    """Return whether labels are numbers, the same count in each, that repeat within one or have fractions."""
    if {len(cell) for cell in cells} != {len(cells[0])} or len(cells[0]) < _VECTOR:
        return False
    numbers = [_number(item) for cell in cells for item in cell]
    is_fraction = any(number is not None and not number.is_integer() for number in numbers)
    return None not in numbers and (is_fraction or all(len(set(cell)) < len(cell) for cell in cells))


def _numeric_kind(counts: Mapping[str, int], rows: int) -> LabelKind | None:
    numbers = {name: number for name in counts if (number := _number(name)) is not None}
    if sum(counts[name] for name in numbers) < 0.9 * rows:
        return None
    fractions = [name for name, number in numbers.items() if not number.is_integer()]
    if fractions:
        many = len(numbers) > _MOST_SCORES or rows < _ROWS_OF_A_SCORE * len(numbers)
        remedy = _SCORES if many else _FEW_SCORES
        return LabelKind("scores", _no_labels(fractions), "have numbers with fractions as labels", remedy, fatal=many)
    if len(numbers) > _FEW_NUMBERS and len(numbers) > _NEARLY_ALL * rows:
        fact = f"have whole numbers as labels, {len(numbers):,} different ones"
        return LabelKind("many_numbers", _no_labels(numbers), fact, _COUNTS)
    return None


def _no_labels(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, ())


def _number(name: str) -> float | None:
    name = unicodedata.normalize("NFKC", name)
    return float(name.replace(",", ".")) if _NUMBER.fullmatch(name) else None
