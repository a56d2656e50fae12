"""Planted near duplicates are found, and texts that mean different things stay apart."""

import random

import pytest

from emoclass.data.similarity.folding import bare_hashes, fold_text
from emoclass.data.similarity.near import NearTexts, duplicate_groups

LETTERS = "abcdefghijklmnoprstuv"
FEELINGS = ["sad", "mad", "glad", "happy", "angry", "scared", "joyful", "gloomy", "annoyed", "anxious", "calm", "bored"]
PEOPLE = ["mom", "dad", "sister", "brother", "uncle", "aunt", "boss", "friend", "son", "daughter", "cat", "dog"]
CHINESE = "今天我和朋友们一起去公园玩了一整天，晚上回家以后觉得很累"
JAPANESE = "きのうは友達と一緒に公園へ行って、夜まで楽しく遊びました"
THAI = "เมื่อวานนี้ฉันไปเที่ยวสวนสาธารณะกับเพื่อนทั้งวัน"
GERMAN = "Herzlichsten Glückwunsch Arbeitsunfähigkeitsbescheinigung"
ENGLISH = "so this is what all of us do on a dark and rainy friday evening in the middle of november"


def made_up_words(count, seed=0):
    rng = random.Random(seed)
    return ["".join(rng.choices(LETTERS, k=rng.randint(5, 9))) for _ in range(count)]


def sentences(words, count):
    vocabulary = made_up_words(2000, words)
    rng = random.Random(words)
    return [" ".join(rng.choices(vocabulary, k=words)) for _ in range(count)]


def are_joined(first, second):
    groups = duplicate_groups([first, "something else", second])
    return bool(groups[0] == groups[2])


@pytest.mark.parametrize("words", [5, 6, 8, 20])
def test_a_typo_is_found_in_short_and_long_texts(words):
    """MinHash looks at whole words: a typo changes two of six of them in a short text."""
    texts = sentences(words, 2000)
    typos = [f"{text[: i % 5]}x{text[i % 5 + 1 :]}" for i, text in enumerate(texts)]
    groups = duplicate_groups([*texts, *typos])
    assert groups[:2000].tolist() == groups[2000:].tolist()
    assert len(set(groups.tolist())) == 2000


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I am so happy!", "i am so happy"),
        ("Thanks", '"Thanks..."'),
        ("No, thanks.", "no thanks"),
        ("I don’t know", "i dont know"),
        ("don't", "don´t"),
        ("Thank you :)", "thank you! :-))"),
        ("Thank you 🙏🏽", "Thank you 🙏🙏"),
        ("thanks 🙂", "thanks :)"),
        ("I ♥ it", "i <3 it"),
        ("WHAT!?", "...what?"),
        ("#yes", "Yes"),
        ("ＨＡＰＰＹ！", "happy"),
        ("well-known", "well known"),
        ("我今天很开心！", "我今天，很 开心"),
        ("嬉しい。", "嬉しい"),
        ("ดีใจ มาก", "ดีใจมาก"),
        ("오늘은 정말", "오늘은정말!"),
        ("أَنَا سَعِيدٌ", "انا سعيد"),
        ("جميـــل جدا", "جميل جداً"),
        ("می‌خواهم", "ميخواهم"),
        ("שָׁלוֹם", "שלום!"),
    ],
)
def test_short_texts_with_the_same_words_are_near(first, second):
    assert fold_text(first) != fold_text(second)
    assert are_joined(first, second)
    assert bare_hashes([first]) == bare_hashes([second])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("i feel bad", "i feel sad"),
        ("i am happy", "i am not happy"),
        ("i am happy", "i am unhappy"),
        ("happy :)", "happy :("),
        ("happy :)", "happy"),
        ("thanks 😊", "thanks 😡"),
        ("thanks 😊", "thanks"),
        (":)", ":("),
        ("!!!", "..."),
        ("i love it when my boss calls me at night :)", "i love it when my boss calls me at night :("),
        ("it was -5 degrees", "it was 5 degrees"),
        ("we won 3 games", "we won 4 games"),
        ("only 1.5", "only 15"),
        ("only 50%", "only 50"),
        ("el año", "el ano"),
        ("我今天很开心", "我今天很伤心"),
        ("我很开心", "我不开心"),
        ("मैं खुश हूँ", "मैं खश हूँ"),
        ("अच्छा दिन", "अच्छी दिन"),
        ("ดีใจ", "ดูใจ"),
        ("أنا سعيد", "أنا حزين"),
        ("i am so happy with this place today", "i am so unhappy with this place today"),
        ("all of us are so happy that we won 3 games", "all of us are so happy that we won 4 games"),
        ("i slept well and really feel good about this", "i slept well and really feel sad about this"),
    ],
)
def test_texts_that_mean_different_things_stay_apart(first, second):
    assert not are_joined(first, second)
    assert bare_hashes([first]) != bare_hashes([second])


