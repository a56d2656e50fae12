"""Texts become token ids; what is too long keeps its head and its tail."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors

from emoclass.config import TruncationConfig
from emoclass.encoders import tokenization
from emoclass.encoders.tokenization import HeadTailTokenizer
from emoclass.errors import ConfigError, ModelError
from tests.conftest import FILLERS, tiny_tokenizer


def make(max_length: int = 512, head_tokens: int | None = None) -> HeadTailTokenizer:
    limit = TruncationConfig(max_length=max_length, head_tokens=head_tokens)
    return HeadTailTokenizer(tiny_tokenizer().to_str(), limit)


def ids_of(tokenizer: HeadTailTokenizer, text: str) -> list[int]:
    return tokenizer([text]).input_ids.tolist()


words = st.lists(st.sampled_from(FILLERS), max_size=60)


@given(words, st.integers(3, 40), st.integers(0, 38))
def test_keeps_the_first_and_the_last_content_tokens(content: list[str], max_length: int, head: int) -> None:
    budget = max_length - 2
    head = min(head, budget)
    tokenizer = make(max_length, head)
    vocabulary = tiny_tokenizer().get_vocab()
    ids = [vocabulary[word] for word in content]
    kept = ids if len(ids) <= budget else ids[:head] + ids[len(ids) - (budget - head) :]
    assert ids_of(tokenizer, " ".join(content)) == [vocabulary["[CLS]"], *kept, vocabulary["[SEP]"]]


@pytest.mark.parametrize(("count", "truncated"), [(509, False), (510, False), (511, True), (2000, True)])
def test_reference_limit_is_128_and_382_of_510(count: int, truncated: bool) -> None:
    tokenizer = make()
    vocabulary = tiny_tokenizer().get_vocab()
    text = " ".join(FILLERS[i % len(FILLERS)] for i in range(count))
    content = [vocabulary[word] for word in text.split()]
    result = tokenizer([text])
    assert result.truncated.tolist() == [truncated]
    assert len(result.input_ids) == min(count, 510) + 2
    assert result.input_ids[1:129].tolist() == content[:128]
    assert result.input_ids[-383:-1].tolist() == content[-382:]


def test_head_is_a_quarter_of_shorter_limits() -> None:
    assert make(128).head_tokens == round(126 / 4)
    assert make(512).head_tokens == 128


def test_special_tokens_are_those_of_the_tokenizer() -> None:
    tokenizer = tiny_tokenizer()
    mask, sep = tokenizer.token_to_id("[MASK]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[MASK] [MASK] $A [SEP]", special_tokens=[("[MASK]", mask), ("[SEP]", sep)]
    )
    ours = HeadTailTokenizer(tokenizer.to_str(), TruncationConfig(max_length=6, head_tokens=1))
    happy, glad = tokenizer.token_to_id("happy"), tokenizer.token_to_id("glad")
    assert ids_of(ours, "happy happy happy glad") == [mask, mask, happy, happy, glad, sep]


def test_truncation_and_padding_saved_in_the_file_have_no_effect(tiny_base: Path) -> None:
    assert json.loads((tiny_base / "tokenizer.json").read_text())["padding"]
    tokenizer = HeadTailTokenizer.from_file(tiny_base / "tokenizer.json", TruncationConfig(max_length=40))
    assert tokenizer(["a happy day", "a " * 20]).lengths.tolist() == [5, 22]


def test_many_texts_stand_end_to_end_and_can_be_taken() -> None:
    tokenizer = make()
    texts = ["a happy day", "", "so very very sad !", "the day"]
    together = tokenizer(texts)
    apart = [ids_of(tokenizer, text) for text in texts]
    assert together.lengths.tolist() == [len(ids) for ids in apart]
    assert together.input_ids.tolist() == [i for ids in apart for i in ids]
    taken = together.take(np.array([2, 0]))
    assert taken.input_ids.tolist() == apart[2] + apart[0]
    assert taken.lengths.tolist() == [len(apart[2]), len(apart[0])]


def test_counts_content_tokens_before_truncation() -> None:
    assert make(5).count(["a happy day", "", "a " * 30, "happy 好"]) == ([3, 0, 30, 2], [0, 0, 0, 1])


def test_survives_pickling() -> None:
    tokenizer = pickle.loads(pickle.dumps(make(7, 2)))
    assert tokenizer.truncation == TruncationConfig(max_length=7, head_tokens=2)
    assert len(tokenizer(["a " * 30]).input_ids) == 7


def test_limits_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ConfigError, match="--head-tokens 9 is more than the 8 content tokens"):
        make(10, 9)
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] [CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    with pytest.raises(ConfigError, match="--max-length 3"):
        HeadTailTokenizer(tokenizer.to_str(), TruncationConfig(max_length=3))


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="tokenizer.json: the tokenizer cannot be read"):
        HeadTailTokenizer.from_file(tmp_path / "tokenizer.json", TruncationConfig())


@given(
    st.lists(st.sampled_from([*FILLERS, "happy", "zzz", ",", "!?", "好", "é", "w" * 150]), max_size=120),
    st.integers(8, 40),
)
def test_very_long_texts_are_tokenized_in_pieces_to_the_same_ids(content: list[str], max_length: int) -> None:
    text = " ".join(content)
    whole = make(max_length)
    expected, counts = whole([text]), whole.count([text])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenization, "_PIECE", 16)
        in_pieces, counted = whole([text]), whole.count([text])
    assert in_pieces.input_ids.tolist() == expected.input_ids.tolist()
    assert in_pieces.truncated.tolist() == expected.truncated.tolist()
    assert counted == counts


def test_many_texts_are_tokenized_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [" ".join(FILLERS[: n % 9]) for n in range(11)]
    whole = make(8)(texts)
    monkeypatch.setattr(tokenization, "_TEXTS_AT_ONCE", 3)
    parts = make(8)(texts)
    for name in ("input_ids", "offsets", "truncated"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert len(make(8)([])) == 0


def test_a_tokenizer_without_a_token_before_a_text_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", 3)])
    with pytest.raises(ModelError, match=r"adds no token such as \[CLS\] before a text"):
        HeadTailTokenizer(tokenizer.to_str(), TruncationConfig(max_length=8))
