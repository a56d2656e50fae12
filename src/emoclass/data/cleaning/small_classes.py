"""Classes with few rows: left out, or merged into one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.columns.chosen import Columns
from emoclass.data.columns.labels import each_name, sorted_names
from emoclass.data.columns.naming import counted, listed_labels, shortened
from emoclass.data.tables.split_directories import SPLITS, WHOLE
from emoclass.errors import ConfigError

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class SmallClasses:
    """What to do with classes of few rows.

    Attributes:
        fewest: Rows of the smallest class to keep; 0 keeps all.
        merged_into: The class that the others become; ``None`` leaves them out.

    Raises:
        ConfigError: The number is negative, or there is a name without a number.
    """

    fewest: int = 0
    merged_into: str | None = None

    def __post_init__(self) -> None:
        if self.fewest < 0:
            raise ConfigError(f"--min-class-rows {self.fewest} is negative")
        if self.merged_into is not None and not self.fewest:
            raise ConfigError("--merge-into needs --min-class-rows N: classes with fewer rows are merged")
        if self.merged_into is not None and not self.merged_into.strip():
            raise ConfigError("--merge-into is empty: pass the name of a class")

    def clean_parts(
        self, columns: Mapping[str, Columns], clean: Callable[[str, Columns], CleanData]
    ) -> dict[str, CleanData]:
        """Return the kept rows of tables that belong together without classes that are small in the first one.

        Args:
            columns: The columns of each table by its name or split; the training table, or the only one, is
                ``train``, ``all``, or else the first.
            clean: Cleans the table of a name with these columns.
        """
        cleaned = {name: clean(name, own) for name, own in columns.items()}
        if not self.fewest:
            return cleaned
        first = next((name for name in (SPLITS[0], WHOLE) if name in cleaned), next(iter(cleaned)))
        counts = Counter(each_name(cleaned[first].labels))
        names = {name for data in cleaned.values() for name in each_name(data.labels)}
        small = [name for name in sorted_names(names) if counts[name] < self.fewest]
        if not small:
            return cleaned
        becomes = tuple((name, self.merged_into or "") for name in small)
        rows = sum(counts[name] for name in small)
        fate = f"merged into {shortened(self.merged_into)}" if self.merged_into else "left out"
        classes = counted(len(small), "class", "classes")
        note = (
            f"{cleaned[first].name}: {classes} with fewer than {self.fewest} rows {fate} ({counted(rows, 'row')}):"
            f" {listed_labels(small, most=_SHOWN)}"
        )
        changed = {name: replace(own, becomes=(*own.becomes, *becomes)) for name, own in columns.items()}
        changed[first] = replace(changed[first], notes=(*changed[first].notes, note))
        return {name: clean(name, own) for name, own in changed.items()}