def test_a_question_is_near_its_statement_but_not_the_same_text():
    assert are_joined("you are happy?", "you are happy.")
    assert bare_hashes(["you are happy?"]) != bare_hashes(["you are happy."])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # One character is another.
        (CHINESE, CHINESE.replace("整天", "整夭")),
        (JAPANESE, JAPANESE.replace("公園", "公圓")),
        (THAI, THAI.replace("สาธารณะ", "สาธารณ")),
        # Parts are exchanged.
        (CHINESE, "".join(reversed(CHINESE.split("，")))),
        # Letters are repeated.
        ("i am so happy about all of this for you", "i am sooooo happy about all of this for you"),
        # Few words.
        (GERMAN, GERMAN.replace("keits", "keit")),
        # Much is the same beside an emoji.
        (ENGLISH, f"{ENGLISH} 😂"),
    ],
)
def test_long_texts_are_near_if_little_differs(first, second):
    assert are_joined(first, second)


def test_a_twin_is_found_among_many_texts_of_one_template():
    names, foods = made_up_words(40), made_up_words(40, 1)
    texts = [f"the {food} at {name} was really great" for food in foods for name in names]
    twins = ["the {} at {} was really graet", "the {} at {} really was great", "the {} at {} was realy great"]
    copies = [twins[i % 3].format(*text.split()[1:4:2]) for i, text in enumerate(texts) if i % 16 == 5]
    # A typo in the words that the template is filled with.
    copies += [f"the {food[:3] + food[4:]} at {names[3]} was really great" for food in foods]
    groups = duplicate_groups([*texts, *copies]).tolist()
    assert groups[: len(texts)] == list(range(len(texts)))
    originals = [i for i in range(len(texts)) if i % 16 == 5] + [40 * i + 3 for i in range(40)]
    assert groups[len(texts) :] == originals


@pytest.mark.parametrize(
    "texts",
    [
        [f"my order number {i} arrived far too late and i am very angry about it" for i in range(1000)],
        [f"the situation makes my {who} feel really {how} today" for who in PEOPLE for how in FEELINGS],
        random.Random(0).sample(
            [
                f"{when} the situation made my {who} feel {how} again"
                for when in ("yesterday", "sometimes", "lately", "tonight", "today", "again")
                for who in PEOPLE
                for how in FEELINGS
            ],
            400,
        ),
    ],
    ids=["numbers", "words", "few of the possible texts"],
)
def test_different_fillings_of_a_template_are_different_texts(texts):
    """Neighbours differ in a letter: chains of them would join the whole table."""
    assert len(set(duplicate_groups(texts).tolist())) == len(texts)


def test_a_set_of_near_texts_contains_twins():
    known = NearTexts()
    for text in ("Thanks a lot!", "we went to the park with all of our friends"):
        known.add(fold_text(text))
    assert "thanks a lot" in known
    assert "we went to teh park with all of our friends" in known
    assert "thanks a lot :)" not in known


def test_any_characters_can_be_compared():
    texts = ["", "\ud800", "\0", "\u0301", "?", "\U000e0041", "\uffff" * 50, "\ud800 \udfff" * 20, ":" * 100, "^" * 100]
    assert duplicate_groups(texts).tolist() == list(range(len(texts)))
    assert duplicate_groups([]).tolist() == []
