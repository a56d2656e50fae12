"""A notebook shows a training as plain lines."""

import re
from pathlib import Path

import pandas as pd
import pytest

import emoclass
from tests.conftest import emotion_rows


def test_a_training_is_silent_or_writes_plain_lines(
    emotions_csv: Path, tiny_base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"base_model": str(tiny_base), "max_length": 40, "epochs": 2, "recipe": "reference", "name": "own"}
    lines: list[str] = []
    emoclass.train(emotions_csv, on_event=emoclass.progress_lines(lines.append), **settings)
    assert capfd.readouterr() == ("", "")
    assert [
        line for line in lines if re.fullmatch(r"epoch [12]/2: train loss [\d.]+, .*val macro F1 [\d.]+, .* s", line)
    ]
    assert any(line.startswith("base model ") and "48 train" in line for line in lines)
    assert [line for line in lines if line.startswith("frozen layers: ")][-1] == "frozen layers: 54 of 54 texts"
    assert not [line for line in lines if "\r" in line or "\x1b" in line or "\n" in line]
    emoclass.train(emotions_csv, on_event=emoclass.progress_lines(), overwrite=True, **settings)
    printed = capfd.readouterr()
    assert "epoch 2/2" in printed.out
    assert not printed.err


def test_what_cleaning_removed_and_doubts_is_told(tiny_base: Path) -> None:
    rows = [*emotion_rows(), ("", "joy"), ("so happy", None), emotion_rows()[0], (emotion_rows()[0][0], "fear")]
    frame, lines = pd.DataFrame(rows, columns=["text", "label"]), list[str]()
    val = frame[:12]
    settings = {"base_model": str(tiny_base), "max_length": 40, "epochs": 1, "recipe": "reference"}
    emoclass.train(frame, val=val, on_event=emoclass.progress_lines(lines.append), **settings)
    told = [line for line in lines if "removed" in line or "conflicting" in line or "appear" in line]
    assert told == [
        "1 row removed: blank text",
        "1 row removed: null label",
        "1 row removed: duplicate",
        "1 text with conflicting labels (see inspect-data)",
        "12 texts of the val set also appear in the training set",
    ]
