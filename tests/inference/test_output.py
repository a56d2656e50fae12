"""Predictions are unambiguous whatever the classes are named, and reading them back gives the same names."""

import io
import json
from collections.abc import Sequence

import pandas as pd
import pytest

from emoclass.errors import ConfigError, EmoclassError
from emoclass.inference.classifiers import MultiLabelPrediction, Prediction
from emoclass.inference.fields import LabelFields, LabelsFields, OutputOptions
from emoclass.inference.output import PredictionWriter
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
    with PredictionWriter(file, LabelFields(chosen, names), Layout(columns=("text",))) as writer:
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
        LabelFields(options, names)
    LabelFields(OutputOptions(format="parquet"), names)


SEVERAL = [
    MultiLabelPrediction(("joy", "love"), (0.91, 0.62), (("joy", 0.91), ("love", 0.62), ("fear", 0.1)), False),
    MultiLabelPrediction((), (), (("love", 0.3), ("joy", 0.2), ("fear", 0.1)), False),
    MultiLabelPrediction((), (), (), False),
]


def written_labels(format_: str, names: Sequence[str] = ("fear", "joy", "love"), **options: object) -> bytes:
    file = io.BytesIO()
    fields = LabelsFields(OutputOptions(format=format_, **options), names)  # type: ignore[arg-type]
    items = [(Item(("text",), (f"t{n}",), f"t{n}"), each) for n, each in enumerate(SEVERAL)]
    with PredictionWriter(file, fields, Layout(columns=("text",))) as writer:
        writer.write(items)
    return file.getvalue()


def test_any_number_of_labels_is_a_field_and_none_is_an_empty_one() -> None:
    assert written_labels("text") == b"joy,love\t0.9100,0.6200\n\t\n\t\n"
    assert written_labels("csv").decode().splitlines() == [
        "text,labels,confidences",
        't0,"joy,love","0.91,0.62"',
        "t1,,",
        "t2,,",
    ]
    lines = [json.loads(line) for line in written_labels("jsonl").splitlines()]
    assert [line["labels"] for line in lines] == [["joy", "love"], [], []]
    assert lines[0]["confidences"] == [0.91, 0.62]
    frame = pd.read_parquet(io.BytesIO(written_labels("parquet", probabilities=True)))
    assert frame["labels"].tolist() == ["joy,love", "", ""]
    assert frame["probability_love"].tolist()[:2] == [0.62, 0.3]
    assert frame["probability_love"].isna().tolist() == [False, False, True]


def test_the_best_labels_stand_beside_those_that_apply() -> None:
    assert written_labels("text", top_k=2).decode().splitlines()[:2] == [
        "joy,love\t0.9100,0.6200\tjoy\t0.9100\tlove\t0.6200",
        "\t\tlove\t0.3000\tjoy\t0.2000",
    ]
    frame = pd.read_csv(io.BytesIO(written_labels("csv", top_k=2)))
    assert frame["label_1"].tolist()[:2] == ["joy", "love"]
    assert frame["confidence_2"].tolist()[:2] == [0.62, 0.2]
    assert json.loads(written_labels("jsonl", top_k=2).splitlines()[1])["top_k"][0] == {
        "label": "love",
        "confidence": 0.3,
    }


def test_labels_below_the_minimum_confidence_are_left_out() -> None:
    assert written_labels("text", min_confidence=0.7).startswith(b"joy\t0.9100\n")
    with pytest.raises(ConfigError, match="one label a text"):
        LabelsFields(OutputOptions(format="text", min_confidence=0.5, uncertain_label="?"), ["a", "b"])


def test_labels_with_a_comma_are_separated_by_something_else() -> None:
    several = MultiLabelPrediction(("joy, love", "fear"), (0.9, 0.8), (("joy, love", 0.9),), False)
    fields = LabelsFields(OutputOptions(format="text"), ["fear", "joy, love"])
    assert fields.line(several) == "joy, love;fear\t0.9000;0.8000"
