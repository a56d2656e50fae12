"""Read and keep what the schema of a Parquet file says beside the types: class names, and pandas' index."""

import json
from typing import Any

_HUB, _PANDAS = b"huggingface", b"pandas"
_LISTS = ("Sequence", "List", "LargeList")


def class_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of class ids by column, as the datasets library stores them; none for other files.

    Args:
        schema: A ``pyarrow.Schema``, or ``None``.
    """
    info = _parsed(schema, _HUB).get("info")
    features = info.get("features") if isinstance(info, dict) else None
    if not isinstance(features, dict):
        return {}
    columns = [field.name for field in schema if _holds_numbers(field.type)]
    return {column: names for column in columns if (names := _names(features.get(column)))}


def kept_metadata(schema: Any) -> dict[bytes, bytes] | None:
    """Return the metadata of a ``pyarrow.Schema`` for a file with some of the rows, ``None`` if it has none.

    pandas' index of consecutive numbers is left out: there are other rows.
    """
    if schema is None or schema.metadata is None:
        return None
    kept: dict[bytes, bytes] = dict(schema.metadata)
    pandas = _parsed(schema, _PANDAS)
    if isinstance(index := pandas.get("index_columns"), list):
        pandas["index_columns"] = [each for each in index if not isinstance(each, dict)]
        kept[_PANDAS] = json.dumps(pandas).encode()
    return kept


def _parsed(schema: Any, key: bytes) -> dict[str, Any]:
    if schema is None or schema.metadata is None or key not in schema.metadata:
        return {}
    try:
        parsed = json.loads(schema.metadata[key])
    except (ValueError, RecursionError):  # another program's, and not needed to read the rows
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _holds_numbers(type_: Any) -> bool:
    """Return whether cells are numbers or lists of numbers."""
    import pyarrow as pa

    while pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        type_ = type_.value_type
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _names(feature: object) -> tuple[str, ...]:
    """Return the class names of a feature, also of one within a list; none if it has none."""
    if isinstance(feature, list):
        return _names(feature[0]) if len(feature) == 1 else ()
    if not isinstance(feature, dict):
        return ()
    if feature.get("_type") in _LISTS:
        return _names(feature.get("feature"))
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel" or not isinstance(names, list):
        return ()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()
