"""Parse fastText's training files: ``__label__joy some text``."""

import re
from collections.abc import Iterable, Iterator

_LABEL = re.compile(r"(?:^|(?<=\s))__label__(\S+)")

Row = tuple[int, list[object]]


class FastTextRows:
    """Rows of a fastText file as (line, [label, text]); the label is a list where a line has several."""

    notes: tuple[str, ...] = ()

    def __init__(self, lines: Iterable[str]) -> None:
        self.columns = ["label", "text"]
        self._lines = lines

    def __iter__(self) -> Iterator[Row]:
        for number, line in enumerate(self._lines, start=1):
            if line.strip():
                labels = _LABEL.findall(line)
                label = labels[0] if len(labels) == 1 else labels or None
                yield number, [label, _LABEL.sub("", line).strip()]


def is_fasttext(line: str) -> bool:
    """Return whether a line has a label of fastText at its start or end."""
    words = line.split()
    return bool(words) and any(word.startswith("__label__") and len(word) > 9 for word in (words[0], words[-1]))
