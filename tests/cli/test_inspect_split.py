"""``emoclass inspect-data`` and ``split`` from the command line."""

import csv
import errno
import io
import json
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emoclass.cli._console import clean_text
from emoclass.data.cleaning.cleaning import clean
from emoclass.data.cleaning.traits import is_damaged
from emoclass.data.inspection.label_noise import find_suspects
from emoclass.data.options import DataOptions

Run = Callable[..., Any]
SYLLABLES = ["ba", "ke", "li", "mo", "nu", "pa", "re", "si", "to", "vu", "za", "ge", "hi", "jo", "lu"]


def sentences(count: int, seed: int) -> list[str]:
    """Return different sentences of made-up words."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(3000)]
    return [" ".join(rng.choices(words, k=rng.randint(6, 18))) for _ in range(count)]


def write(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def typo(text: str, rng: random.Random) -> str:
    place = rng.choice([i for i, c in enumerate(text) if c != " "])
    return text[:place] + rng.choice("xqw") + text[place + 1 :]


def swap(text: str, rng: random.Random) -> str:
    """Swap two different words."""
    words = text.split()
    i, j = 0, 0
    while words[i] == words[j]:
        i, j = rng.sample(range(len(words)), 2)
    words[i], words[j] = words[j], words[i]
    return " ".join(words)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """1,000 clean rows and 50 of each kind of damage, in any order."""
    rng = random.Random(1)
    texts = sentences(1150, 2)
    clean = [(text, rng.choice(["joy", "sad"])) for text in texts[:1000]]
    rows = list(clean)
    rows += clean[:50]  # exact duplicates
    rows += [(typo(text, rng), label) for text, label in clean[50:100]]
    rows += [(swap(text, rng), label) for text, label in clean[100:150]]
    rows += [(text, "sad" if label == "joy" else "joy") for text, label in clean[150:200]]  # conflicts
    rows += [(f"{text} cafÃ© dÃ©jÃ  vu", "joy") for text in texts[1000:1050]]
    rows += [(rng.choice(["N/A", "[ No response.]", "none", "..."]) + " " * n, "sad") for n in range(50)]
    rng.shuffle(rows)
    return write(tmp_path / "damaged.csv", rows)


def test_planted_damage_is_found_and_nothing_else(cli: Run, damaged: Path) -> None:
    result = cli("inspect-data", damaged, "--json", "--base-model", "minilm")
    (part,) = json.loads(result.stdout)["parts"]
    assert part["removed"]["duplicate"] == 50
    assert part["duplicates"]["near"] == 100
    assert part["conflicts"] == 50
    traits = {trait["name"]: trait["rows"] for trait in part["traits"]}
    assert traits == {"damaged_encoding": 50, "placeholder": 50}


def test_several_files_are_compared_like_a_split_directory(cli: Run, tmp_path: Path) -> None:
    texts = sentences(80, 10)
    write(tmp_path / "train.csv", [(text, ("joy", "sad")[n % 2]) for n, text in enumerate(texts[:40])])
    write(tmp_path / "dev.csv", [(text, ("joy", "fear")[n % 2]) for n, text in enumerate(texts[40:])])
    named = json.loads(cli("inspect-data", tmp_path / "dev.csv", tmp_path / "train.csv", "--json").stdout)
    found = json.loads(cli("inspect-data", tmp_path, "--json").stdout)
    assert {(f["part"], f["code"]) for f in named["findings"]} == {(f["part"], f["code"]) for f in found["findings"]}
    assert ("val", "unseen_class") in {(f["part"], f["code"]) for f in named["findings"]}


def test_files_with_the_same_name_are_distinguished_by_their_paths(cli: Run, tmp_path: Path) -> None:
    paths = [tmp_path / directory / "train.csv" for directory in ("a", "b")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        write(path, [(text, ("joy", "sad")[n % 2]) for n, text in enumerate(sentences(40, number))])
    document = json.loads(cli("inspect-data", *paths, "--json").stdout)
    assert [part["part"] for part in document["parts"]] == list(map(str, paths))
    assert "is named twice" in cli("inspect-data", paths[0], paths[0]).stderr


def test_strict_prints_a_line_for_each_decision(cli: Run, damaged: Path) -> None:
    result = cli("inspect-data", damaged, "--strict")
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert {line.split(": ")[2] for line in lines} == {"conflicting_labels", "placeholder", "damaged_encoding"}


def test_fix_writes_a_clean_table_and_its_changes(cli: Run, damaged: Path, tmp_path: Path) -> None:
    out = tmp_path / "fixed.csv"
    result = cli("inspect-data", damaged, "--fix", out)
    assert result.exit_code == 0, result.output
    kept, changes = read(out), read(tmp_path / "fixed.changes.csv")
    removed = [change for change in changes if change["action"] == "removed"]
    assert len(kept) + len(removed) == len(read(damaged))
    reasons = Counter(change["reason"] for change in changes)
    assert reasons == {"damaged_encoding": 50, "placeholder": 50, "duplicate": 50, "near_duplicate": 100}
    assert any(row["text"].endswith("café déjà vu") for row in kept)
    assert not any("Ã" in row["text"] for row in kept)
    again = json.loads(cli("inspect-data", out, "--json").stdout)["parts"][0]
    assert (again["removed"]["duplicate"], again["traits"]) == (0, [])
    assert "exists already" in cli("inspect-data", damaged, "--fix", out).stderr


def test_changes_of_a_table_in_several_files_name_the_file(cli: Run, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in range(2):
        rows = "".join(f"words of text {number} {n},{'joy' if n % 2 else 'sad'}\n" for n in range(5))
        (parts / f"train-0000{number}-of-00002.csv").write_text("text,label\n" + rows + ",joy\n")
    fixed = tmp_path / "fixed.csv"
    assert cli("inspect-data", parts, "--fix", fixed, "--base-model", "none").exit_code == 0
    changes = [change for change in read(tmp_path / "fixed.changes.csv") if change["reason"] == "blank_text"]
    assert [(each["row"], each["place"]) for each in changes] == [
        ("6", "train-00000-of-00002.csv, line 7"),
        ("12", "train-00001-of-00002.csv, line 7"),
    ]


@pytest.mark.parametrize("name", ["fixed.csv", "fixed.changes.csv"])
def test_a_full_disk_leaves_no_partial_table(
    cli: Run, emotions_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_(path: Path, *arguments: Any, **options: Any) -> Any:
        return Full() if path.name == name else usual(path, *arguments, **options)

    usual, fix = Path.open, ["inspect-data", emotions_csv, "--base-model", "none", "--fix", tmp_path / "fixed.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_)
        result = cli(*fix)
    assert result.exit_code == 1
    assert f"{tmp_path / 'fixed.csv'}: the cleaned table could not be written: No space left" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["emotions.csv"]
    assert cli(*fix).exit_code == 0
    assert read(tmp_path / "fixed.csv")
    assert (tmp_path / "fixed.changes.csv").read_text() == "row,action,reason,text,new_text\n"


def test_a_fixed_table_is_not_compressed(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    assert cli("inspect-data", emotions_csv, "--fix", tmp_path / "fixed.csv.GZ").exit_code == 2


def test_label_noise_ranks_wrong_labels_first(tmp_path: Path) -> None:
    rng = random.Random(0)
    words = {"joy": ["happy", "glad", "smile", "laugh"], "sad": ["tears", "gloom", "grief", "lonely"]}
    fillers = sentences(400, 3)
    rows, wrong = [], set()
    for number, text in enumerate(fillers):
        label = ("joy", "sad")[number % 2]
        text = f"{text} {rng.choice(words[label])} {rng.choice(words[label])}"
        if number % 20 == 7:
            wrong.add(number + 1)
            label = "sad" if label == "joy" else "joy"
        rows.append((text, label))
    options = DataOptions()
    table = options.read(write(tmp_path / "noisy.csv", rows))
    suspects = find_suspects(clean(table, options.choose_columns(table)))
    found = {suspect.row for suspect in suspects[: len(wrong)]}
    assert len(found & wrong) >= 0.8 * len(wrong)


def test_label_noise_ranks_rows_with_wrong_sets_of_labels_first(tmp_path: Path) -> None:
    rng = random.Random(0)
    words = {"joy": ["happy", "glad"], "sad": ["tears", "gloom"], "fear": ["panic", "dread"]}
    rows, wrong = [], set()
    for number, text in enumerate(sentences(600, 3)):
        labels = [name for position, name in enumerate(words) if (number >> position) % 2]
        rows.append((f"{text} {' '.join(rng.choice(words[label]) for label in labels)}", labels))
        if number % 30 == 7:
            wrong.add(number + 1)
            rows[-1] = (rows[-1][0], labels[:-1])
    options = DataOptions()
    table = options.read(write(tmp_path / "noisy.csv", [(text, ",".join(labels)) for text, labels in rows]))
    suspects = find_suspects(clean(table, options.choose_columns(table)))
    assert len({suspect.row for suspect in suspects[: len(wrong)]} & wrong) >= 0.6 * len(wrong)
    first = suspects[0]
    assert set(first.suggestion.split(", ")) > set(filter(None, first.label.split(", ")))


def test_a_failure_of_label_noise_keeps_the_other_output(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    with emotions_csv.open("a") as file:
        file.write("oh what a surprise,surprise\n")
    for more, words in (((), "Classes"), (("--json",), '"findings"')):
        fixed = tmp_path / f"fixed{len(more)}.csv"
        result = cli("inspect-data", emotions_csv, "--label-noise", "--strict", "--fix", fixed, *more)
        assert result.exit_code == 1
        assert "small_class" in result.stderr
        assert "at least 5 rows of each class" in result.stderr
        assert words in result.stdout
        assert fixed.exists()


def test_output_that_cannot_be_written_is_an_error_before_reading(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.csv").touch()
    for path, words in (("there.csv", "exists already"), ("fixed.txt", "does not tell the format")):
        result = cli("inspect-data", "nowhere.csv", "--fix", tmp_path / path)
        assert (result.exit_code, words in result.stderr) == (2, True)
    monkeypatch.setattr("emoclass.runtime.find_spec", lambda name: None)
    assert "emoclass[report]" in cli("inspect-data", "nowhere.csv", "--report", "x.html").stderr
    assert "emoclass[label-noise]" in cli("inspect-data", "nowhere.csv", "--label-noise").stderr


def test_label_noise_and_page_from_the_command_line(cli: Run, emotions_csv: Path, tmp_path: Path) -> None:
    page = tmp_path / "data.html"
    result = cli("inspect-data", emotions_csv, "--label-noise", "--report", page)
    assert result.exit_code == 0, result.output
    assert "labels are probably wrong" in result.stdout
    content = page.read_text(encoding="utf-8")
    assert content.count("<figure") == 2
    assert "emotions.csv" in content


@pytest.mark.parametrize("label", ["喜び", "আনন্দ"])
def test_labels_in_any_script_are_plotted_without_warnings(cli: Run, tmp_path: Path, label: str) -> None:
    """Browsers have letters that the plotting library lacks; pytest turns its warnings into errors."""
    rows = [(text, (label, "sad")[n % 2]) for n, text in enumerate(sentences(30, 12))]
    page = tmp_path / "data.html"
    result = cli("inspect-data", write(tmp_path / "a.csv", rows), "--base-model", "none", "--report", page)
    assert result.exit_code == 0, result.output
    assert label in page.read_text(encoding="utf-8")


def test_near_duplicates_are_never_in_two_splits(cli: Run, tmp_path: Path) -> None:
    rng = random.Random(5)
    rows = []
    for number, text in enumerate(sentences(300, 4)):
        twins = (text, typo(text, rng), swap(text, rng))
        rows += [(copy, ("joy", "sad")[number % 2], str(number)) for copy in twins]
    source = write(tmp_path / "rows.csv", rows, ("text", "label", "origin"))
    result = cli("split", source, "--output-dir", tmp_path / "parts")
    assert result.exit_code == 0, result.output
    assert "largest deviation" in result.stderr
    part_of = defaultdict(set)
    for part in ("train", "val", "test"):
        for row in read(tmp_path / "parts" / f"{part}.csv"):
            part_of[row["origin"]].add(part)
    assert len(part_of) == 300
    assert all(len(parts) == 1 for parts in part_of.values())
    record = json.loads((tmp_path / "parts" / "split.json").read_text())
    assert (record["grouping"]["groups"], record["grouping"]["rows_in_groups"]) == (300, 900)
    assert record["largest_deviation"]["deviation"] < 0.02


def test_a_group_column_keeps_its_rows_together(cli: Run, tmp_path: Path) -> None:
    rng = random.Random(6)
    rows = [(text, rng.choice(["joy", "sad"]), f"user {rng.randint(1, 80)}") for text in sentences(800, 7)]
    source = write(tmp_path / "rows.csv", rows, ("text", "label", "user"))
    assert cli("split", source, "-o", tmp_path / "parts", "--group-column", "user").exit_code == 0
    users = [{row["user"] for row in read(tmp_path / "parts" / f"{part}.csv")} for part in ("train", "val", "test")]
    assert sum(map(len, users)) == len(set.union(*users))
    record = json.loads((tmp_path / "parts" / "split.json").read_text())
    assert record["largest_deviation"]["deviation"] < 0.05
    assert "no column 'thread'" in cli("split", source, "-o", tmp_path / "p2", "--group-column", "thread").stderr


def test_one_group_is_singular(cli: Run, tmp_path: Path) -> None:
    texts = sentences(60, 11)
    rows = [(text, ("joy", "sad")[n % 2]) for n, text in enumerate([*texts, texts[0].upper()])]
    assert "2 rows are in 1 group\n" in cli("split", write(tmp_path / "a.csv", rows), "-o", tmp_path / "p").stderr


def test_duplicates_can_be_kept_and_the_format_changed(cli: Run, tmp_path: Path) -> None:
    rows = [(text, ("joy", "sad")[n % 2]) for n, text in enumerate(sentences(50, 8))] * 3
    source = write(tmp_path / "rows.csv", rows)
    result = cli("split", source, "-o", tmp_path / "parts", "--keep-duplicates", "--output-format", "jsonl")
    assert result.exit_code == 0, result.output
    counts = [len((tmp_path / "parts" / f"{part}.jsonl").read_text().splitlines()) for part in ("train", "val", "test")]
    assert counts == [120, 15, 15]
    assert cli("split", source, "-o", tmp_path / "p2", "--output-format", "xml").exit_code == 2


def test_added_rows_move_few_others(cli: Run, tmp_path: Path) -> None:
    rows = [(text, ("joy", "sad")[n % 2]) for n, text in enumerate(sentences(1000, 9))]
    parts = []
    for name, count in (("a", 900), ("b", 1000)):
        assert cli("split", write(tmp_path / f"{name}.csv", rows[:count]), "-o", tmp_path / name).exit_code == 0
        parts.append(
            {row["text"]: part for part in ("train", "val", "test") for row in read(tmp_path / name / f"{part}.csv")}
        )
    moved = sum(parts[1][text] != part for text, part in parts[0].items())
    assert moved < 0.05 * 900


def test_splits_that_were_fixed_separately_are_a_split_directory(cli: Run, tmp_path: Path) -> None:
    rows = [(text, "sad" if number % 2 else "joy") for number, text in enumerate(sentences(60, 1))]
    assert cli("split", write(tmp_path / "data.csv", rows), "-o", tmp_path / "parts").exit_code == 0
    (tmp_path / "fixed").mkdir()
    for part in ("train", "val", "test"):
        fixing = ["--fix", tmp_path / "fixed" / f"{part}.csv", "--base-model", "none"]
        assert cli("inspect-data", tmp_path / "parts" / f"{part}.csv", *fixing).exit_code == 0
    result = cli("inspect-data", tmp_path / "fixed", "--base-model", "none", "--json")
    names = [Path(part["name"]).name for part in json.loads(result.stdout)["parts"]]
    assert names == ["train.csv", "val.csv", "test.csv"]


def test_fix_keeps_texts_that_express_a_feeling(cli: Run, tmp_path: Path) -> None:
    feelings = [":)", ":(", "<3", ":-/", "-_-", "empty", "nothing", "!!!", "the day was good"]
    nothing = ["\u200b", "====", "<>", "[empty]", "(missing)", "N/A", "---", "…", '"."', "[ No response.]"]
    rows = [(text, "joy") for text in feelings] + [(text, "sad") for text in nothing]
    path = write(tmp_path / "data.csv", rows)
    assert cli("inspect-data", path, "--base-model", "none", "--fix", tmp_path / "fixed.csv").exit_code == 0
    assert [row["text"] for row in read(tmp_path / "fixed.csv")] == feelings


@pytest.mark.parametrize(
    ("repeated", "said"), [(1, "1 row removed (1 duplicate)"), (2, "2 rows removed (2 duplicate)")]
)
def test_fix_counts_what_it_removes(cli: Run, tmp_path: Path, repeated: int, said: str) -> None:
    rows = [(text, "joy" if n % 2 else "sad") for n, text in enumerate(sentences(30, 4))]
    path = write(tmp_path / "data.csv", rows + rows[:repeated])
    result = cli("inspect-data", path, "--base-model", "none", "--fix", tmp_path / "fixed.csv")
    assert f"{said}, 0 texts repaired" in " ".join(result.stderr.split())


def test_fix_removes_only_texts_near_a_kept_row(cli: Run, tmp_path: Path) -> None:
    words = sentences(40, 3)
    first, last = " ".join(words[:20]).split()[:40], " ".join(words[20:]).split()[:40]
    chain = [" ".join(last[:count] + first[count:]) for count in range(41)]
    path = write(tmp_path / "data.csv", [(text, "joy") for text in chain])
    assert cli("inspect-data", path, "--base-model", "none", "--fix", tmp_path / "fixed.csv").exit_code == 0
    kept = [row["text"] for row in read(tmp_path / "fixed.csv")]
    assert kept[0] == chain[0]
    assert 5 < len(kept) < 21
    assert set(kept[-1].split()) & set(chain[-1].split())


def test_values_that_a_format_cannot_hold_are_an_error_that_leaves_no_files(cli: Run, tmp_path: Path) -> None:
    rows = [{"text": text, "label": "joy" if n % 2 else "sad"} for n, text in enumerate(sentences(30, 4))]
    path = tmp_path / "data.jsonl"
    for change, format_, said in (
        ({"text": "a\0b"}, "csv", "NUL character"),
        ({"meta": {}}, "parquet", "meta"),
    ):
        path.write_text(
            "".join(json.dumps({**row, **(change if n in (0, 5) else {})}) + "\n" for n, row in enumerate(rows))
        )
        result = cli("split", path, "-o", tmp_path / "parts", "--output-format", format_)
        assert (result.exit_code, result.stderr.count("error: ")) == (1, 1)
        assert said in result.stderr
        assert not (tmp_path / "parts").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_file_whose_name_is_not_utf8_can_be_split(cli: Run, tmp_path: Path) -> None:
    rows = [(text, "sad" if number % 2 else "joy") for number, text in enumerate(sentences(30, 5))]
    path = write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")), rows)
    assert cli("split", path, "-o", tmp_path / "parts").exit_code == 0
    assert json.loads((tmp_path / "parts" / "split.json").read_bytes())["input"]["name"] == str(path)


def test_too_few_groups_are_called_groups(cli: Run, tmp_path: Path) -> None:
    rows = [(text, "sad" if n % 2 else "joy", f"u{n % 3}") for n, text in enumerate(sentences(30, 6))]
    path = write(
        tmp_path / "data.csv", [(*row[:2], row[2].replace("2", "1")) for row in rows], ("text", "label", "user")
    )
    result = cli("split", path, "-o", tmp_path / "parts", "--group-column", "user")
    assert result.exit_code == 1
    assert "too few groups of --group-column 'user'" in result.stderr


def test_the_record_of_changes_replaces_what_csv_cannot_hold(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    rows = [{"text": "a fine day", "label": "joy"}, {"text": "a\0b", "label": None}, {"text": "so sad", "label": "sad"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli("inspect-data", path, "--base-model", "none", "--fix", tmp_path / "fixed.jsonl").exit_code == 0
    (change,) = read(tmp_path / "fixed.changes.csv")
    assert (change["reason"], change["text"]) == ("null_label", "a\N{REPLACEMENT CHARACTER}b")


LANGUAGES = {
    "persian": "امروز می‌خواهم به خانه‌ی دوستم بروم، خیلی خوش‌حالم!",
    "urdu": "میں آج بہت خوش ہوں۔ شکریہ!",
    "arabic": "قال: \u200f«أنا سعيدٌ جدًّا اليوم»\u200f، والحمد لله ﷺ",
    "hebrew": "אני שמח מאוד היום \u200e(2024)\u200e, תודה!",
    "hindi": "मुझे बहुत खुशी हुई, क्‍योंकि तुम आए",
    "bengali": "আমি আজ খুব খুশি, র‍্যাব এসেছে",
    "malayalam": "എനിക്ക് സന്തോഷമായി, അവന്‍ വന്നു",
    "sinhala": "ශ්‍රී ලංකාව ලස්සනයි, මම සතුටින්",
    "khmer": "ថ្ងៃនេះ\u200bខ្ញុំ\u200bសប្បាយ\u200bចិត្ត\u200bណាស់",
    "thai": "วันนี้ฉันมีความสุขมาก",
    "mongolian": "ᠮᠣᠩᠭᠣᠯ\u180eᠠ",
    "chinese": "今天我很高兴，谢谢大家！",
    "japanese": "今日はとても楽しかった。ｶﾞﾝﾊﾞﾚ！(´・ω・`)",
    "korean": "오늘 정말 행복해요 ㅠㅠ ㅋㅋ",
    "russian": "Я так счастлив сегодня — «ура»! Ёлки…",
    "ukrainian": "«Ґанок» і «Її» – я щасливий",
    "greek": "Είμαι πολύ χαρούμενος σήμερα· «ναι»",
    "vietnamese": "Hôm nay tôi rất vui, cảm ơn bạn nhiều ạ. “Ừ, à”",
    "german": "»Übermut« tut selten gut, sagte sie – »Ärger« gab es, 5 €. Donau\u00addampfschiff",
    "danish": "»Åh nej« sagde hun, „æblet“ er væk",
    "polish": "Jestem szczęśliwa, »Żal« i „źle” minęły",
    "french": "J’étais déçue… « ça alors » ; «À bientôt» l’œuvre à 20°",
    "portuguese": "“AMANHÃ”, disse ela, NÃO É MAÇÃ; “Â” é letra",
    "romanian": "scris cu „â” din „a”, ROMÂNIA mea",
    "icelandic": "Ég er svo ánægður, þetta er æðislegt „þ“",
    "spanish": "¡Él! “¿Ñandú?” ¬¬ ¬_¬ qué pasó mañana",
    "turkish": "Bugün çok mutluyum, teşekkürler İstanbul’a",
    "yoruba": "Inú mi dùn púpọ̀ lónìí ẹ ṣé",
    "emoji": "family 👨‍👩‍👧‍👦 and 🏳️‍🌈 and ❤️‍🔥 👍🏿 🇫🇷 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣ so happy",
}


def test_no_script_is_flagged_as_damage_or_repaired(cli: Run, tmp_path: Path) -> None:
    rows = [(text, label) for text in LANGUAGES.values() for label in ("خوش‌حال", "क्‍रोध")]
    path = write(tmp_path / "a.csv", rows)
    result = cli("inspect-data", path, "--base-model", "none", "--json", "--fix", tmp_path / "fixed.csv")
    part = json.loads(result.stdout)["parts"][0]
    assert {trait["name"] for trait in part["traits"]} <= {"emoji"}
    assert [(row["text"], row["label"]) for row in read(tmp_path / "fixed.csv")] == rows
    (conflicts,) = (f for f in json.loads(result.stdout)["findings"] if f["code"] == "conflicting_labels")
    assert "'خوش‌حال'" in conflicts["message"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_script_is_printed_as_it_is(language: str) -> None:
    assert clean_text(LANGUAGES[language]) == LANGUAGES[language]


@pytest.mark.parametrize("control", ["\x1b[31m", "\x07", "\u202e", "\u2066", "\u2028", "\x9b"])
def test_terminal_escapes_and_reordering_controls_are_not_printed(control: str) -> None:
    assert control[0] not in clean_text(f"a {control} b")


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "mac_roman"])
def test_utf8_that_was_read_in_another_encoding_is_still_damage(encoding: str) -> None:
    languages = ["german", "french", "portuguese", "vietnamese", "polish", "russian", "greek", "turkish", "icelandic"]
    damaged = [LANGUAGES[language].encode().decode(encoding, "replace") for language in languages]
    assert [is_damaged(text.replace("\ufffd", "")) for text in damaged] == [True] * len(languages)


def test_how_a_table_was_read_and_what_its_columns_hold_is_shown(cli: Run, tmp_path: Path) -> None:
    rows = "".join(f"{n};2024-01-{n % 27 + 1:02};what a day {n};{'joy' if n % 2 else 'fear'}\r\n" for n in range(40))
    (tmp_path / "data.csv").write_text(f"id;day;said;feeling\r\n{rows}", newline="")
    shown = cli("inspect-data", tmp_path / "data.csv", "--base-model", "none").stdout
    assert "semicolon between fields" in " ".join(shown.split())
    found = json.loads(cli("inspect-data", tmp_path / "data.csv", "--base-model", "none", "--json").stdout)
    (part,) = found["parts"]
    assert part["layout"] == {
        "format": "csv", "encoding": "utf-8", "line_end": "CRLF", "gzip": False, "delimiter": ";", "quoting": "double",
        "header": True,
    }  # fmt: skip
    contents = [(each["name"], each["content"]) for each in part["table_columns"]]
    assert contents == [("id", "id"), ("day", "date"), ("said", "text"), ("feeling", "words")]
