"""Hugging Face Trainer for cuda_run.py with the settings of train.py, extrapolated from one epoch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import _common as common


def train(device: Any, data: Path, base: Path, unfreeze: Any, epochs: int, home: Path) -> dict[str, float]:
    """Return the seconds from texts to test predictions for ``epochs`` epochs, of which one is run."""
    import transformers
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer

    parts = {part: common.read_part(data / f"{part}.csv", None) for part in ("train", "val", "test")}
    transformers.set_seed(42)
    start = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(base)
    names = sorted(set(parts["train"][1]))
    sets = {part: _texts(tokenizer, *rows, names) for part, rows in parts.items()}
    clock = _clock()
    trainer = Trainer(
        model=_model(base, len(names), unfreeze),
        args=transformers.TrainingArguments(**_arguments(device, epochs, home)),
        train_dataset=sets["train"],
        eval_dataset=sets["val"],
        data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[clock],
    )
    trainer.train()
    trainer.predict(sets["test"])
    seconds = time.perf_counter() - start
    epoch, scoring = clock.scored - clock.begun, clock.scored - clock.trained
    return {"seconds": seconds + (epochs - 1) * epoch, "epoch": epoch, "scoring": scoring}


def _texts(tokenizer: Any, texts: list[str], labels: list[str], names: list[str]) -> list[dict[str, Any]]:
    ids = tokenizer(texts, truncation=True, max_length=512, padding=False)["input_ids"]
    return [{"input_ids": row, "labels": names.index(label)} for row, label in zip(ids, labels, strict=True)]


def _model(base: Path, labels: int, unfreeze: Any) -> Any:
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(base, num_labels=labels)
    if unfreeze != "all":
        model.requires_grad_(False)
        for module in (model.classifier, *model.bert.encoder.layer[-unfreeze:]):
            module.requires_grad_(True)
    return model


def _arguments(device: Any, epochs: int, home: Path) -> dict[str, Any]:
    from transformers import TrainingArguments

    known = TrainingArguments.__dataclass_fields__
    # transformers 5 renamed both.
    by_length = (
        {"group_by_length": True} if "group_by_length" in known else {"train_sampling_strategy": "group_by_length"}
    )
    return {
        "output_dir": str(home / "trainer"),
        "num_train_epochs": epochs,
        "learning_rate": 2e-5,
        "weight_decay": 0.01,
        "warmup_ratio" if "warmup_ratio" in known else "warmup_steps": 0.1,
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 128,
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": device.type == "cpu",
        "bf16": device.type == "cuda",
        "bf16_full_eval": device.type == "cuda",
        "disable_tqdm": True,
        **by_length,
    }


def _clock() -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """Record when the first epoch begins, ends and has been evaluated, and stop there."""

        begun = trained = scored = 0.0

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.begun = time.perf_counter()

        def on_epoch_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.trained = time.perf_counter()

        def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.scored = time.perf_counter()
            control.should_training_stop = True

    return Clock()
