"""How the cost of training grows with the number of texts, their length, and the number of layers that learn.

    python benchmarks/scaling.py DIR --base minilm --texts 1000 10000 --tokens 20 100 500 --unfreeze 1 2 4 all

DIR has train.csv with the column text; texts of a given length are made by joining its texts. One epoch each, every
run in a process of its own, the first without and the second with kept activations. Beside it stands what cost_model.py
says for this machine, whose matrix product is measured first.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import _common as common
from cost_model import CPU, SHAPES, training_cost

VAL_SHARE = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--base", choices=["minilm", "bert-base"], default="minilm")
    parser.add_argument("--texts", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--tokens", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--unfreeze", nargs="+", default=["1"])
    parser.add_argument("--cache-memory", default=None, help="as for emoclass train")
    parser.add_argument("--contender")
    parser.add_argument("--settings", type=json.loads)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    if arguments.contender:
        run(arguments.settings, arguments.out)
        return
    with tempfile.TemporaryDirectory() as home:
        compare(arguments, Path(home))


def compare(arguments: argparse.Namespace, home: Path) -> None:
    words = " ".join(common.read_part(arguments.data / "train.csv", None)[0]).split()
    base = str(common.base_directory(arguments.base, home))
    rows = []
    shape = SHAPES[arguments.base]
    peak = common.gemm_peak(common.native_precision(), shape.hidden, shape.inner)
    for texts in arguments.texts:
        for tokens in arguments.tokens:
            data = home / f"{texts}x{tokens}"
            make_data(data, words, texts, tokens)
            for unfreeze in arguments.unfreeze:
                sizes = {"texts": texts, "tokens": tokens, "unfreeze": unfreeze}
                cost = training_cost(shape, replace(CPU, flops=peak), **sizes)
                settings = {**sizes, "data": str(data), "base": base, "cache_memory": arguments.cache_memory}
                with tempfile.TemporaryDirectory(dir=home) as own:
                    for name in ("first", "again"):
                        result = common.run_contender(__file__, name, {**settings, "home": own})
                        epochs = {"predicted_epoch": cost.epoch_seconds}
                        if name == "first":
                            epochs["predicted_prefix"] = cost.prefix_seconds * (1 + VAL_SHARE)
                        rows.append({**sizes, **result, **epochs})
    print(f"{arguments.base}, one epoch, {time.strftime('%Y-%m-%d')}")
    print(f"{common.machine()}, {peak / 1e12:.3f} TFLOP/s", end="\n\n")
    common.print_table(rows)


def make_data(directory: Path, words: list[str], texts: int, tokens: int) -> None:
    """Texts of about ``tokens`` tokens: random stretches of real sentences. Labels are random, only cost counts."""
    directory.mkdir()
    chance = random.Random(0)
    for part, count in (("train", texts), ("val", max(32, round(texts * VAL_SHARE)))):
        starts = [chance.randrange(len(words) - tokens) for _ in range(count)]
        # English words of such texts are 1.06 tokens on average.
        made = [" ".join(words[start : start + round(tokens / 1.06)]) for start in starts]
        common.write_part(directory / f"{part}.csv", made, [chance.choice("abcdef") for _ in made])


def run(settings: dict[str, Any], out: str) -> None:
    import os

    os.environ["EMOCLASS_HOME"] = settings["home"]
    import emoclass
    from emoclass.activations.directory import list_files
    from emoclass.runtime import parse_size
    from emoclass.training.events import PrefixDone, Prepared

    marks: dict[type, float] = {}
    memory = settings["cache_memory"]
    unfreeze = settings["unfreeze"]
    start = time.perf_counter()
    result = emoclass.train(
        settings["data"],
        base_model=settings["base"],
        recipe="reference",
        unfreeze=unfreeze if unfreeze == "all" else int(unfreeze),
        epochs=1,
        device="cpu",
        cache_memory=None if memory is None else parse_size(memory),
        on_event=lambda event: marks.setdefault(type(event), time.perf_counter() - start),
    )
    common.report(
        out,
        seconds=time.perf_counter() - start,
        prefix_seconds=marks[PrefixDone] - marks[Prepared] if PrefixDone in marks else 0.0,
        epoch_seconds=result.history[0].seconds,
        epoch_ms_per_text=1000 * result.history[0].seconds / settings["texts"],
        cache_gb=sum(file.size for file in list_files()) / 1e9,
    )


if __name__ == "__main__":
    main()
