"""The formats of tables and the file name suffixes that stand for them."""

from pathlib import Path

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

# What is read and written.
FORMATS = ("csv", "tsv", "jsonl", "parquet")

# What is only read, by suffix where one stands for it; JSON documents are read as jsonl is.
FASTTEXT, EXCEL = "fasttext", "xlsx"
READ_FORMATS = (*FORMATS, FASTTEXT, EXCEL)
_READ_SUFFIXES = {**SUFFIXES, ".json": "jsonl", ".xlsx": EXCEL, ".xlsm": EXCEL, ".tab": "tsv"}

# Plain text, one record per line: only predict reads it.
LINES = "text"

STDIN = "-"

# The usual separators of fields, with their names.
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}

# How csv and tsv write quotes: see ``ReadOptions``.
QUOTINGS = ("double", "backslash", "single", "none")


def format_of(name: str, *, reading: bool = False) -> tuple[str | None, bool]:
    """Return the format of a file name's suffix, ``None`` if unknown, and whether the name ends in .gz.

    Args:
        name: The name.
        reading: Whether formats count that are only read.
    """
    path = Path(name.lower())
    compressed = path.suffix == ".gz"
    suffixes = _READ_SUFFIXES if reading else SUFFIXES
    return suffixes.get(path.with_suffix("").suffix if compressed else path.suffix), compressed


def written_format(format: str) -> str:
    """Return the format in which rows of an input are written if no other is given."""
    return format if format in FORMATS else "csv"
