from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoclass.data.similarity.folding import fold_text
from emoclass.data.split.splitting import largest_deviation, parse_ratios, split_indices
from emoclass.errors import ConfigError, DataError


def make(counts):
    """Return the given number of different texts for each label."""
    rows = [(f"text {label} {i}", label) for label, count in counts.items() for i in range(count)]
    return [text for text, _ in rows], [label for _, label in rows]


def counts_by_split(labels, splits):
    return {split: dict(Counter(labels[row] for row in rows)) for split, rows in splits.items()}


@pytest.mark.parametrize(
    ("text", "ratios"),
    [("80/10/10", (80, 10, 10)), ("0.8/0.1/0.1", (0.8, 0.1, 0.1)), ("90 / 0 / 10", (90, 0, 10)), ("1/1/1", (1, 1, 1))],
)
def test_ratios_are_read(text, ratios):
    assert parse_ratios(text) == ratios


@pytest.mark.parametrize("text", ["", "80/20", "80/10/5/5", "a/b/c", "0/50/50", "80/-10/30", "nan/1/1", "inf/1/1"])
def test_invalid_ratios_are_rejected(text):
    with pytest.raises(ConfigError, match="--ratios"):
        parse_ratios(text)


def test_each_class_is_split_by_the_ratios():
    texts, labels = make({"joy": 100, "sad": 50, "fear": 10})
    assert counts_by_split(labels, split_indices(texts, labels, seed=1)) == {
        "train": {"joy": 80, "sad": 40, "fear": 8},
        "val": {"joy": 10, "sad": 5, "fear": 1},
        "test": {"joy": 10, "sad": 5, "fear": 1},
    }


def test_small_classes_are_in_every_split():
    texts, labels = make({"joy": 500, "rare": 3})
    splits = split_indices(texts, labels, seed=1)
    assert [counts["rare"] for counts in counts_by_split(labels, splits).values()] == [1, 1, 1]


def test_rounding_favours_no_split_over_many_classes():
    texts, labels = make({f"class {i}": 15 for i in range(200)})
    sizes = {split: len(rows) for split, rows in split_indices(texts, labels, seed=1).items()}
    assert sizes["train"] == 2400
    assert sizes["val"] == pytest.approx(300, abs=40)


def test_a_ratio_of_zero_gives_no_split():
    texts, labels = make({"joy": 10, "sad": 10})
    splits = split_indices(texts, labels, ratios=(90, 0, 10), seed=1)
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 18, "test": 2}


def test_classes_that_are_too_small_are_named_with_their_counts(error_of):
    texts, labels = make({"joy": 50, "sad": 2, "fear": 1})
    message = error_of(split_indices, texts, labels, seed=1)
    assert "'fear' (1), 'sad' (2)" in message
    assert "'joy'" not in message
    assert "of 2 of 3 classes" in message
    assert "leave them out with --min-class-rows 3" in message


def test_repeated_texts_do_not_make_a_class_large_enough(error_of):
    texts, labels = make({"joy": 50})
    message = error_of(split_indices, [*texts, "Oh no", "oh  NO", "oh no "], [*labels, *["sad"] * 3], seed=1)
    assert "'sad' (1)" in message


@pytest.mark.parametrize("sizes", [[2, 2, 2], [3, 3, 1], [5, 5, 1, 1], [9, 1, 1]])
@pytest.mark.parametrize("ratios", [(80, 10, 10), (10, 80, 10), (98, 1, 1)])
def test_a_class_of_few_groups_is_in_every_split(sizes, ratios):
    texts, labels = make({"joy": 30, "sad": 30, "rare": sum(sizes)})
    groups = np.concatenate([np.arange(60), 60 + np.repeat(np.arange(len(sizes)), sizes)])
    splits = split_indices(texts, labels, ratios=ratios, seed=1, groups=groups)
    assert all("rare" in counts for counts in counts_by_split(labels, splits).values())
    assert sum(len(set(groups[rows].tolist())) for rows in splits.values()) == groups.max() + 1


def test_groups_with_several_classes_reach_every_split():
    """Three users with texts of all classes."""
    texts, labels = make({"joy": 60, "sad": 60})
    splits = split_indices(texts, labels, seed=1, groups=np.arange(120) % 3)
    assert [sorted(counts) for counts in counts_by_split(labels, splits).values()] == [["joy", "sad"]] * 3


def test_a_class_that_groups_keep_out_of_a_split_is_named(error_of):
    """Each class is in three of four groups, so a split with two of them leaves a class out elsewhere."""
    labels = [f"all but {own}" for group in range(4) for own in range(4) if own != group]
    texts = [f"text {i}" for i in range(len(labels))]
    message = error_of(split_indices, texts, labels, seed=1, groups=np.repeat(np.arange(4), 3))
    assert "gets no text of 'all but" in message


def test_the_seed_decides():
    texts, labels = make({"joy": 100, "sad": 100})
    test_rows = [split_indices(texts, labels, seed=seed)["test"].tolist() for seed in (1, 1, 2)]
    assert test_rows[0] == test_rows[1]
    assert test_rows[0] != test_rows[2]


