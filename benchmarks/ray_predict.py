"""Prediction on Ray with several workers beside as many independent processes, and the results compared.

    python benchmarks/ray_predict.py ../texts.csv --rows 20000 --workers 2

The texts of a CSV file with a column text are repeated to so many rows with ids, in files of Parquet. First
`emoclass predict --engine ray` computes all of them, then each of the processes a share of the files with one thread
(OMP_NUM_THREADS=1), all at once. Seconds are of whole commands, and also without the time that the same command takes
for as many rows as there are workers, which is start-up: a large table does not notice it. On a busy machine, repeat.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _common as common

EMOCLASS = [sys.executable, "-m", "emoclass", "predict", "--device", "cpu"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", help="A trained model; one of MiniLM's shapes is made when not given.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--words", type=int, help="Cut texts to so many words.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        print(f"{time.strftime('%Y-%m-%d')}, {common.machine()}\n")
        model = arguments.model
        if model is None:
            from predict import make_model

            os.environ["EMOCLASS_HOME"] = str(home / "emoclass")
            model = str(make_model("minilm", home))
        texts = common.read_part(arguments.data, None)[0]
        texts = [" ".join(text.split()[: arguments.words]) for text in texts]
        workers = arguments.workers
        few = write_table(home / "few", texts, workers, workers)
        many = write_table(home / "many", texts, arguments.rows, 8 * workers)
        rows = []
        for number in range(arguments.repeats):
            seconds: dict[str, dict[str, float]] = {"ray": {}, "processes": {}}
            for name, files in (("few", few), ("many", many)):
                out = home / f"out-{number}-{name}"
                seconds["ray"][name] = run_ray(model, files, out / "ray", workers)
                seconds["processes"][name] = run_processes(model, files, out, workers)
            rows += [
                {
                    "run": number + 1,
                    "contender": contender,
                    "start_up": times["few"],
                    "seconds": times["many"],
                    "rows_per_second": arguments.rows / times["many"],
                    "without_start_up": arguments.rows / (times["many"] - times["few"]),
                }
                for contender, times in seconds.items()
            ]
        print(f"{arguments.rows:,} rows, {workers} workers\n")
        common.print_table(rows)
        for ray, processes in zip(rows[::2], rows[1::2], strict=True):
            ratios = [ray[key] / processes[key] for key in ("rows_per_second", "without_start_up")]
            print(f"\nray / processes: {ratios[0]:.3f}, without start-up {ratios[1]:.3f}")
        print(f"\n{compare(out)}")


def write_table(directory: Path, texts: list[str], rows: int, files: int) -> list[Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    directory.mkdir()
    paths = [directory / f"{number:03}.parquet" for number in range(files)]
    for number, path in enumerate(paths):
        ids = list(range(number, rows, files))
        pq.write_table(pa.table({"id": ids, "text": [texts[i % len(texts)] for i in ids]}), path)
    return paths


def run_ray(model: str, files: list[Path], out: Path, workers: int) -> float:
    out.parent.mkdir()
    engine = ["--engine", "ray", "--workers", str(workers), "--input", str(files[0].parent), "--output", str(out)]
    start = time.perf_counter()
    subprocess.run([*EMOCLASS, "--model", model, *engine], check=True)
    return time.perf_counter() - start


def run_processes(model: str, files: list[Path], out: Path, workers: int) -> float:
    start = time.perf_counter()
    processes = []
    for number in range(workers):
        inputs = [argument for path in files[number::workers] for argument in ("--input", str(path))]
        command = [*EMOCLASS, "--model", model, *inputs, "--output", str(out / f"process-{number}.parquet")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes.append(subprocess.Popen(command, env=environment))
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit("a process failed")
    return time.perf_counter() - start


def compare(out: Path) -> str:
    """One line on how equal the results are, row for row."""
    import pyarrow.parquet as pq

    def by_id(paths: list[Path]) -> dict[int, dict[str, Any]]:
        return {row["id"]: row for path in paths for row in pq.read_table(path).to_pylist()}

    ray, processes = by_id(sorted((out / "ray").iterdir())), by_id(sorted(out.glob("process-*")))
    same = sum(ray[i]["label"] == row["label"] for i, row in processes.items())
    difference = max(abs(ray[i]["confidence"] - row["confidence"]) for i, row in processes.items())
    return (
        f"ids equal: {ray.keys() == processes.keys()}; labels equal: {same / len(ray):.3%}; "
        f"confidences differ by at most {difference:.1e}"
    )


if __name__ == "__main__":
    main()
