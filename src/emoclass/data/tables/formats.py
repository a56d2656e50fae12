"""Names of formats, and the suffixes of files that have them."""

from pathlib import Path

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

FORMATS = ("csv", "tsv", "jsonl", "parquet")

LINES = "text"

STDIN = "-"


def format_of(name: str) -> tuple[str | None, bool]:
    """Return the format that a file name's suffix stands for (or None), and whether the name ends in .gz."""
    path = Path(name.lower())
    compressed = path.suffix == ".gz"
    return SUFFIXES.get(path.with_suffix("").suffix if compressed else path.suffix), compressed
