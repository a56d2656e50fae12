"""Read what file names say: their split, and their place among the shards of a split."""

import re
from collections.abc import Mapping, Sequence, Set
from itertools import islice, pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

from emoclass.data.tables.formats import format_of
from emoclass.errors import DataError

_SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "validation": "val", "valid": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
# A number, "of" the number of shards, and an id: train-00000-of-00002-a0b1c2d3e4f5a6b7.
_NUMBERED = re.compile(r"(?P<stem>.*?)(?:^|[-_.])(?P<number>\d+)(?:[-_]of[-_](?P<total>\d+))?(?:-[0-9a-f]{8}\S*)?")
# Without "of", short numbers are versions, folds or years.
_LONG_NUMBER = re.compile(r"0\d{3,}|\d{5,}")
_SHOWN_MISSING = 5

KEEP_ONE = "keep one of them, or join them"


class Shard(NamedTuple):
    """The place of a file among the shards of a table.

    Attributes:
        stem: What stands before the number in the file's name, in lower case.
        number: Its number.
        total: Number of shards as the name says it, ``None`` if it does not.
        place: Start and end of the number in the name.
    """

    stem: str
    number: int
    total: int | None
    place: tuple[int, int]


def shard_of(name: str, *, long_number: bool) -> Shard | None:
    """Return the place that a file name says, ``None`` without a number.

    Args:
        name: Name of the file.
        long_number: Whether a number counts only with the total, or if it has at least five digits or leading zeros.
    """
    match = _NUMBERED.fullmatch(bare_name(name))
    if match is None:
        return None
    if long_number and match["total"] is None and not _LONG_NUMBER.fullmatch(match["number"]):
        return None
    total = None if match["total"] is None else int(match["total"])
    return Shard(match["stem"], int(match["number"]), total, match.span("number"))


def split_of(name: str | Path) -> str | None:
    """Return the split that a file name stands for: train, val, test or ``None``."""
    stem = _stem(Path(name).name)
    return _SPLIT_WORDS.get(stem.split(".")[0])


def loose_split_of(name: str) -> str | None:
    """Return the only split whose word is a part of a file name, such as ``emotions_train_v2.csv``."""
    splits = {_SPLIT_WORDS[word] for word in re.split(r"[^a-z0-9]+", _stem(name)) if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def bare_name(name: str) -> str:
    """Return a file name in lower case without the suffixes of format and compression."""
    bare = name.lower().removesuffix(".gz")
    return bare if format_of(bare)[0] is None else Path(bare).stem


def in_order(paths: Sequence[Path], *, where: str, split: str, long_number: bool = True) -> tuple[Path, ...]:
    """Return the file or the shards of a split in the order of their numbers.

    Args:
        paths: All files that could be the split, at least one.
        where: What messages call their directory.
        split: The split.
        long_number: See ``shard_of``.

    Raises:
        DataError: There are several files that are not shards of one table, or shards are missing.
    """
    shards = {path: shard_of(path.name, long_number=long_number) for path in paths}
    ordered = sorted(paths, key=lambda path: shards[path] or Shard("", -1, None, (0, 0)))
    first = shards[ordered[0]]
    if len(ordered) > 1:
        _require_one_table(ordered, shards, where=where, split=split)
    if first is not None and (first.total is not None or len(ordered) > 1):
        numbers = {shard.number for shard in shards.values() if shard is not None}
        _require_all(ordered[0].name, first, numbers, where=where)
    return tuple(ordered)


def pattern_of(names: Sequence[str]) -> str:
    """Return a pattern for the names of shards, such as ``train-*-of-00002.parquet``."""
    start = _common_start(names).rstrip("0123456789")
    end = _common_start([name[len(start) :][::-1] for name in names])[::-1].lstrip("0123456789")
    return f"{start}*{end}"


def _common_start(names: Sequence[str]) -> str:
    same = takewhile(lambda characters: len({*characters}) == 1, zip(*names, strict=False))
    return "".join(characters[0] for characters in same)


def _require_one_table(ordered: Sequence[Path], shards: Mapping[Path, Shard | None], *, where: str, split: str) -> None:
    for other, path in pairwise(ordered):
        if not _continues(shards[path], shards[other]) or format_of(path.name)[0] != format_of(other.name)[0]:
            raise DataError(f"{where}: both {other.name} and {path.name} could be the {split} set: {KEEP_ONE}")


def _continues(shard: Shard | None, before: Shard | None) -> bool:
    if shard is None or before is None or shard.number == before.number:
        return False
    return (shard.stem, shard.total) == (before.stem, before.total)


def _require_all(name: str, first: Shard, numbers: Set[int], *, where: str) -> None:
    """Raise an error that names the missing ones among the shards, numbered from 0 or from 1."""
    total = len(numbers) if first.total is None else first.total
    start = int(total in numbers) if first.total is not None else min(1, first.number)
    end = start + total if first.total is not None else max(numbers) + 1
    begin, stop = first.place
    missing = (number for number in range(start, end) if number not in numbers)
    shown = [f"{name[:begin]}{number:0{stop - begin}}{name[stop:]}" for number in islice(missing, _SHOWN_MISSING + 1)]
    if shown:
        listed = ", ".join([*shown[:_SHOWN_MISSING], *["…"] * (len(shown) > _SHOWN_MISSING)])
        verb = "is" if len(shown) == 1 else "are"
        raise DataError(f"{where}: {listed} {verb} missing beside {name}: add what is missing, or pass one file")
    if max(numbers) >= end:
        raise DataError(f"{where}: more shards than the {total} that {name} names: remove those of another table")


def _stem(name: str) -> str:
    shard = shard_of(name, long_number=True)
    return bare_name(name) if shard is None else shard.stem
