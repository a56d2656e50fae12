"""Predictions are unambiguous whatever the classes are named, and reading them back gives the same names."""

import io
from collections.abc import Sequence

import pandas as pd
import pytest

from emoclass.errors import EmoclassError
from emoclass.inference.output import AddedColumns, OutputOptions, PredictionWriter
from emoclass.inference.predictor import Prediction
from emoclass.inference.records import Item, Layout

COLUMNS = ["label", "confidence", "label_2", "confidence_2", "probability_x", "x", "top_k"]
NAMES = [*COLUMNS, "a\tb", "a\nb", "a b", 'say "a"']


def prediction(label: str, names: Sequence[str]) -> Prediction:
    others = [(name, 0.1) for name in names if name != label]
    return Prediction(label, 0.5, ((label, 0.5), *others), False)


def written(format_: str, names: Sequence[str], **options: object) -> bytes:
    file = io.BytesIO()
    chosen = OutputOptions(format=format_, **options)  # type: ignore[arg-type]
    items = [(Item(("text",), (f"t{n}",), f"t{n}"), prediction(name, names)) for n, name in enumerate(names)]
    with PredictionWriter(file, chosen, names, Layout(columns=("text",))) as writer:
        writer.write(items)
    return file.getvalue()


@pytest.mark.parametrize("format_", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_read_back_have_the_classes_as_they_are_named(format_: str) -> None:
    content = io.BytesIO(written(format_, NAMES, top_k=2, probabilities=True))
    readers = {"jsonl": lambda f: pd.read_json(f, lines=True), "parquet": pd.read_parquet}
    separator = "\t" if format_ == "tsv" else ","
    frame = readers.get(format_, lambda f: pd.read_csv(f, sep=separator))(content)
    assert frame["label"].tolist() == NAMES
    assert frame.columns.is_unique
    if format_ == "jsonl":
        assert frame["probabilities"][0].keys() == set(NAMES)
    else:
        assert {f"probability_{name}" for name in NAMES} <= set(frame.columns)


def test_lines_of_text_distinguish_classes_that_differ_by_whitespace() -> None:
    names = ["a b", "a\tb", "a\nb", "a  b", "a\\tb", "c"]
    lines = written("text", names).decode().splitlines()
    labels = [line.split("\t")[0] for line in lines]
    assert labels == ["a b", "a\\tb", "a\\nb", "a  b", "a\\\\tb", "c"]
    assert [line.split("\t")[0] for line in written("text", ["a\tb", "c\nd"]).decode().splitlines()] == ["a b", "c d"]


@pytest.mark.parametrize("names", [["joy", "uncertain"], ["joy", "un\tcertain"]])
def test_uncertain_predictions_do_not_look_like_a_class(names: list[str]) -> None:
    options = OutputOptions(format="parquet", min_confidence=0.5, uncertain_label=names[1].replace("\t", " "))
    with pytest.raises(EmoclassError, match="--uncertain-label"):
        AddedColumns(options, names)
    AddedColumns(OutputOptions(format="parquet"), names)
