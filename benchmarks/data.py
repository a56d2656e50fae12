"""How inspect-data and split grow with the rows: 10,000, 100,000, 1,000,000 rows of 20 made-up words.

    python benchmarks/data.py
    python benchmarks/data.py --rows 10000 100000

Every command runs in a process of its own; its peak memory is what the system counts.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _common as common

_PEAK = (
    "import resource, subprocess, sys;"
    "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
_SYLLABLES = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in "aeiou"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        for rows in arguments.rows:
            table = home / "rows.csv"
            write_table(table, rows)
            parts = home / "parts"
            commands = {
                "inspect-data, no tokens": ["inspect-data", str(table), "--base-model", "none"],
                "inspect-data": ["inspect-data", str(table), "--base-model", "minilm"],
                "split": ["split", str(table), "--output-dir", str(parts)],
            }
            for name, command in commands.items():
                start = time.perf_counter()
                whole = [sys.executable, "-c", _PEAK, sys.executable, "-m", "emoclass", *command]
                peak = subprocess.check_output(whole)
                seconds = time.perf_counter() - start
                results.append({"rows": rows, "command": name, "seconds": seconds, "peak_gb": int(peak) / 1e6})
            shutil.rmtree(parts)
    print(f"{time.strftime('%Y-%m-%d')}, {common.machine()}\n")
    common.print_table(results)


def write_table(path: Path, rows: int) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(20_000)]
    labels = ["anger", "fear", "joy", "love", "sadness", "surprise"]
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        file.writelines(f"{' '.join(rng.choices(words, k=20))},{rng.choice(labels)}\n" for _ in range(rows))


if __name__ == "__main__":
    main()
