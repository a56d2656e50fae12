"""Encodings: which one is advised, and files whose parts have different ones."""

import random
from collections import Counter
from pathlib import Path

import pytest

from emoclass.data.options import DataOptions
from emoclass.data.tables.encodings import guess_encodings
from emoclass.errors import DataError
from tests.data.conftest import read_table
from tests.data.languages import SENTENCES

LABELS = ("joy", "fear", "anger")
PAIRS = [(language, encoding) for language, (encodings, _) in SENTENCES.items() for encoding in encodings]


def table(sentences: list[str]) -> str:
    rows = (f'"{text}",{LABELS[number % len(LABELS)]}\n' for number, text in enumerate(sentences))
    return "".join(["text,label\n", *rows])


def sentences_of(language: str, encoding: str) -> list[str]:
    """The sentences that can be written in the encoding."""
    return [text for text in SENTENCES[language][1] if text.encode(encoding, "replace").decode(encoding) == text]


def read_as(content: bytes, encoding: str) -> str:
    return content.decode(encoding, "replace")


@pytest.mark.parametrize(("language", "encoding"), PAIRS)
def test_thirty_rows_tell_their_encoding(language: str, encoding: str) -> None:
    sentences = sentences_of(language, encoding)
    rng = random.Random(encoding)
    text = table([" ".join(rng.sample(sentences, 2)) for _ in range(30)])
    assert [read_as(text.encode(encoding), each) for each in guess_encodings(text.encode(encoding))] == [text]


def test_three_rows_are_hardly_ever_taken_for_another_encoding() -> None:
    counts: Counter[str] = Counter()
    for language, encoding in PAIRS:
        sentences = [each for each in sentences_of(language, encoding) if not each.isascii()]
        for first in range(len(sentences) - 2):
            text = table(sentences[first : first + 3])
            content = text.encode(encoding)
            readings = [read_as(content, each) for each in guess_encodings(content)]
            counts["right" if readings == [text] else "named" if text in readings else "wrong"] += 1
    assert counts["right"] > 0.95 * counts.total()
    assert counts["wrong"] <= 0.005 * counts.total()


@pytest.mark.parametrize(
    "text",
    ["Jag är så glad", "été", "café", "perché", "señor", "25 °C", "I can’t “believe” it…", "Þetta er gaman", "Grüße"],
)
def test_a_few_western_letters_are_cp1252(text: str) -> None:
    assert guess_encodings(f"{text},joy\n".encode("cp1252"))[0] == "cp1252"


def test_two_encodings_that_fit_are_both_named_with_a_word_that_differs(read_error) -> None:
    message = read_error("text,label\nseñal,joy\n".encode("cp1252"))
    assert "cp1252, which reads 'señal', or" in message
    assert "whichever is right" in message


def test_a_line_of_another_encoding_among_lines_of_utf8_is_named_for_itself(read_error) -> None:
    utf8 = table(list(SENTENCES["Russian"][1])).encode()
    assert "--encoding cp1252" in read_error(utf8 + "je suis très triste,sad\n".encode("cp1252"))


def test_following_the_advice_leaves_the_lines_of_utf8_as_they_are(write) -> None:
    french, german = "je suis très content", "ich bin so glücklich"
    content = table([french]).encode() + f"{german},joy\n".encode("cp1252") + f"{french}!,joy\n".encode()
    read = read_table(write(content), encoding="cp1252")
    assert read.frame["text"].tolist() == [french, german, f"{french}!"]
    assert any("2 lines are UTF-8, and read as such, the others as cp1252" in note for note in read.notes)


@pytest.mark.parametrize("encoding", ["cp1252", "gb18030", "koi8-r"])
def test_a_file_of_utf8_is_read_as_such_whatever_is_given(write, encoding: str) -> None:
    text = "très bien 今天非常高兴 Ещё"
    read = read_table(write(table([text])), encoding=encoding)
    assert read.frame["text"].tolist() == [text]
    assert any(f"is UTF-8, and read as such, not as {encoding}" in note for note in read.notes)


@pytest.mark.parametrize(("language", "encoding"), PAIRS)
def test_a_given_encoding_reads_all_lines_that_are_in_it(write, language: str, encoding: str) -> None:
    sentences = sentences_of(language, encoding)
    read = read_table(write(table(sentences).encode(encoding)), encoding=encoding)
    assert read.frame["text"].tolist() == sentences
    assert not [note for note in read.notes if "UTF-8" in note]


def test_the_parts_of_a_split_are_read_each_in_its_own_encoding(tmp_path: Path) -> None:
    french, german, greek = (list(SENTENCES[language][1]) for language in ("French", "German", "Greek"))
    (tmp_path / "train.csv").write_bytes(table(french).encode())
    (tmp_path / "val.csv").write_bytes(table(german).encode("cp1252"))
    (tmp_path / "test.csv").write_bytes(b"\xff\xfe" + table(greek).encode("utf-16-le"))
    with pytest.raises(DataError, match=r"val\.csv: line 2 .* looks like cp1252, .*: pass --encoding cp1252"):
        DataOptions().read_splits(tmp_path)
    read = DataOptions(encoding="cp1252").read_splits(tmp_path)
    assert [read[part].frame["text"].tolist() for part in ("train", "val", "test")] == [french, german, greek]
    notes = [note for part in read.values() for note in part.notes]
    assert any("train.csv: is UTF-8" in note for note in notes)
    assert any("decoded as utf-16-le, as its byte order mark says, not as cp1252" in note for note in notes)


def test_shards_are_read_each_in_its_own_encoding(tmp_path: Path) -> None:
    french, german = (list(SENTENCES[language][1]) for language in ("French", "German"))
    (tmp_path / "train-00000-of-00002.csv").write_bytes(table(french).encode())
    (tmp_path / "train-00001-of-00002.csv").write_bytes(table(german).encode("cp1252"))
    read = DataOptions(encoding="cp1252").read_splits(tmp_path)["train"]
    assert read.frame["text"].tolist() == [*french, *german]
    assert any("train-00000-of-00002.csv: is UTF-8" in note for note in read.notes)


def test_a_part_that_looks_like_a_third_encoding_is_named_with_what_to_do(write) -> None:
    russian = table(list(SENTENCES["Russian"][1])).encode("cp1251")
    notes = read_table(write(russian), encoding="cp1252").notes
    assert any("looks like cp1251 ('Я')" in note and "iconv -f cp1251 -t UTF-8" in note for note in notes)
    assert not read_table(write(russian), encoding="windows-1251").notes


def test_a_line_that_fits_no_encoding_is_located_also_among_lines_of_utf8(read_error) -> None:
    content = table(["très"] * 3).encode() + b"tr\xe8s,joy\nnot \x81 text,joy\n"
    assert f"line 6 is not valid CP1252 (byte 0x81 at offset {content.index(0x81)})" in read_error(
        content, encoding="cp1252"
    )


def test_lines_of_old_macs_are_read(write) -> None:
    content = table(["Jag är så glad"] * 3).replace("\n", "\r").encode("mac-roman")
    assert read_table(write(content), encoding="mac-roman").frame["text"].tolist() == ["Jag är så glad"] * 3
