"""Recipes by the size of the data: test accuracy, macro F1 and seconds, beside TF-IDF and, if asked for, SetFit.

    python benchmarks/recipes.py DIR --sizes 300 1000 3000 --recipes auto fast best
    python benchmarks/recipes.py DIR --per-class 8 16 64 --seeds 3 --recipes best fast --setfit
    python benchmarks/recipes.py DIR --task multi --sizes 300 1000 3000 --recipes fast small best

DIR has train.csv, val.csv and test.csv with the columns text and label; with --task multi, labels are joined by commas,
and micro F1 takes the place of accuracy. Of each size the first texts of a shuffled
training set are taken, the same for all recipes, and an eighth as many (at least 40) validation texts; SetFit has no
use for these, and gets them as training texts. SetFit needs the package setfit.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import _common as common

TEST_TEXTS = 2_000


def main() -> None:
    """Run all and print a row for each size and recipe: means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=[])
    parser.add_argument("--per-class", type=int, nargs="*", default=[], help="texts of each class")
    parser.add_argument("--recipes", nargs="+", default=["auto"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--task", choices=["single", "multi"], default="single")
    parser.add_argument("--base-model", default="minilm", help="of emoclass; SetFit always has minilm")
    parser.add_argument("--setfit", action="store_true")
    arguments = parser.parse_args()
    rows = []
    print(f"{arguments.data.name}; {time.strftime('%Y-%m-%d')}; {common.machine()}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        cases = [(size, False) for size in arguments.sizes] + [(size, True) for size in arguments.per_class]
        for size, per_class in cases:
            found: dict[str, list[dict[str, float]]] = defaultdict(list)
            for seed in range(1, arguments.seeds + 1):
                parts = write_parts(arguments.data, home / f"{size}-{per_class}-{seed}", size, per_class, seed)
                for recipe in arguments.recipes:
                    for name, figures in of_emoclass(parts, arguments, recipe, seed, home / "home").items():
                        found[name].append(figures)
                if arguments.setfit:
                    found["SetFit"].append(of_setfit(parts, seed, home))
            for name, each in found.items():
                mean = {key: statistics.mean(figures[key] for figures in each) for key in each[0]}
                rows.append({"texts": f"{size}{' a class' if per_class else ''}", "recipe": name, **mean})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    common.print_table(rows)


def write_parts(source: Path, target: Path, size: int, per_class: bool, seed: int) -> Path:
    """Write some of the texts, and return the directory."""
    target.mkdir()
    for part in ("train", "val", "test"):
        rows = list(zip(*common.read_part(source / f"{part}.csv", None), strict=True))
        if part == "test":
            rows = rows[:TEST_TEXTS]
        else:
            random.Random(seed).shuffle(rows)
            limit = size if part == "train" else max(1 if per_class else 40, size // 8)
            counts: dict[str, int] = defaultdict(int)
            kept = []
            for text, label in rows:
                counts[label if per_class else ""] += 1
                if counts[label if per_class else ""] <= limit:
                    kept.append((text, label))
            rows = kept
        common.write_part(target / f"{part}.csv", [text for text, _ in rows], [label for _, label in rows])
    return target


def of_emoclass(
    parts: Path, arguments: argparse.Namespace, recipe: str, seed: int, home: Path
) -> dict[str, dict[str, float]]:
    """Return the figures of a recipe, and of the baseline that it is compared with."""
    words = [str(parts), "--base-model", arguments.base_model, "--recipe", recipe, "--seed", str(seed)]
    first = "accuracy"
    if arguments.task == "multi":
        words += ["--task", "multi", "--label-separator", ",", "--min-class-rows", "3"]
        first = "micro_f1"
    result, seconds = common.train([*words, "--cache-disk", "0", "--quiet"], home)
    test = result["test"]
    baseline = next(each for each in test["baselines"] if each["name"].startswith("TF-IDF"))
    scores = {"TF-IDF": (baseline, float("nan")), recipe: (test, seconds)}
    return {
        name: {first.replace("_f1", " F1"): found[first], "macro F1": found["macro_f1"], "seconds": seconds}
        for name, (found, seconds) in scores.items()
    }


def of_setfit(parts: Path, seed: int, home: Path) -> dict[str, float]:
    """Return the figures of SetFit with the same base, in a process of its own."""
    base = common.base_directory("minilm", home)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _SETFIT, str(parts), str(base), str(seed)],
        check=True,
        capture_output=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**figures, "seconds": time.perf_counter() - start}


_SETFIT = """
import json, sys
import pandas as pd
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
from sklearn.metrics import accuracy_score, f1_score
parts, base, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
frames = {p: pd.read_csv(f"{parts}/{p}.csv", keep_default_na=False) for p in ("train", "val", "test")}
train = pd.concat([frames["train"], frames["val"]])
model = SetFitModel.from_pretrained(base)
arguments = TrainingArguments(num_epochs=1, seed=seed, batch_size=16, report_to="none", output_dir=f"{parts}/setfit")
trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_pandas(train, preserve_index=False))
trainer.train()
found = list(model.predict(frames["test"]["text"].tolist()))
true = frames["test"]["label"].tolist()
print(json.dumps({"accuracy": accuracy_score(true, found), "macro F1": f1_score(true, found, average="macro")}))
"""


if __name__ == "__main__":
    main()
