"""The formats of tables and the file name suffixes that stand for them."""

from pathlib import Path

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

FORMATS = ("csv", "tsv", "jsonl", "parquet")

# Plain text, one record per line: only predict reads it.
LINES = "text"

STDIN = "-"


def format_of(name: str) -> tuple[str | None, bool]:
    """Return the format of a file name's suffix, ``None`` if unknown, and whether the name ends in .gz."""
    path = Path(name.lower())
    compressed = path.suffix == ".gz"
    return SUFFIXES.get(path.with_suffix("").suffix if compressed else path.suffix), compressed
