"""Find the files of the splits of a directory, in the layout of ``emoclass split`` or of the Hugging Face hub."""

from __future__ import annotations

import shlex
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from emoclass.data.tables.formats import SUFFIXES, format_of
from emoclass.data.tables.frames import FRAME, TableSource
from emoclass.data.tables.shards import KEEP_ONE, in_order, loose_split_of, pattern_of, shard_of, split_of
from emoclass.errors import DataError

SPLITS = ("train", "val", "test")
# Stands for the splits where a single table has none.
WHOLE = "all"

# Suffix of the record of changes that inspect-data --fix writes beside a table.
CHANGES = ".changes.csv"

# Hub directories have their tables in data/train-…, config/train-…, or config/train/….
_DEPTH = 2
_SHOWN, _MOST_FOLDERS = 10, 1000


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split.

    Attributes:
        name: What messages call the split: its path, or a pattern for several files.
        paths: The only file, or shards to be read as one table in this order.
        notes: What was recognized without an option.
        frame: A data frame in place of files.
    """

    name: str
    paths: tuple[str | Path, ...] = ()
    notes: tuple[str, ...] = ()
    frame: Any = None

    @classmethod
    def of(cls, source: TableSource, name: str = FRAME) -> SplitFiles:
        """Return one file, or a data frame with the name."""
        if isinstance(source, str | Path):
            return cls(str(source), (source,))
        return cls(name, frame=source)


def find_splits(directory: str | Path, only: tuple[str, ...] = SPLITS) -> dict[str, SplitFiles]:
    """Return the files of the given splits in a directory or its only folder with such files, as far as they exist.

    Files are named like their split, ``train.csv`` or, without such a file, ``train.txt``; numbered shards of it,
    ``train-00000-of-00002.parquet``, are one table, as are those in a folder with the name, ``train/0000.parquet``.
    Where no name is that of a split, the only file whose name has the word counts, ``emotions_train.csv``.

    Raises:
        DataError: The directory cannot be read, shards are missing, or several files or folders could be meant.
    """
    home, notes = _find_home(Path(directory))
    found = home.splits(only)
    return {split: replace(files, notes=(*notes, *files.notes)) for split, files in found.items()}


def split_paths(source: TableSource, only: tuple[str, ...] = SPLITS) -> dict[str, SplitFiles]:
    """Return a file as ``{"all": files}``, or the splits of a directory by name.

    Args:
        source: A file, ``-``, a directory, or a data frame.
        only: The splits to return of a directory; the first of them must exist, and is what shards are whose names say
            no split.

    Raises:
        DataError: The directory lacks the first split, or several files could be meant; see ``find_splits``.
    """
    if not isinstance(source, str | Path):
        return {WHOLE: SplitFiles.of(source)}
    if not Path(source).is_dir():
        return {WHOLE: replace(SplitFiles.of(source), notes=_other_shards(Path(source)))}
    found = find_splits(source, only)
    if not found and (files := _only_shards(Path(source), only[0])):
        return {only[0]: files}
    if only[0] not in found:
        raise DataError(_advice(Path(source), only[0]))
    return found


def _only_shards(directory: Path, split: str) -> SplitFiles | None:
    """Return the tables of a directory if these are shards whose names say no split."""
    tables = _tables_in(directory)
    if len(tables) < 2 or not all(shard_of(path.name, long_number=True) for path in tables):
        return None
    files = _joined(in_order(tables, where=str(directory), split=split))
    return replace(files, notes=(*files.notes, f"{files.name}: taken as the {split} set"))


def _find_home(directory: Path) -> tuple[_Home, tuple[str, ...]]:
    """Return the directory, or the only one below it, that holds splits, and what to say about that."""
    try:
        home = _Home(directory)
    except OSError as error:
        raise DataError(f"{directory}: cannot be read as a directory: {error.strerror or error}") from error
    below = [] if home.is_named else _homes_below(directory)
    below = [each for each in below if each.is_named] or ([] if home.has_splits else below)
    places = [str(each.path) for each in below] + home.loose_names()
    if len(places) > 1 and below:
        raise DataError(f"{directory}: several data sets could be meant: pass one of {_listed(places)}")
    if not below:
        return home, ()
    (only,) = below
    notes = (f"{directory}: the only splits are those of {only.path}, which are read",)
    return only, () if only.path.name == "data" else notes


class _Home:
    """A directory that may hold the splits of one data set.

    Raises:
        OSError: The directory cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._named: defaultdict[str, list[Path]] = defaultdict(list)
        self._loose: defaultdict[str, list[Path]] = defaultdict(list)
        self._in_folders: defaultdict[str, list[Path]] = defaultdict(list)
        others: defaultdict[str, list[Path]] = defaultdict(list)
        for entry in _visible(path):
            split = split_of(entry.name)
            if entry.is_dir():
                if split is not None and (tables := _tables_in(entry)):
                    self._in_folders[split] += tables
            elif is_table(entry):
                if split is not None:
                    self._named[split].append(entry)
                elif loose := loose_split_of(entry.name):
                    self._loose[loose].append(entry)
            elif split is not None and _may_be_table(entry):
                others[split].append(entry)
        for split, files in others.items():
            if split not in self._named and split not in self._in_folders:
                self._named[split] += files

    @property
    def is_named(self) -> bool:
        """Return whether a file or folder is named like a split."""
        return bool(self._named or self._in_folders)

    @property
    def has_splits(self) -> bool:
        """Return whether a file or folder is named like a split, or a file has its word in the name."""
        return self.is_named or bool(self._loose)

    def loose_names(self) -> list[str]:
        """Return the paths of the files that only have the word of a split in their names."""
        return [str(path) for paths in self._loose.values() for path in paths]

    def splits(self, only: tuple[str, ...]) -> dict[str, SplitFiles]:
        """Return the files of the given splits, as far as they exist.

        Raises:
            DataError: Several files could be meant, or shards are missing.
        """
        known = {*self._named, *self._in_folders, *self._loose}
        return {split: self._files_of(split) for split in only if split in known}

    def _files_of(self, split: str) -> SplitFiles:
        folders = {path.parent: None for path in self._in_folders[split]}
        places = [path.name for path in self._named[split][:1]] + [f"{path.name}/" for path in folders]
        if len(places) > 1:
            both = " and ".join(places[:2])
            raise DataError(f"{self.path}: both {both} could be the {split} set: {KEEP_ONE}")
        if folders:
            (folder,) = folders
            return _joined(in_order(self._in_folders[split], where=str(folder), split=split, long_number=False))
        if self._named[split]:
            files = _joined(in_order(self._named[split], where=str(self.path), split=split))
            unread = tuple(f"{path}: not read, for {files.name} is the {split} set" for path in self._loose[split])
            return replace(files, notes=(*files.notes, *unread))
        files = _joined(in_order(self._loose[split], where=str(self.path), split=split))
        return replace(files, notes=(*files.notes, f"{files.name}: taken as the {split} set, by its name"))


