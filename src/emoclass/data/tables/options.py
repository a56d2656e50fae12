"""Options of reading a table, and the first lines that decide what is not given."""

from __future__ import annotations

from dataclasses import dataclass

from emoclass.data.tables.formats import QUOTINGS
from emoclass.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    r"""How a table is written; what is ``None`` is detected.

    Attributes:
        format: ``csv``, ``tsv``, ``jsonl``, ``parquet``, ``fasttext`` or ``xlsx``; by suffix and content if ``None``.
        encoding: Encoding of text; that of a byte order mark or UTF-8 if ``None``.
        delimiter: Field separator of csv, one character or ``tab``.
        quoting: How csv and tsv write quotes: ``double`` (``""``), ``backslash`` (``\"``), ``single`` (``'…'``) or
            ``none``: quotes are plain characters.
        header: Whether the first line of csv and tsv names the columns.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    header: bool | None = None

    def __post_init__(self) -> None:
        if self.quoting not in (None, *QUOTINGS):
            raise ConfigError(f"--quoting {self.quoting} is not known: use {', '.join(QUOTINGS)}")


@dataclass(frozen=True)
class Sample:
    """The first lines of a text.

    Attributes:
        lines: Complete lines with their ends; none where waiting for them would delay records.
        whole: Whether these are all lines.
    """

    lines: tuple[str, ...] = ()
    whole: bool = False
