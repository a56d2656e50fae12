"""Check that the labels of a cleaned table are classes, and say where they are not."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.label_kinds import unusual_kind
from emoclass.data.columns.labels import each_name, names_of
from emoclass.data.columns.naming import FileRows, all_located, listed_labels, located, shortened
from emoclass.data.tables.formats import format_of
from emoclass.errors import DataError

# A class with more rows is no accident of a single line.
RARE = 2


@dataclass(frozen=True)
class LabelProblem:
    """Labels of a table that are no classes.

    Attributes:
        code: ``several_labels``, ``scores``, ``many_numbers``, ``vectors`` or ``objects``.
        rows: Rows with such a label.
        share: Their share of the kept rows.
        example: The first such label.
        labels: The labels in it if these are several.
        first_row: Its 1-based data row.
        first_line: Line where that row starts; ``None`` for Parquet.
        message: One line that says all that, and what to do.
        fatal: Whether training on them makes no sense.
    """

    code: str
    rows: int
    share: float
    example: str
    labels: tuple[str, ...]
    first_row: int
    first_line: int | None
    message: str
    fatal: bool


@dataclass(frozen=True)
class RareClass:
    """A class with hardly any rows.

    Attributes:
        name: The class.
        rows: Its 1-based data rows, at most ``RARE``.
        lines: Lines where they start; ``None`` for Parquet.
    """

    name: str
    rows: tuple[int, ...]
    lines: tuple[int | None, ...]


def find_label_problem(data: CleanData) -> LabelProblem | None:
    """Return what makes the labels no classes, ``None`` if they seem to be classes."""
    kind = unusual_kind(Counter(each_name(data.labels)))
    if kind is None:
        return None
    positions = [n for n, label in enumerate(data.labels) if not kind.names.keys().isdisjoint(names_of(label))]
    row, line = data.origin(positions[0])
    example = next(name for name in names_of(data.labels[positions[0]]) if name in kind.names)
    share = len(positions) / len(data)
    where = located(row, line, data.files)
    message = f"{share:.1%} of the rows {kind.fact}, the first {shortened(example)} in {where}: {kind.remedy}"
    labels = kind.names[example]
    return LabelProblem(kind.code, len(positions), share, example, labels, row, line, message, fatal=kind.fatal)


def require_classes(data: CleanData, options: Sequence[str] = ()) -> tuple[str, ...]:
    """Return notes on labels that may be no classes.

    Args:
        data: The training rows.
        options: The options with which the table was read, as words of a command.

    Raises:
        DataError: Training on the labels makes no sense.
    """
    problem = find_label_problem(data)
    if problem is None:
        return ()
    if problem.code == "several_labels":
        raise DataError(f"{data.name}: {_several(data, problem, options)}")
    if problem.fatal:
        raise DataError(f"{data.name}: {problem.message}")
    return (f"{data.name}: {problem.message}",)


def _several(data: CleanData, problem: LabelProblem, options: Sequence[str]) -> str:
    where = located(problem.first_row, problem.first_line, data.files)
    labels = listed_labels(problem.labels, most=5)
    fact = f"{where} has the labels {labels}; {problem.share:.1%} of the rows have several"
    if data.columns.task == "multi":
        return f"{fact} in one label: pass what stands between them as --label-separator"
    remedy = f"{fact}, but one label per text is learned: learn any number of them with --task multi, or choose one"
    if problem.rows == len(data) or data.files or not Path(data.name).is_file():  # but a pipe or a data frame
        return f"{remedy} for each"
    return f"{remedy} for each, or leave these rows out with: {_fix_command(data, options)}"


def _fix_command(data: CleanData, options: Sequence[str]) -> str:
    """Return the command that writes a copy of the table without these rows."""
    format_, compressed = format_of(data.name)
    suffix = Path(data.name).suffix if format_ and not compressed else ".csv"
    options_of = {"--text-column": data.columns.texts, "--label-column": data.columns.labels, "--task": ("single",)}
    columns = [word for option, names in options_of.items() for name in names for word in (option, name)]
    words = ["emoclass", "inspect-data", data.name, *columns, *options, "--fix", f"one-label{suffix}"]
    return shlex.join(words)


def rare_classes(data: CleanData) -> tuple[RareClass, ...]:
    """Return the classes with one or two rows, if others have more; they may be stray headers or typing errors."""
    counts = Counter(each_name(data.labels))
    rare = {name for name, count in counts.items() if count <= RARE}
    if len(rare) == len(counts):
        return ()
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for position, label in enumerate(data.labels):
        for name in rare.intersection(names_of(label)):
            positions[name].append(position)
    found = []
    for name, places in positions.items():
        rows, lines = zip(*map(data.origin, places), strict=True)
        found.append(RareClass(name, rows, lines))
    return tuple(found)


def places_of(classes: Collection[RareClass], files: Sequence[FileRows] = (), *, most: int = 5) -> str:
    """Return where the first of some rare classes are: "'envy' is only in row 3 (line 4), 'hope' in …"."""
    places = [f"{shortened(each.name)} is only in {all_located(each.rows, each.lines, files)}" for each in classes]
    return "; ".join([*places[:most], *[f"and {len(places) - most} more"] * (len(places) > most)])


def named_rare(data: CleanData, names: Iterable[str]) -> str:
    """Return where those of the classes are that have one or two rows; empty if none has."""
    wanted = set(names)
    return places_of([each for each in rare_classes(data) if each.name in wanted], data.files)
