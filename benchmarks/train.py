"""Training side by side on the same texts: a plain padded loop, a Hugging Face Trainer at its best, and emoclass.

    python benchmarks/train.py DIR --base minilm --epochs 4
    python benchmarks/train.py DIR --base bert-base --texts 4000
    python benchmarks/train.py DIR --task multi --recipe fast --epochs 8 --learning-rate 1e-3 --skip trainer-fp32 padded

DIR has train.csv, val.csv (else the last test texts are used) and test.csv with the columns text and label; with
--task multi, labels are joined by commas, and all thresholds are chosen by emoclass's rule on the validation texts.
The Trainer
pads dynamically, groups by length and computes in bf16 where that is native (and in fp32). The padded loop (512 tokens,
all layers, every epoch) is timed on a few steps and its time is extrapolated. Seconds are from texts in memory to test
predictions, without imports; process_seconds are with everything. Needs the package accelerate for the Trainer.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import _common as common

BASES = ["minilm", "bert-base", "bert-6", "distilroberta", "modernbert", "deberta-v3"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--base", choices=BASES, default="minilm")
    parser.add_argument("--texts", type=int, help="use only the first training texts, and a tenth as many others")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--unfreeze", default="1")
    parser.add_argument("--task", choices=["single", "multi"], default="single")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--recipe", default="reference", help="of emoclass; the Trainer has the settings given here")
    parser.add_argument("--skip", nargs="*", default=[], help="contenders to leave out")
    parser.add_argument("--contender")
    parser.add_argument("--settings", type=json.loads)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    if arguments.contender:
        _CONTENDERS[arguments.contender](arguments.settings, arguments.out)
        return
    with tempfile.TemporaryDirectory() as home:
        compare(arguments, Path(home))


def compare(arguments: argparse.Namespace, home: Path) -> None:
    data = home / "data"
    data.mkdir()
    few = None if arguments.texts is None else max(50, arguments.texts // 10)
    sources = {"train": "train", "val": "val" if (arguments.data / "val.csv").exists() else "test", "test": "test"}
    for part, source in sources.items():
        rows = common.read_part(arguments.data / f"{source}.csv", None)
        if source != part:  # the last of the test texts
            rows = rows[0][-(few or len(rows[0]) // 2) :], rows[1][-(few or len(rows[0]) // 2) :]
        most = arguments.texts if part == "train" else few
        common.write_part(data / f"{part}.csv", rows[0][:most], rows[1][:most])
    settings = {
        "data": str(data),
        "base": str(common.base_directory(arguments.base, home)),
        "home": str(home / "emoclass"),
        "epochs": arguments.epochs,
        "unfreeze": arguments.unfreeze,
        "learning_rate": arguments.learning_rate,
        "recipe": arguments.recipe,
        "task": arguments.task,
    }
    native = common.native_precision()
    names = ["emoclass", "emoclass-again", *(["trainer-bf16"] if native == "bf16" else []), "trainer-fp32", "padded"]
    results = [common.run_contender(__file__, name, settings) for name in names if name not in arguments.skip]
    print(f"{arguments.base}, {arguments.unfreeze} unfrozen, {arguments.epochs} epochs, {time.strftime('%Y-%m-%d')}")
    print(common.machine(), end="\n\n")
    ours = results[0]["seconds"]
    for result in results:
        result["ratio"] = result["seconds"] / ours
    common.print_table(results)
    shapes = (384, 1536) if arguments.base == "minilm" else (768, 3072)
    peak = common.gemm_peak(native, *shapes)
    print(f"\n{native} GEMM of the feed-forward shapes: {peak / 1e12:.3f} TFLOP/s")
    if "prefix_flops" in results[0]:
        flops, seconds = results[0]["prefix_flops"], results[0]["prefix_seconds"]
        print(f"prefix pass: {flops / seconds / 1e12:.3f} TFLOP/s, {flops / seconds / peak:.0%} of it")


def run_emoclass(settings: dict[str, Any], out: str) -> None:
    import os

    os.environ["EMOCLASS_HOME"] = settings["home"]
    import emoclass
    from emoclass.data.options import DataOptions
    from emoclass.training.events import EpochDone, PrefixDone, Prepared

    marks: dict[type, float] = {}
    unfreeze = settings["unfreeze"]
    own = (
        {}
        if settings["recipe"] != "reference"
        else {
            "unfreeze": unfreeze if unfreeze == "all" else int(unfreeze),
            "epochs": settings["epochs"],
            "learning_rate": settings["learning_rate"],
        }
    )
    # What imports lazily is imported before the clock starts, as for the others.
    import sklearn.metrics  # noqa: F401

    import emoclass.training.train

    start = time.perf_counter()
    result = emoclass.train(
        settings["data"],
        base_model=settings["base"],
        recipe=settings["recipe"],
        **own,
        options=DataOptions(task=settings["task"], label_separator="," if settings["task"] == "multi" else None),
        device="cpu",
        on_event=lambda event: marks.setdefault(type(event), time.perf_counter() - start),
    )
    seconds = time.perf_counter() - start
    figures: dict[str, Any] = {
        "seconds": seconds,
        "first_epoch_after": marks[EpochDone] - result.history[0].seconds,
        "epoch_seconds": result.history[-1].seconds,
        **_scores(result.test),
    }
    if PrefixDone in marks:
        figures["prefix_seconds"] = marks[PrefixDone] - marks[Prepared]
        if result.model.manifest.base_model["name"].rsplit("/")[-1] not in ("modernbert-random", "deberta-v3-random"):
            figures["prefix_flops"] = _prefix_flops(settings)
    common.report(out, **figures)


def _scores(test: Any) -> dict[str, Any]:
    names = (
        ("accuracy", "macro_f1") if hasattr(test.metrics, "accuracy") else ("subset_accuracy", "macro_f1", "micro_f1")
    )
    return {name: getattr(test.metrics, name) for name in names}


def _prefix_flops(settings: dict[str, Any]) -> float:
    """Multiply-adds of the frozen layers' linear parts over train and val, times two."""
    from emoclass.config import TruncationConfig
    from emoclass.encoders.base import resolve_base

    base = resolve_base(settings["base"])
    tokenizer = base.tokenizer(TruncationConfig())
    parts = [common.read_part(Path(settings["data"]) / f"{part}.csv", None)[0] for part in ("train", "val")]
    tokens = sum(int(tokenizer(texts).lengths.sum()) for texts in parts)
    width, inner = base.config.hidden_size, base.config.intermediate_size
    layers = base.config.num_hidden_layers - int(settings["unfreeze"])
    return 2.0 * tokens * layers * (4 * width * width + 2 * width * inner)


