"""Files to rows and back.

``records.open_records`` opens any input: ``sources`` reads its bytes, ``sniffing`` looks at the first of them and says
what it is, and ``delimited``, ``jsonlines``, ``fasttext``, ``plain`` (on top of ``decoding``), ``parquet`` or ``excel``
parses it strictly. ``dialects`` and ``headers`` decide how CSV is written, ``jsondocuments`` where the rows of a JSON
document are. ``table`` holds a whole input, ``frames`` makes one of a data frame,
``split_directories`` finds the files of a split by what ``shards`` reads in their names, ``joined`` reads several as
one, ``writing`` writes records of any format, in the style that ``styles`` finds where a file is replaced, and ``rows``
a table to one new file; ``features`` reads what the schema of Parquet says beside the types.
"""

__all__ = [
    "features",
    "formats",
    "frames",
    "joined",
    "options",
    "parquet",
    "records",
    "row_errors",
    "rows",
    "shards",
    "sources",
    "split_directories",
    "styles",
    "table",
    "writing",
]
