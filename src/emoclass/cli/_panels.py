"""The panels of options in the help of all commands, and the examples at its end."""

from __future__ import annotations

PANELS = {
    "Data": (
        "input_", "val", "test", "ratios", "group_column", "keep_duplicates", "min_class_rows", "merge_into",
        "text_column", "text_separator", "label_column", "label_separator", "task",
        "format_", "encoding", "delimiter", "quoting", "header", "on_error",
    ),
    "Model": ("model", "base_model", "name"),
    "Recipe": (
        "recipe", "like", "tune", "seed", "seeds", "unfreeze", "train_pooler", "epochs", "min_steps", "batch_size",
        "learning_rate", "layer_decay", "weight_decay", "warmup_ratio", "max_grad_norm", "metric", "keep", "max_length",
        "head_tokens",
    ),
    "Regularization": ("dropout", "label_smoothing", "focal_gamma", "r_drop", "mixup", "class_weights"),
    "Compute": ("device", "precision", "engine", "workers", "verify", "cache_memory", "cache_disk"),
    "Budget and resume": ("patience", "max_minutes", "resume"),
    "Predictions": ("top_k", "probabilities", "threshold", "min_confidence", "uncertain_label"),
    "Report": (
        "strict", "fix", "label_noise", "sort", "errors", "target_accuracy", "fail_under", "report", "predictions",
    ),
    "Output": ("output", "output_dir", "overwrite", "output_format", "escape_formulas", "details", "json_"),
    "Messages": ("quiet", "verbose", "config_file"),
}  # fmt: skip

EXAMPLES = {
    "inspect-data": ("emoclass inspect-data tweets.csv", "emoclass inspect-data tweets.csv --fix cleaned.csv"),
    "split": (
        "emoclass split tweets.csv --output-dir parts",
        "emoclass split tweets.csv -o parts --group-column author --ratios 70/15/15",
    ),
    "train": (
        "emoclass train tweets.csv --recipe fast",
        "emoclass train parts --recipe best --device cuda --name tweets",
    ),
    "eval": ("emoclass eval parts", "emoclass eval gold.csv --model tweets --report report.html"),
    "predict": (
        "echo 'I got the job!' | emoclass predict",
        "emoclass predict --input tweets.csv --output labelled.csv --min-confidence 0.5",
    ),
}

_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}


def panel_of(parameter: str) -> str | None:
    """Return the panel of an option by the name of its parameter, ``None`` for the general one."""
    return _PANEL_OF.get(parameter)


def epilog_of(command: str | None) -> str | None:
    """Return the end of a command's help, a paragraph for each line."""
    examples = EXAMPLES.get(command or "")
    return None if examples is None else "\n\n".join(["Examples:", *(f"$ {example}" for example in examples)])
