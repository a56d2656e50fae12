"""Files to rows and back.

``records.open_records`` opens any input; ``delimited``, ``jsonlines``, ``parquet`` and ``plain`` parse one format each,
on top of ``sources`` (bytes) and ``decoding`` (text). ``table`` holds a whole input, ``split_directories`` finds the
files of a split by what ``shards`` reads in their names, ``joined`` reads several as one, ``writing`` writes records of
any format and ``rows`` a table to one new file; ``features`` reads what the schema of Parquet says beside the types.
"""

__all__ = [
    "features",
    "formats",
    "joined",
    "parquet",
    "records",
    "rows",
    "shards",
    "split_directories",
    "table",
    "writing",
]
