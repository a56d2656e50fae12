"""Thresholds in place of those of a model."""

import pytest

from emoclass.errors import ConfigError
from emoclass.inference.thresholds import Thresholds

LABELS = ("joy", "fear", "a=b", "0.4")


def test_the_last_value_of_each_kind_counts_and_labels_go_before_all() -> None:
    found = Thresholds.parse(["joy=0.2", "0.5", "0.3", "joy=0.1", "a=b=0.7", "0.4=1"])
    assert found.of(LABELS, "multi") == {"joy": 0.1, "fear": 0.3, "a=b": 0.7, "0.4": 1}


def test_without_thresholds_any_model_keeps_its_own() -> None:
    assert Thresholds.parse([]).of(LABELS, "single") == {}
    with pytest.raises(ConfigError, match="any number of labels"):
        Thresholds(0.5).of(LABELS, "single")


def test_what_is_no_probability_or_no_label_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--threshold 1.5 is not a number between 0 and 1"):
        Thresholds(by_label={"joy": 1.5})
    with pytest.raises(ConfigError, match="did you mean 'fear'"):
        Thresholds.parse(["FEAR=0.1"]).of(LABELS, "multi")
    with pytest.raises(ConfigError, match="its labels are"):
        Thresholds.parse(["quite different=0.1"]).of(LABELS, "multi")