def run_trainer(settings: dict[str, Any], out: str, precision: str) -> None:
    import torch
    import transformers
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer

    parts = {part: common.read_part(Path(settings["data"]) / f"{part}.csv", None) for part in ("train", "val", "test")}
    transformers.set_seed(42)
    start = time.perf_counter()
    is_multi = settings["task"] == "multi"
    names = sorted({name for label in parts["train"][1] for name in (label.split(",") if is_multi else [label])})
    tokenizer = AutoTokenizer.from_pretrained(settings["base"])

    def target(label: str) -> Any:
        return [float(name in label.split(",")) for name in names] if is_multi else names.index(label)

    class Texts(torch.utils.data.Dataset[dict[str, Any]]):
        def __init__(self, texts: list[str], labels: list[str]) -> None:
            self.input_ids = tokenizer(texts, truncation=True, max_length=512, padding=False)["input_ids"]
            self.labels = [target(label) for label in labels]

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"input_ids": self.input_ids[index], "labels": self.labels[index]}

    sets = {part: Texts(*rows) for part, rows in parts.items()}
    model = _reference_model(settings, len(names))
    if is_multi:
        model.config.problem_type = "multi_label_classification"
    bf16 = precision == "bf16"
    arguments = {
        "output_dir": settings["home"] + "-trainer",
        "num_train_epochs": settings["epochs"],
        "learning_rate": settings["learning_rate"],
        "weight_decay": 0.01,
        "warmup_ratio": 0.1,
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 128,
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": bf16,
        "bf16_full_eval": bf16,
        "disable_tqdm": True,
        **_group_by_length(),
    }
    if "warmup_ratio" not in transformers.TrainingArguments.__dataclass_fields__:
        arguments["warmup_steps"] = arguments.pop("warmup_ratio")
    trainer = Trainer(
        model=model,
        args=transformers.TrainingArguments(**arguments),
        train_dataset=sets["train"],
        eval_dataset=sets["val"],
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train()
    # Its own label_ids, for it may have grouped the test texts by length as well.
    output = trainer.predict(sets["test"])
    val = trainer.predict(sets["val"]) if is_multi else None
    seconds = time.perf_counter() - start
    common.report(out, seconds=seconds, **_trainer_scores(output, val))


def _trainer_scores(test: Any, val: Any) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    if val is None:
        predicted = test.predictions.argmax(-1)
        macro_f1 = f1_score(test.label_ids, predicted, average="macro")
        return {"accuracy": accuracy_score(test.label_ids, predicted), "macro_f1": macro_f1}
    from emoclass.encoders.bert.numpy_model import sigmoid
    from emoclass.evaluation.thresholds import fit_calibration, fit_thresholds

    truth = val.label_ids > 0
    slopes, offsets = fit_calibration(val.predictions, truth)
    thresholds = fit_thresholds(sigmoid(val.predictions * slopes + offsets), truth)
    predicted = sigmoid(test.predictions * slopes + offsets) >= thresholds
    averages = {f"{kind}_f1": f1_score(test.label_ids > 0, predicted, average=kind) for kind in ("macro", "micro")}
    return {"subset_accuracy": accuracy_score(test.label_ids > 0, predicted), **averages}


def _group_by_length() -> dict[str, Any]:
    import transformers

    # transformers 5 renamed it.
    if "group_by_length" in transformers.TrainingArguments.__dataclass_fields__:
        return {"group_by_length": True}
    return {"train_sampling_strategy": "group_by_length"}


def _reference_model(settings: dict[str, Any], num_labels: int) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(settings["base"], num_labels=num_labels)
    if settings["unfreeze"] != "all":
        count = model.config.num_hidden_layers
        layers = next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)
        # New parts of the head train, as in emoclass; BERT's pooler is none of them.
        inside = {id(parameter) for parameter in model.base_model.parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) not in inside)
        for layer in layers[-int(settings["unfreeze"]) :]:
            layer.requires_grad_(True)
    return model


