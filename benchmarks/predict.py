"""Prediction side by side on the same texts and the same model: emoclass, transformers' pipeline, two runtimes.

    python benchmarks/predict.py ../texts.csv --base bert-base --texts 1000
    python benchmarks/predict.py --start-up --base bert-base
    python benchmarks/predict.py --memory

The first computes all texts of a CSV file with a column text; seconds are from texts in memory to labels, without
loading. Every contender computes once more than is timed, and labels are compared. ONNX Runtime (int8) and OpenVINO
(bf16) take part where they are installed (pip install onnx onnxruntime onnxscript openvino); both get texts sorted by
length in batches of 32. The second times one text from the shell, from nothing to its label, the first line out of a
pipe and each line of a slow one. The third pipes 10,000 and 1,000,000 lines through `emoclass predict`, and 100,000 and
1,000,000 rows through `emoclass eval`, with a tiny model and compares peak memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _common as common

LABELS = ["anger", "fear", "joy", "love", "sadness", "surprise"]
EMOCLASS = [sys.executable, "-m", "emoclass"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--base", choices=["minilm", "bert-base"], default="minilm")
    parser.add_argument("--texts", type=int)
    parser.add_argument("--start-up", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--contender")
    parser.add_argument("--settings", type=json.loads)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    if arguments.contender:
        _CONTENDERS[arguments.contender](arguments.settings, arguments.out)
        return
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        os.environ["EMOCLASS_HOME"] = str(home / "emoclass")
        print(f"{time.strftime('%Y-%m-%d')}, {common.machine()}\n")
        if arguments.memory:
            compare_memory(home)
            return
        model = make_model(arguments.base, home)
        if arguments.start_up:
            compare_start_up(model, arguments.repeats)
            return
        texts = common.read_part(arguments.data, arguments.texts)[0]
        compare(texts, model, home)


def make_model(base: str, home: Path) -> Path:
    """Return a saved model of these shapes, trained for one step: its predictions do not matter."""
    import emoclass

    data = home / "few.csv"
    rows = [(f"{label} number {n}", label) for label in LABELS for n in range(20)]
    common.write_part(data, [text for text, _ in rows], [label for _, label in rows])
    result = emoclass.train(
        data, base_model=str(common.base_directory(base, home)), recipe="reference", epochs=1, cache_disk=0
    )
    return result.model.directory


def compare(texts: list[str], model: Path, home: Path) -> None:
    (home / "texts.json").write_text(json.dumps(texts))
    settings = {"texts": str(home / "texts.json"), "model": str(model)}
    native = common.native_precision()
    names = ["emoclass", "emoclass-fp32", "pipeline-fp32", *(["pipeline-bf16"] if native == "bf16" else [])]
    names += [name for name, package in _RUNTIMES.items() if importlib.util.find_spec(package)]
    results = [common.run_contender(__file__, name, settings) for name in names]
    reference = next(result["labels"] for result in results if result["contender"] == "pipeline-fp32")
    ours = results[0]["seconds"]
    for result in results:
        labels = result.pop("labels")
        result["texts_per_second"] = len(texts) / result["seconds"]
        result["ratio"] = result["seconds"] / ours
        result["same_labels"] = sum(map(str.__eq__, labels, reference)) / len(labels)
    print(f"{len(texts)} texts, model of {model.name}\n")
    common.print_table(results)


def run_emoclass(settings: dict[str, Any], out: str, precision: str = "auto") -> None:
    import emoclass

    texts = json.loads(Path(settings["texts"]).read_text())
    classifier = emoclass.load(settings["model"], device="cpu", precision=precision, engine="torch")
    list(classifier.predict(texts[:64]))
    start = time.perf_counter()
    labels = [prediction.label for prediction in classifier.predict(texts)]
    common.report(out, seconds=time.perf_counter() - start, labels=labels)


def run_pipeline(settings: dict[str, Any], out: str, precision: str) -> None:
    import torch
    from transformers import pipeline

    texts = json.loads(Path(settings["texts"]).read_text())
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    classify = pipeline("text-classification", settings["model"], device="cpu", dtype=dtype, batch_size=32)
    classify(texts[:64], truncation=True)
    start = time.perf_counter()
    labels = [result["label"] for result in classify(texts, truncation=True)]
    common.report(out, seconds=time.perf_counter() - start, labels=labels)


def run_onnxruntime(settings: dict[str, Any], out: str) -> None:
    import onnxruntime
    import torch
    from onnxruntime.quantization import quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(settings["model"]).eval()
    directory = Path(out).parent
    ids = torch.ones(2, 8, dtype=torch.int64)
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "texts", 1: "tokens"} for name in names}
    exported, quantized = directory / "model.onnx", directory / "model.int8.onnx"
    torch.onnx.export(
        model, (ids, ids), exported, input_names=names, output_names=["logits"], dynamic_axes=axes, dynamo=False
    )
    quantize_dynamic(exported, quantized)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(str(quantized), options, providers=["CPUExecutionProvider"])
    _run_sorted(settings, out, lambda inputs: session.run(None, {name: inputs[name] for name in names})[0])


def run_openvino(settings: dict[str, Any], out: str) -> None:
    import openvino
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(settings["model"]).eval()
    ids = torch.ones(2, 8, dtype=torch.int64)
    converted = openvino.convert_model(model, example_input={"input_ids": ids, "attention_mask": ids})
    hints = {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.compile_model(converted, "CPU", hints)
    names = ["input_ids", "attention_mask"]
    _run_sorted(settings, out, lambda inputs: compiled([inputs[name] for name in names])[0])


def _run_sorted(settings: dict[str, Any], out: str, compute: Callable[[Any], Any]) -> None:
    """Texts in batches of 32, the longest first, with transformers' tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    texts = json.loads(Path(settings["texts"]).read_text())
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    names = AutoConfig.from_pretrained(settings["model"]).id2label

    def classify(texts: list[str]) -> list[str]:
        labels = [""] * len(texts)
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            inputs = tokenizer([texts[i] for i in batch], padding=True, truncation=True, return_tensors="np")
            for i, label in zip(batch, compute(inputs).argmax(-1).tolist(), strict=True):
                labels[i] = names[label]
        return labels

    classify(texts[:64])
    start = time.perf_counter()
    labels = classify(texts)
    common.report(out, seconds=time.perf_counter() - start, labels=labels)


