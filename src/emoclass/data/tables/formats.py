"""The formats of tables and the file name suffixes that stand for them."""

from pathlib import Path

from emoclass.errors import ConfigError

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


# Names of files that are not written; with one of these, a table would be taken for something else.
_NOT_WRITTEN = {
    ".bz2", ".xz", ".zst", ".zip", ".7z", ".json", ".xlsx", ".xls", ".xlsm", ".ods", ".feather", ".arrow", ".orc",
    ".pkl", ".pickle", ".html", ".db", ".sqlite",
}  # fmt: skip


def check_output_name(option: str, name: str) -> None:
    """Check that the name of an output does not promise what is not written.

    Raises:
        ConfigError: It does.
    """
    format, compressed = format_of(name)
    if compressed and format == "parquet":
        raise ConfigError(f"{option} {name}: Parquet is compressed by itself: leave out .gz")
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    if suffix in _NOT_WRITTEN:
        raise ConfigError(
            f"{option} {name}: {suffix} is not written: use .csv, .tsv or .jsonl, also with .gz, or .parquet"
        )


def written_format(format: str) -> str:
    """Return the format in which rows of an input are written if no other is given."""
    return format if format in FORMATS else "csv"