def _other_shards(path: Path) -> tuple[str, ...]:
    shard = shard_of(path.name, long_number=True)
    if split_of(path.name) is None or shard is None or (shard.total or 1) == 1:
        return ()
    return (f"{path}: one of {shard.total} files of a table; pass {path.parent} to read all",)


def is_table(path: Path) -> bool:
    """Return whether a file has a name like a table, and is no record of changes."""
    return format_of(path.name)[0] is not None and not path.name.endswith(CHANGES)


def _may_be_table(path: Path) -> bool:
    """Return whether a file has a name that tables have among others: .json, .xlsx, .txt."""
    name = path.name.lower().removesuffix(".gz")
    return format_of(name, reading=True)[0] is not None or name.endswith(".txt")


def _joined(paths: tuple[Path, ...]) -> SplitFiles:
    if len(paths) == 1:
        return SplitFiles(str(paths[0]), paths)
    name = str(paths[0].parent / pattern_of([path.name for path in paths]))
    return SplitFiles(name, paths, (f"{name}: {len(paths)} files, read as one table",))


def _visible(directory: Path) -> list[Path]:
    """Return the entries of a directory in order; a leading dot or underscore marks side files of programs."""
    return sorted(path for path in directory.iterdir() if not path.name.startswith((".", "_")))


def _entries(directory: Path) -> list[Path]:
    """Return the visible entries of a directory, none if it cannot be read."""
    try:
        return _visible(directory)
    except OSError:
        return []


def _tables_in(directory: Path) -> list[Path]:
    return [path for path in _entries(directory) if is_table(path) and not path.is_dir()]


def _folders_below(directory: Path) -> list[Path]:
    """Return the folders below a directory, not too deep and not too many, those of a level before those below them."""
    found: list[Path] = []
    level = [directory]
    for _ in range(_DEPTH):
        inner = (path for folder in level for path in _entries(folder) if path.is_dir())
        level = list(islice(inner, _MOST_FOLDERS - len(found)))
        found += level
    return found


def _homes_below(directory: Path) -> list[_Home]:
    """Return the directories below one that hold splits, without those below them."""
    homes: list[_Home] = []
    for folder in _folders_below(directory):
        if not any(home.path in folder.parents for home in homes):
            with suppress(OSError):
                home = _Home(folder)
                homes += [home] if home.has_splits else []
    return homes


def _advice(directory: Path, split: str) -> str:
    """Return the message for a directory without a split: what it has, and a command that works."""
    files = [path for folder in (directory, *_folders_below(directory)) for path in _entries(folder) if path.is_file()]
    tables = [path for path in files if is_table(path)]
    problem = f"{directory}: has no {split} file ({', '.join(SUFFIXES)})"
    if not files:
        return f"{problem}; it is empty: pass a table file"
    names = _listed([str(path.relative_to(directory)) for path in files])
    if not tables:
        return f"{problem}, only {names}: pass a table file"
    command = f"emoclass {'train' if split == 'train' else 'eval'} {_arguments(tables, split)}"
    return f"{problem}, only {names}: pass files, for example {command}"


def _arguments(files: list[Path], split: str) -> str:
    """Return files as arguments of a command: those whose names say a split as that, the largest others as missing."""
    by_split: dict[str, Path] = {}
    for path in files:
        if named := split_of(path.name) or loose_split_of(path.name):
            by_split.setdefault(named, path)
    rest = sorted((path for path in files if path not in by_split.values()), key=_size, reverse=True)
    if split != "train":
        return shlex.quote(str(by_split.get("val") or (rest or files)[0]))
    if "train" not in by_split and not rest:
        rest = [by_split.pop(max(by_split, key=lambda each: _size(by_split[each])))]
    chosen = {"train": by_split.get("train") or rest.pop(0), **by_split}
    if rest and "val" not in chosen:
        chosen["val"] = rest[0]
    options = [f"--{each} {shlex.quote(str(chosen[each]))}" for each in ("val", "test") if each in chosen]
    return " ".join([shlex.quote(str(chosen["train"])), *options])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN] + ["…"] * (len(names) > _SHOWN))
