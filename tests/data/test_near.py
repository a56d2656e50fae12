"""Planted near duplicates are found."""

import random

import pytest

from emoclass.data.similarity.near import duplicate_groups

LETTERS = "abcdefghijklmnoprstuv"


def sentences(words, count):
    rng = random.Random(words)
    vocabulary = ["".join(rng.choices(LETTERS, k=rng.randint(5, 9))) for _ in range(2000)]
    return [" ".join(rng.choices(vocabulary, k=words)) for _ in range(count)]


@pytest.mark.parametrize("words", [5, 6, 8, 20])
def test_a_typo_is_found_in_short_and_long_texts(words):
    """MinHash looks at whole words: a typo changes two of six of them in a short text."""
    texts = sentences(words, 2000)
    groups = duplicate_groups([*texts, *(f"{text[:2]}x{text[3:]}" for text in texts)])
    assert groups[:2000].tolist() == groups[2000:].tolist()
    assert len(set(groups.tolist())) == 2000