def test_the_order_of_the_rows_does_not_matter():
    texts, labels = make({"joy": 100, "sad": 100})
    forward = split_indices(texts, labels, seed=1)
    backward = split_indices(texts[::-1], labels[::-1], seed=1)
    for split in forward:
        assert {texts[row] for row in forward[split]} == {texts[::-1][row] for row in backward[split]}


VARIANTS = st.sampled_from(["{}", " {}", "{}  ", "{}!", "x {}", "X  {}", "ﬁ {}", "FI {}", "é {}", "e\u0301 {}"])
TABLES = st.lists(st.tuples(VARIANTS, st.integers(0, 30), st.sampled_from(["joy", "sad"])), min_size=40, max_size=200)


@given(TABLES, st.integers(), st.sampled_from([(80, 10, 10), (1, 1, 1), (9, 0, 1), (70, 15, 15)]))
@settings(max_examples=60, deadline=None)
def test_splits_are_complete_disjoint_and_never_share_a_text(table, seed, ratios):
    texts = [variant.format(number) for variant, number, _ in table]
    labels = [label for _, _, label in table]
    texts += [f"{label} only {i}" for label in ("joy", "sad") for i in range(3)]
    labels += [label for label in ("joy", "sad") for _ in range(3)]
    splits = split_indices(texts, labels, ratios=ratios, seed=seed)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(len(texts)))
    for rows in splits.values():
        assert rows.tolist() == sorted(rows.tolist())
        assert {labels[row] for row in rows} == {"joy", "sad"}
    folded = [{fold_text(texts[row]) for row in rows} for rows in splits.values()]
    assert sum(map(len, folded)) == len(set().union(*folded))
    again = split_indices(texts, labels, ratios=ratios, seed=seed)
    assert {split: rows.tolist() for split, rows in splits.items()} == {
        split: rows.tolist() for split, rows in again.items()
    }


def test_groups_swap_places_if_no_single_one_can_move():
    labels = list("abbaccbabc")
    users = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4, 4])
    texts = [f"t{row}" for row in range(10)]
    splits = split_indices(texts, labels, seed=42, groups=users)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(10))
    for rows in splits.values():
        assert {labels[row] for row in rows} == {"a", "b", "c"}
    assert sum(len(set(users[rows].tolist())) for rows in splits.values()) == 5
    order = np.random.default_rng(0).permutation(10)
    again = split_indices([texts[i] for i in order], [labels[i] for i in order], seed=42, groups=users[order])
    assert {split: sorted(order[rows].tolist()) for split, rows in again.items()} == {
        split: rows.tolist() for split, rows in splits.items()
    }


def test_groups_that_keep_a_class_out_of_a_split_are_rejected():
    labels, users = list("abab" + "ccc" + "abc"), np.array([0, 0, 1, 1, 2, 2, 2, 3, 3, 3])
    with pytest.raises(DataError, match="too few groups"):
        split_indices([f"t{row}" for row in range(10)], labels, seed=1, groups=users, unit="groups")
    labels, users = list("abc" + "abd" + "acd" + "bcd"), np.repeat(np.arange(4), 3)
    with pytest.raises(DataError, match="belong together"):
        split_indices([f"t{row}" for row in range(12)], labels, seed=1, groups=users)


def user_table(seed):
    """Return rows of 12 to 24 users who prefer some of 2 to 5 classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(2, 6)
    sizes = np.maximum(2, rng.lognormal(3, 0.8, rng.integers(12, 25)).astype(int))
    labels = [f"c{k}" for size in sizes for k in rng.choice(classes, size, p=rng.dirichlet(np.ones(classes)))]
    return [f"text {row}" for row in range(len(labels))], labels, np.repeat(np.arange(len(sizes)), sizes)


def test_few_groups_are_close_to_the_ratios():
    deviations = []
    for seed in range(40):
        texts, labels, users = user_table(seed)
        splits = split_indices(texts, labels, seed=42, groups=users)
        assert all({labels[row] for row in rows} == set(labels) for rows in splits.values())
        deviations.append(largest_deviation(labels, splits, (80, 10, 10))[0])
    assert np.mean(deviations) < 0.035  # greedy placement alone: 0.072


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_rows_of_few_groups_does_not_matter(seed):
    texts, labels, users = user_table(seed)
    texts = [text if row % 7 else "ok" for row, text in enumerate(texts)]  # each user writes this
    order = np.random.default_rng(seed).permutation(len(texts))
    splits = split_indices(texts, labels, seed=1, groups=users)
    again = split_indices([texts[i] for i in order], [labels[i] for i in order], seed=1, groups=100 - users[order])
    assert {split: sorted(order[rows].tolist()) for split, rows in again.items()} == {
        split: rows.tolist() for split, rows in splits.items()
    }


def test_single_rows_fill_up_what_a_large_group_leaves():
    texts, labels = make({"joy": 100, "sad": 100})
    groups = np.array([*[0] * 12, *range(1, 189)])  # more than a tenth of the class
    splits = split_indices(texts, labels, seed=1, groups=groups)
    assert largest_deviation(labels, splits, (80, 10, 10))[0] == 0
