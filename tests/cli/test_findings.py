"""What inspect-data finds in texts and labels is said by the commands that use them, in the same words."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import emotion_rows

Run = Callable[..., Any]
FOUND = {
    "nfc": (("caf\u00e9", "cafe\u0301"), "'café' (caf\\xe9)", "look the same"),
    "emoji": (("\u2764", "\u2764\ufe0f"), "(\\u2764\\ufe0f) look the same", "inspect-data --fix do it"),
    "blank": (("a joy", "a\u00a0joy"), "(a\\xa0joy) look the same", "inspect-data --fix do it"),
    "hidden": (("joy", "joy\u200b"), "(joy\\u200b) look the same", "inspect-data --fix do it"),
    "underscore": (("10", "1_0"), "'10', '1_0' are the same number", "if they are one class"),
    "digits": (("3", "\u0663"), "'3', '\u0663' (\\u0663) are the same number", "if they are one class"),
    "wide": (("2", "\uff12"), "'2', '\uff12' (\\uff12) are the same number", "if they are one class"),
    "damaged": (
        ("tr\u00c3\u00a8s gai", "other"),
        "damage by a wrong encoding in the label 'trÃ¨s gai'",
        "--fix repair",
    ),
}


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, rows: list[tuple[str, str]]) -> None:
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def read(name: str) -> list[dict[str, str]]:
    with Path(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def with_labels(names: tuple[str, str]) -> list[tuple[str, str]]:
    """The rows of two classes under other names, and those of a third."""
    rows = emotion_rows()
    known = list(dict.fromkeys(label for _, label in rows))
    return [(text, dict(zip(known, (*names, known[2]), strict=True))[label]) for text, label in rows]


@pytest.mark.parametrize(("names", "shown", "advice"), FOUND.values(), ids=FOUND)
def test_labels_that_look_alike_or_are_damaged_are_named_so_that_one_sees_the_difference(
    cli: Run, names: tuple[str, str], shown: str, advice: str
) -> None:
    write("data.csv", with_labels(names))
    findings = json.loads(cli("inspect-data", "data.csv", "--base-model", "none", "--json").stdout)["findings"]
    (message,) = (f["message"] for f in findings if f["code"] in ("similar_labels", "damaged_labels"))
    assert shown in message
    assert advice in message
    result = cli("split", "data.csv", "-o", "parts")
    assert f"note: data.csv: {message}\n" in result.stderr


@pytest.mark.parametrize("names", [("joy", "sad"), ("1", "10"), ("1.0", "10"), ("+", "-"), ("\u2764", "\U0001f494")])
def test_other_labels_do_not_look_alike(cli: Run, names: tuple[str, str]) -> None:
    write("data.csv", with_labels(names))
    assert "spell them the same" not in cli("split", "data.csv", "-o", "parts").stderr


def test_train_says_what_inspect_data_finds_before_it_computes(cli: Run, tiny_base: Path) -> None:
    damaged = [(f"{text} trÃ¨s", label) for text, label in with_labels(("caf\u00e9", "cafe\u0301"))]
    write("data.csv", damaged)
    inspected = cli("inspect-data", "data.csv", "--base-model", tiny_base, "--json").stdout
    messages = {f["code"]: f["message"] for f in json.loads(inspected)["findings"]}
    result = cli("train", "data.csv", "--base-model", tiny_base, "--epochs", 1, "--max-length", 40)
    before = result.stderr.split("epoch 1/1")[0]
    assert f"note: data.csv: {messages['similar_labels']}\n" in before
    assert f"note: data.csv: {messages['damaged_encoding']}\n" in before
    assert "60 texts (100.0%)" in messages["damaged_encoding"]


def test_train_says_that_the_base_model_does_not_know_the_language(cli: Run, tiny_base: Path) -> None:
    write(
        "data.csv", [(f"{chr(0x1200 + n)}{chr(0x1300 + n)} ዛሬ", label) for n, (_, label) in enumerate(emotion_rows())]
    )
    inspected = cli("inspect-data", "data.csv", "--base-model", tiny_base, "--json").stdout
    (message,) = (f["message"] for f in json.loads(inspected)["findings"] if f["code"] == "unknown_tokens")
    assert message.startswith("100.0% of the tokens")
    result = cli("train", "data.csv", "--base-model", tiny_base, "--epochs", 1, "--max-length", 40)
    assert f"note: data.csv: {message}\n" in result.stderr.split("epoch 1/1")[0]


def test_nothing_is_said_of_ordinary_data(tiny_train: Run) -> None:
    result = tiny_train()
    assert "vocabulary" not in result.stderr
    assert "damage" not in result.stderr


@pytest.mark.usefixtures("trained_model")
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_predict_counts_texts_that_the_model_cannot_read(cli: Run, engine: str) -> None:
    lines = ["a happy day"] * 5 + ["ዛሬ ደስተኛ"] * 3 + ["il est allÃ© au cafÃ©"] * 2
    result = cli("predict", "--engine", engine, input="\n".join(lines).encode())
    summary = result.stderr.splitlines()[-1]
    assert "10 records" in summary
    assert "3 with mostly unknown tokens" in summary
    assert "2 with damaged encoding" in summary


@pytest.mark.usefixtures("trained_model")
def test_the_summary_is_silent_about_what_is_negligible(cli: Run) -> None:
    result = cli("predict", input=("\n".join(["a happy day"] * 200 + ["ዛሬ", "cafÃ©"]) + "\n").encode())
    assert "unknown" not in result.stderr
    assert "damaged" not in result.stderr


def test_fix_gives_labels_that_look_the_same_one_spelling_and_repairs_damaged_ones(cli: Run) -> None:
    rows = with_labels(("caf\u00e9", "\u2764"))
    rows += [(f"{text} too", label.replace("\u00e9", "e\u0301")) for text, label in rows[:4]]
    rows += [(f"{text} again", "\u2764\ufe0f") for text, _ in rows[:3]]
    rows += [(f"{text} as well", "caf\u00c3\u00a9") for text, _ in rows[:2]]
    write("data.csv", rows)
    result = cli("inspect-data", "data.csv", "--base-model", "none", "--fix", "fixed.csv")
    labels = Counter(row["label"] for row in read("fixed.csv"))
    assert set(labels) == {rows[-1][1].replace("\u00c3\u00a9", "\u00e9"), "\u2764", rows[40][1]}
    changes = [change for change in read("fixed.changes.csv") if change["reason"] == "label"]
    assert {(change["text"], change["new_text"]) for change in changes} == {
        ("cafe\u0301", "caf\u00e9"),
        ("caf\u00c3\u00a9", "caf\u00e9"),
        ("\u2764\ufe0f", "\u2764"),
    }
    assert f"{len(changes)} labels repaired" in result.stderr
    assert "similar_labels" not in cli("inspect-data", "fixed.csv", "--base-model", "none", "--strict").stderr


def test_fix_keeps_labels_that_only_a_person_can_judge(cli: Run) -> None:
    write("data.csv", [*with_labels(("10", "1_0")), *[(f"{text} too", "Joy") for text, _ in emotion_rows()]])
    assert cli("inspect-data", "data.csv", "--base-model", "none", "--fix", "fixed.csv").exit_code == 0
    assert {"10", "1_0", "Joy"} < {row["label"] for row in read("fixed.csv")}


def test_fix_respells_one_of_several_labels_in_a_cell(cli: Run) -> None:
    names = ("caf\u00e9", "tea")
    rows = [(text, names[n % 2] if n % 3 else "tea|caf\u00e9") for n, (text, _) in enumerate(emotion_rows())]
    write("data.csv", [*rows, *[(f"{text} too", "tea|cafe\u0301") for text, _ in rows[:5]]])
    options = ("--task", "multi", "--base-model", "none")
    assert cli("inspect-data", "data.csv", *options, "--fix", "fixed.csv").exit_code == 0
    assert {row["label"] for row in read("fixed.csv")} == {"caf\u00e9", "tea", "tea|caf\u00e9"}


def test_labels_that_look_the_same_in_two_parts_are_told_apart_and_fixed_alike(cli: Run, tiny_base: Path) -> None:
    for name, spelling in (("train", "caf\u00e9"), ("val", "cafe\u0301")):
        write(f"{name}.csv", with_labels((spelling, "tea")))
    question = "(is 'cafe\u0301' (cafe\\u0301) the class 'caf\u00e9' (caf\\xe9)?)"
    assert question in cli("train", "train.csv", "--val", "val.csv", "--base-model", tiny_base).stderr
    found = json.loads(cli("inspect-data", ".", "--base-model", "none", "--json").stdout)["findings"]
    assert any(question in each["message"] for each in found if each["code"] == "unseen_class")
    for name in ("train", "val"):
        assert cli("inspect-data", f"{name}.csv", "--base-model", "none", "--fix", f"fixed-{name}.csv").exit_code == 0
    assert {row["label"] for row in read("fixed-train.csv")} == {row["label"] for row in read("fixed-val.csv")}
