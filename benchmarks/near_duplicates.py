"""How many planted twins are found, how many texts are joined that should not be, and at what cost.

    python benchmarks/near_duplicates.py
    python benchmarks/near_duplicates.py --rows 100000 1000000 --against ../before/src

Tables of made-up texts get twins: one letter changed, other punctuation, two neighbouring words exchanged, other case,
width or vowel points. Recall is the share of twins in the group of their text, precision the share of planted pairs
among all pairs in one group. A second table has pairs that mean different things: the share that is joined should be 0.
--against measures other source code in the same way, --rows the cost on texts as in data.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _common as common

import data

TEXTS, TWINS = 4000, 1000
SYLLABLES = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in "aeiou"]
HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 800)]
THAI = [consonant + vowel for consonant in "กขคงจชดตทนบปพมยรลวสหอ" for vowel in ("า", "ี", "ู", "ะ", "ิ")]
TASHKEEL = "\u064b\u064e\u064f\u0650\u0651\u0652"
TEMPLATES = (
    "the {0} at {1} was great", "i had {0} with {1} and feel so bad", "why did {1} never tell me about the {0} in town",
    "my {0} makes {1} feel happy today",
)  # fmt: skip
DIFFERENT = {
    "a word": [
        ("i feel bad", "i feel sad"), ("i am happy", "i am not happy"), ("i am happy", "i am unhappy"),
        ("good morning", "good mourning"), ("this is fun", "this is fine"), ("we won 3 games", "we won 4 games"),
        ("it was -5 degrees", "it was 5 degrees"), ("i like him", "i liked him"), ("so glad today", "so mad today"),
        ("我今天很开心", "我今天很伤心"), ("我很开心", "我不开心"), ("楽しいです", "悲しいです"),
        ("ฉันมีความสุข", "ฉันไม่มีความสุข"), ("अच्छा दिन", "अच्छी दिन"), ("मैं खुश हूँ", "मैं दुखी हूँ"), ("أنا سعيد", "أنا حزين"),
        ("من خوشحالم", "من خوشحال نیستم"), ("אני שמח", "אני לא שמח"), ("행복해요", "불행해요"), ("el año", "el ano"),
        ("i slept well and i really feel good about this", "i slept well and i really feel sad about this"),
    ],
    "an emoticon": [
        ("happy :)", "happy :("), ("happy :)", "happy"), ("thanks 😊", "thanks 😡"), ("thanks 😊", "thanks"),
        ("i love it when my boss calls me at night :)", "i love it when my boss calls me at night :("),
        ("so this is what we do on a friday evening 😂", "so this is what we do on a friday evening 😭"),
        ("我今天很开心😊", "我今天很开心😭"), ("♥ ♥", "</3"),
    ],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000])
    parser.add_argument("--against", type=Path, help="other source code: a directory that holds emoclass/")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--contender", nargs=2, metavar=("TABLE", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        contend(*map(Path, arguments.contender))
        return
    sources = {"now": None} if arguments.against is None else {"before": arguments.against, "now": None}
    print(f"{time.strftime('%Y-%m-%d')}, {common.machine()}\n")
    common.print_table([row for kind, generate in KINDS.items() for row in quality(kind, generate, sources)])
    print()
    common.print_table([row for name, pairs in DIFFERENT.items() for row in precision(name, pairs, sources)])
    print()
    common.print_table([row for rows in arguments.rows for row in cost(rows, arguments.repeat, sources)])


def contend(table: Path, out: Path) -> None:
    """Group the texts of a JSON list, and write the groups, the seconds and the peak memory that they took."""
    from emoclass.data.similarity.near import duplicate_groups

    texts = json.loads(table.read_text())
    duplicate_groups(texts[:1000])  # imports
    start = time.perf_counter()
    groups = duplicate_groups(texts).tolist()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    out.write_text(json.dumps({"groups": groups, "seconds": seconds, "peak_gb": peak}))


def run(texts: list[str], source: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        table, out = Path(directory) / "texts.json", Path(directory) / "out.json"
        table.write_text(json.dumps(texts))
        path = {} if source is None else {"PYTHONPATH": str(source)}
        command = [sys.executable, __file__, "--contender", str(table), str(out)]
        subprocess.run(command, check=True, env={**os.environ, **path})
        result: dict[str, Any] = json.loads(out.read_text())
        return result


def quality(kind: str, generate: Callable[[random.Random], list[list[str]]], sources: dict[str, Path | None]) -> Any:
    """Recall and precision for each kind of twin."""
    rng = random.Random(0)
    texts = generate(rng)
    joint = "" if kind in ("Chinese", "Thai") else " "
    for name, change in CHANGES.items():
        twins = [change(words, joint, rng) for words in texts[:TWINS]]
        row = {"texts": kind, "twins": name}
        for label, source in sources.items():
            groups = run([*(joint.join(words) for words in texts), *twins], source)["groups"]
            found = sum(groups[i] == groups[len(texts) + i] for i in range(TWINS))
            joined = sum(size * (size - 1) // 2 for size in Counter(groups).values())
            row |= {f"recall {label}": found / TWINS, f"precision {label}": found / max(1, joined)}
        yield row


def precision(name: str, pairs: list[tuple[str, str]], sources: dict[str, Path | None]) -> Any:
    """How many of the pairs that differ in meaning are joined."""
    row: dict[str, Any] = {"pairs that differ in": name, "pairs": len(pairs)}
    for label, source in sources.items():
        groups = [run(list(pair), source)["groups"] for pair in pairs]
        row[f"joined {label}"] = sum(first == second for first, second in groups)
    yield row


def cost(rows: int, repeat: int, sources: dict[str, Path | None]) -> Any:
    """Median seconds and peak memory, for texts of bare words and with punctuation."""
    with tempfile.TemporaryDirectory() as directory:
        table = Path(directory) / "rows.csv"
        data.write_table(table, rows)
        bare = [line.rpartition(",")[0] for line in table.read_text().splitlines()[1:]]
    marks = random.Random(0)
    marked = [
        f"{text.capitalize().replace(' ba', ', ba')}{marks.choice(('.', '!', '?', ' :)', '...'))}" for text in bare
    ]
    for name, texts in (("bare", bare), ("with punctuation", marked)):
        # In turns, so that all see the same machine.
        runs = [{label: run(texts, source) for label, source in sources.items()} for _ in range(repeat)]
        row: dict[str, Any] = {"rows": rows, "texts": name}
        for label in sources:
            middle = sorted(each[label]["seconds"] for each in runs)[repeat // 2]
            row |= {f"seconds {label}": middle, f"peak_gb {label}": max(each[label]["peak_gb"] for each in runs)}
        yield row


def made_up(letters: list[str], least: int, most: int) -> Callable[[random.Random], list[list[str]]]:
    """Texts of so many made-up words."""

    def generate(rng: random.Random) -> list[list[str]]:
        words = ["".join(rng.choices(letters, k=rng.randint(2, 3))) for _ in range(5000)]
        return [rng.choices(words, k=rng.randint(least, most)) for _ in range(TEXTS)]

    return generate


def from_templates(rng: random.Random) -> list[list[str]]:
    things, names = [["".join(rng.choices(SYLLABLES, k=3)) for _ in range(40)] for _ in range(2)]
    texts = [template.format(thing, name).split() for template in TEMPLATES for thing in things for name in names]
    rng.shuffle(texts)
    return texts


def typo(words: list[str], joint: str, rng: random.Random) -> str:
    text = joint.join(words)
    place = rng.choice([i for i in range(1, len(text) - 1) if text[i] != " " and text[i - 1] != " "])
    return text[:place] + rng.choice([text[place] * 2, "", rng.choice(words)[0]]) + text[place + 1 :]


def punctuation(words: list[str], joint: str, rng: random.Random) -> str:
    place = rng.randint(1, len(words))
    marks = rng.choice(["! ", ", ", "… ", " - ", '" ']) if joint else rng.choice("！，…")
    return joint.join(words[:place]) + marks + joint.join(words[place:])


def swapped(words: list[str], joint: str, rng: random.Random) -> str:
    place = rng.randint(0, len(words) - 2)
    return joint.join([*words[:place], words[place + 1], words[place], *words[place + 2 :]])


def other_form(words: list[str], joint: str, rng: random.Random) -> str:
    """Capitals or full width; vowel points and tatweel; spaces in scripts without them."""
    text = joint.join(words)
    if not joint:
        return " ".join(words)
    if text.isascii():
        return text.upper() if rng.random() < 0.5 else "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in text)
    return "".join(c + rng.choice(["", "", rng.choice(TASHKEEL), "ـ"]) if c != " " else c for c in text)


ARABIC = [first + second for first in "بتثجحخدرزسشصطعغفقلمنه" for second in "اوبرلمن"]
KINDS: dict[str, Callable[[random.Random], list[list[str]]]] = {
    "English, 2-4 words": made_up(SYLLABLES, 2, 4),
    "English, 6-8 words": made_up(SYLLABLES, 6, 8),
    "English, 20-30 words": made_up(SYLLABLES, 20, 30),
    "Chinese": made_up(HAN, 13, 18),
    "Thai": made_up(THAI, 7, 12),
    "Arabic": made_up(ARABIC, 7, 14),
    "templates": from_templates,
}
CHANGES = {"typo": typo, "punctuation": punctuation, "swapped words": swapped, "case, width, points": other_form}


if __name__ == "__main__":
    main()
