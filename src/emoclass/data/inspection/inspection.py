"""Describe tables one by one and compared with each other, and find what needs a decision."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from emoclass.data.cleaning.cleaning import CleanData
from emoclass.data.cleaning.label_checks import find_label_problem, rare_classes
from emoclass.data.cleaning.traits import find_traits
from emoclass.data.columns.labels import each_name, names_of, sorted_names
from emoclass.data.inspection.cooccurrence import count_several
from emoclass.data.inspection.duplicates import find_duplicates
from emoclass.data.inspection.findings import find_across_parts, find_in_part
from emoclass.data.inspection.lengths import length_stats, token_stats
from emoclass.data.inspection.results import (
    ClassCount,
    ColumnContent,
    Duplicates,
    Inspection,
    PartInspection,
    TokenStats,
)
from emoclass.data.tables.table import Table

# Returns the number of content tokens of each text, and the number of unknown ones among them.
TokenCounter = Callable[[list[str]], tuple[Sequence[int], Sequence[int]]]

# Content tokens of BERT without truncation: 512 less [CLS] and [SEP].
TOKEN_LIMIT = 510
_SHOWN_CONFLICTS = 5
_BATCH = 8192


def inspect(
    parts: Mapping[str, CleanData],
    *,
    tables: Mapping[str, Table] | None = None,
    token_counter: TokenCounter | None = None,
    token_limit: int = TOKEN_LIMIT,
    on_texts: Callable[[int], None] = lambda texts: None,
) -> Inspection:
    """Describe cleaned tables and compare them with each other.

    Args:
        parts: Cleaned tables by split, in the order of the report; ``all`` for a single one.
        tables: The tables that they were cleaned from, to describe how these are written and what columns they have.
        token_counter: Counts the tokens of texts; no token statistics if ``None``.
        token_limit: Largest number of content tokens of a model.
        on_texts: Called with the number of texts whose tokens were just counted.
    """
    duplicates, leaks = find_duplicates(parts)
    described = tuple(
        replace(
            _inspect_part(
                part, data, duplicates[part], _count_tokens(data.texts, token_counter, token_limit, on_texts)
            ),
            **_written((tables or {}).get(part)),
        )
        for part, data in parts.items()
    )
    findings = [finding for part in described for finding in find_in_part(part)]
    findings += find_across_parts(described, leaks)
    return Inspection(tuple(described), leaks, tuple(findings))


def _written(table: Table | None) -> dict[str, Any]:
    if table is None:
        return {}
    columns = [ColumnContent(name, each.content, each.example) for name, each in table.profiles().items()]
    return {"layout": dict(table.layout), "table_columns": tuple(columns)}


def _count_tokens(
    texts: list[str], counter: TokenCounter | None, limit: int, on_texts: Callable[[int], None]
) -> TokenStats | None:
    if counter is None:
        on_texts(len(texts))
        return None
    counts: list[int] = []
    unknown: list[int] = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        more, more_unknown = counter(batch)
        counts.extend(more)
        unknown.extend(more_unknown)
        on_texts(len(batch))
    return token_stats(counts, unknown, limit)


def _inspect_part(part: str, data: CleanData, duplicates: Duplicates, tokens: TokenStats | None) -> PartInspection:
    counts = Counter(each_name(data.labels if data.columns.labels else ()))
    names = sorted(sorted_names(counts), key=lambda name: -counts[name])
    first = {name: n for n, label in reversed(list(enumerate(data.labels))) for name in names_of(label)}
    classes = [ClassCount(name, counts[name], counts[name] / len(data), *data.origin(first[name])) for name in names]
    return PartInspection(
        part=part,
        name=data.name,
        rows=data.total_rows,
        kept_rows=len(data),
        text_column=data.columns.text,
        label_column=data.columns.label,
        removed=data.removed_counts,
        notes=data.notes,
        classes=tuple(classes),
        imbalance_ratio=max(counts.values()) / min(counts.values()) if counts else None,
        rare_classes=rare_classes(data) if counts else (),
        label_problem=find_label_problem(data) if counts else None,
        conflicts=len(data.conflicts),
        conflict_examples=data.conflicts[:_SHOWN_CONFLICTS],
        duplicates=duplicates,
        traits=find_traits(data),
        characters=length_stats([len(text) for text in data.texts]),
        words=length_stats([len(text.split()) for text in data.texts]),
        tokens=tokens,
        files=data.files,
        several_labels=count_several(data.labels) if data.columns.task == "multi" and counts else None,
    )
