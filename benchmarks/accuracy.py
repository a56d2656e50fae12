"""How good a command line is over several seeds: test accuracy and macro F1, and wall time.

    python benchmarks/accuracy.py DIR --base minilm --seeds 3 -- --recipe best
    python benchmarks/accuracy.py DIR --base minilm --seeds 3 -- --tune 40 --unfreeze 1 --max-minutes 4

DIR has train.csv, val.csv and test.csv with the columns text and label. What follows -- goes to `emoclass train`. The
activation cache is shared by all seeds unless --fresh is given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _common as common


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--base", choices=["minilm", "bert-base"], default="minilm")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="an empty cache for each seed")
    words = [*sys.argv[1:], "--"]
    arguments = parser.parse_args(words[: words.index("--")])
    arguments.options = words[words.index("--") + 1 : -1]
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        base = common.base_directory(arguments.base, Path(directory))
        for seed in range(1, arguments.seeds + 1):
            home = Path(directory) / (f"home-{seed}" if arguments.fresh else "home")
            rows.append(run(arguments, str(base), seed, home))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    figures = [name for name in rows[0] if name not in ("seed", "settings")]
    mean = {name: statistics.mean(row[name] for row in rows) for name in figures}
    print(f"{arguments.data.name}, {arguments.base}, {' '.join(arguments.options)}; {time.strftime('%Y-%m-%d')}")
    print(common.machine(), end="\n\n")
    common.print_table([*rows, {"seed": "mean", **mean}])


def run(arguments: argparse.Namespace, base: str, seed: int, home: Path) -> dict[str, Any]:
    words = [str(arguments.data), "--base-model", base, "--seed", str(seed), *arguments.options]
    result, seconds = common.train(words, home)
    test, tuning = result["test"], result["tuning"]
    row = {"seed": seed, "seconds": seconds, "accuracy": test["accuracy"], "macro_f1": test["macro_f1"]}
    if tuning:
        row |= {"trials": len(tuning["trials"]), "gain": tuning["gain"]["second"] - tuning["gain"]["first"]}
        row["settings"] = json.dumps(tuning["trials"][tuning["best"] - 1]["settings"])
    return row


if __name__ == "__main__":
    main()