_PIPELINE = (
    "import sys; from transformers import pipeline;"
    "print(pipeline('text-classification', sys.argv[1], device='cpu')(sys.argv[2]))"
)


def compare_start_up(model: Path, repeats: int) -> None:
    text = "what a lovely surprise"
    predict = [*EMOCLASS, "predict", "--model", str(model), "--device", "cpu"]
    commands = {
        "emoclass predict": [*predict, text],
        "emoclass predict --engine torch": [*predict, "--engine", "torch", text],
        "pipeline": [sys.executable, "-c", _PIPELINE, str(model), text],
        "emoclass --help": [*EMOCLASS, "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
        "bare Python": [sys.executable, "-c", ""],
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*commands, "first line of a pipe", "line of a slow pipe")}
    peaks: dict[str, float] = {}
    for _ in range(repeats):  # in turn, so that a slow minute meets all of them
        for name, command in commands.items():
            peak, taken = subprocess.check_output([sys.executable, "-c", _PEAK, os.devnull, *command]).split()
            peaks[name] = int(peak) / 1024
            seconds[name].append(float(taken))
        first, lines = time_pipe(predict)
        seconds["first line of a pipe"].append(first)
        seconds["line of a slow pipe"] += lines
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    bare = medians["bare Python"]
    common.print_table(
        [
            {
                "": name,
                "seconds": median,
                "pipeline / it": medians["pipeline"] / median,
                "it / bare Python": median / bare,
            }
            | ({"peak MB": round(peaks[name])} if name in peaks else {})
            for name, median in medians.items()
        ]
    )


def time_pipe(command: list[str], lines: int = 8) -> tuple[float, list[float]]:
    """Return the seconds to the first line of output, and to each further line, one in three tenths of a second."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        times = []
        for number in range(lines + 1):
            process.stdin.write(b"what a lovely surprise, and a word more" + b" more" * number + b"\n")
            process.stdin.flush()
            process.stdout.readline()
            times.append(time.perf_counter() - start)
            time.sleep(0.3)
            start = time.perf_counter()
        process.stdin.close()
    return times[0], times[1:]


_PEAK = (
    "import resource, subprocess, sys, time; start = time.perf_counter();"
    "subprocess.run(sys.argv[2:], stdin=open(sys.argv[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,"
    " check=True); seconds = time.perf_counter() - start;"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, seconds)"
)


def compare_memory(home: Path) -> None:
    options = ["--model", str(make_model("tiny", home)), "--device", "cpu"]
    for few, command, header, end in ((10_000, ["predict"], "", ""), (100_000, ["eval", "-"], "text,label\n", ",{}")):
        rows = []
        for lines in (few, 1_000_000):
            path = home / "lines.txt"
            with path.open("w") as file:
                file.write(header)
                for n in range(lines):
                    file.write(f"line {n}: they said it was a lovely day and so it was{end}\n".format(LABELS[n % 6]))
            start = time.perf_counter()
            peak = subprocess.check_output([sys.executable, "-c", _PEAK, str(path), *EMOCLASS, *command, *options])
            seconds = time.perf_counter() - start
            rows.append(
                {"command": command[0], "lines": lines, "peak_mb": int(peak.split()[0]) / 1024, "seconds": seconds}
            )
        common.print_table(rows)
        print(f"\npeak at 1,000,000 / at {few:,}: {rows[1]['peak_mb'] / rows[0]['peak_mb']:.3f}\n")


_RUNTIMES = {"onnxruntime-int8": "onnxruntime", "openvino-bf16": "openvino"}
_CONTENDERS = {
    "emoclass": run_emoclass,
    "emoclass-fp32": lambda settings, out: run_emoclass(settings, out, "fp32"),
    "pipeline-fp32": lambda settings, out: run_pipeline(settings, out, "fp32"),
    "onnxruntime-int8": run_onnxruntime,
    "openvino-bf16": run_openvino,
    "pipeline-bf16": lambda settings, out: run_pipeline(settings, out, "bf16"),
}

if __name__ == "__main__":
    main()