def run_padded(settings: dict[str, Any], out: str, steps: int = 2) -> None:
    """Train as the notebook does: every text padded to 512 tokens, all layers in every epoch, fp32."""
    import torch
    from transformers import AutoTokenizer

    parts = {part: common.read_part(Path(settings["data"]) / f"{part}.csv", None) for part in ("train", "val", "test")}
    names = sorted(set(parts["train"][1]))
    tokenizer = AutoTokenizer.from_pretrained(settings["base"])
    model = _reference_model(settings, len(names)).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=settings["learning_rate"])
    texts, labels = parts["train"]

    def batch(step: int) -> dict[str, Any]:
        chosen = slice(32 * step, 32 * step + 32)
        inputs = tokenizer(texts[chosen], padding="max_length", truncation=True, max_length=512, return_tensors="pt")
        return {**inputs, "labels": torch.tensor([names.index(label) for label in labels[chosen]])}

    def train_step(step: int) -> None:
        model(**batch(step)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    train_step(0)
    start = time.perf_counter()
    for step in range(1, steps + 1):
        train_step(step)
    training = (time.perf_counter() - start) / (32 * steps)
    start = time.perf_counter()
    with torch.no_grad():
        model(**batch(0))
    evaluating = (time.perf_counter() - start) / 32
    train, val, test = (len(parts[part][0]) for part in ("train", "val", "test"))
    common.report(out, seconds=settings["epochs"] * (train * training + val * evaluating) + test * evaluating)


_CONTENDERS = {
    "emoclass": run_emoclass,
    "emoclass-again": run_emoclass,
    "trainer-bf16": lambda settings, out: run_trainer(settings, out, "bf16"),
    "trainer-fp32": lambda settings, out: run_trainer(settings, out, "fp32"),
    "padded": run_padded,
}

if __name__ == "__main__":
    main()
