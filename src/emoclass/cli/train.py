"""``emoclass train``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emoclass.cli import _options as options
from emoclass.cli._signals import INTERRUPTED, Interrupts
from emoclass.config import AUTO, CLASS_WEIGHTS, KEEP, METRIC_NAMES, RECIPES, TrainConfig
from emoclass.errors import EmoclassError, SecondaryProcessError

if TYPE_CHECKING:
    from emoclass.data.options import DataOptions
    from emoclass.training.train import TrainResult

REFERENCE = TrainConfig()


def _recipe(setting: str, metavar: str | Sequence[str], help_: str) -> Any:
    """Return an option whose default is the recipe's; ``metavar`` may be its values."""
    shown: dict[str, Any] = (
        {"metavar": metavar} if isinstance(metavar, str) else options.one_of(metavar, metavar="KIND")
    )
    return typer.Option(help=help_, show_default=_default_of(setting), **shown)


def _default_of(setting: str) -> str:
    is_same = all(setting not in changes for changes in RECIPES.values())
    return str(getattr(REFERENCE, setting)) if is_same else "the recipe's"


@options.reads_tables
def train(
    data: options.Data,
    val: Annotated[str | None, typer.Option(metavar="FILE", help="Validation set, if DATA is one file.")] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="Test set, if DATA is one file.")] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the new model.", show_default="from DATA and base model"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model of this name.")] = False,
    base_model: Annotated[
        str | None,
        _recipe(
            "base_model",
            "MODEL",
            "Hub id, directory, minilm (offline with the extra), starter, or a trained model, also on the hub.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            help=f"Recipe to start from: {', '.join((AUTO, *RECIPES))}.",
            show_default="auto, by the number of texts",
            **options.one_of((AUTO, *RECIPES), metavar="RECIPE"),
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="MODEL",
            help="Take settings and columns from a trained model instead of a recipe.",
            show_default="no model",
            autocompletion=options.complete_models,
        ),
    ] = None,
    tune: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Search for better settings in N trials; settings given here are fixed.",
            show_default="no search",
        ),
    ] = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    unfreeze: Annotated[
        str | None,
        _recipe(
            "unfreeze",
            "K",
            "Encoder layers to train, from the last: a number, encoder (all), all (and embeddings) or auto.",
        ),
    ] = None,
    train_pooler: Annotated[
        bool | None,
        typer.Option(help="Train the pooler, too.", show_default="no"),
    ] = None,
    epochs: Annotated[int | None, _recipe("epochs", "N", "Passes over the training set.")] = None,
    min_steps: Annotated[
        int | None,
        _recipe("min_steps", "N", "Minimum of steps, reached by more epochs unless --epochs is given."),
    ] = None,
    batch_size: Annotated[int | None, _recipe("batch_size", "N", "Texts per step.")] = None,
    learning_rate: Annotated[float | None, _recipe("learning_rate", "RATE", "Peak learning rate of AdamW.")] = None,
    layer_decay: Annotated[
        float | None, _recipe("layer_decay", "X", "Factor on the learning rate from each layer to the one below.")
    ] = None,
    weight_decay: Annotated[float | None, _recipe("weight_decay", "X", "Weight decay of AdamW.")] = None,
    warmup_ratio: Annotated[
        float | None,
        _recipe("warmup_ratio", "SHARE", "Share of the steps that warm up; then the rate falls linearly to 0."),
    ] = None,
    max_grad_norm: Annotated[float | None, _recipe("max_grad_norm", "X", "Gradient norm to clip to.")] = None,
    dropout: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Dropout of the trainable layers.", show_default="the base model's"),
    ] = None,
    label_smoothing: Annotated[
        float | None, _recipe("label_smoothing", "SHARE", "Share of the target spread evenly over all classes.")
    ] = None,
    focal_gamma: Annotated[
        float | None,
        _recipe("focal_gamma", "X", "Exponent by which well predicted labels count less; for several labels a text."),
    ] = None,
    r_drop: Annotated[
        float | None, _recipe("r_drop", "W", "Weight of the divergence between two passes with other dropout (R-Drop).")
    ] = None,
    mixup: Annotated[
        float | None, _recipe("mixup", "ALPHA", "Mix pairs of texts and labels by shares from Beta(ALPHA, ALPHA).")
    ] = None,
    class_weights: Annotated[
        str | None,
        _recipe("class_weights", CLASS_WEIGHTS, "Class weights in the loss: none, sqrt or balanced."),
    ] = None,
    metric: Annotated[str | None, _recipe("metric", METRIC_NAMES, "Score that selects the best epoch.")] = None,
    keep: Annotated[
        str | None,
        _recipe("keep", KEEP, "Epoch to keep; latest is the last that is not clearly worse."),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Tokens per text; longer texts keep their head and tail.",
            show_default=str(REFERENCE.truncation.max_length),
        ),
    ] = None,
    head_tokens: Annotated[
        int | None,
        typer.Option(metavar="N", help="Content tokens kept from the head.", show_default="a quarter, 128 of 510"),
    ] = None,
    cache_memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory for activations.", show_default="half of what is free"),
    ] = None,
    cache_disk: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Disk for activation files.", show_default="half of what is free, at most 20GB"
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume the same training if it was interrupted."),
    ] = False,
    patience: Annotated[
        int | None, typer.Option(metavar="N", help="Stop after N epochs without a better one.", show_default="never")
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(metavar="M", help="Stop after M minutes and save the best epoch so far.", show_default="never"),
    ] = None,
    ratios: options.Ratios = "80/10/10",
    seed: options.Seed = REFERENCE.seed,
    seeds: Annotated[
        int | None, _recipe("seeds", "N", "Train N times from the same start and average the weights.")
    ] = None,
    *,
    reading: DataOptions,
    min_class_rows: options.MinClassRows = 0,
    merge_into: Annotated[
        str | None,
        typer.Option(
            "--merge-into",
            metavar="NAME",
            help="With --min-class-rows: the class that smaller ones become.",
            show_default="left out",
        ),
    ] = None,
    details: options.Details = False,
    json_: options.Json = False,
) -> None:
    """Train a classifier on DATA, keep its best epoch, and report its scores on the test set.

    A single file is cleaned and split into training, validation and test set. The recipe is chosen by the number of
    texts: small and best train all layers, fast and reference the last one. Ctrl-C saves the best epoch so far, and
    --resume continues from there.
    """
    from dataclasses import replace

    from emoclass import api
    from emoclass.cli._progress import TrainingDisplay
    from emoclass.data.split.splitting import parse_ratios

    settings: dict[str, Any] = {
        "name": name,
        "overwrite": overwrite,
        "device": device,
        "precision": precision,
        "cache_memory": _parse_size(cache_memory),
        "cache_disk": _parse_size(cache_disk),
        "resume": resume,
        "patience": patience,
        "max_minutes": max_minutes,
        "tune": tune,
        "base_model": base_model,
        "unfreeze": None if unfreeze is None else _parse_unfreeze(unfreeze),
        "train_pooler": train_pooler,
        "epochs": epochs,
        "min_steps": min_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "layer_decay": layer_decay,
        "weight_decay": weight_decay,
        "warmup_ratio": warmup_ratio,
        "max_grad_norm": max_grad_norm,
        "dropout": dropout,
        "label_smoothing": label_smoothing,
        "focal_gamma": focal_gamma,
        "r_drop": r_drop,
        "mixup": mixup,
        "class_weights": class_weights,
        "metric": metric,
        "keep": keep,
        "max_length": max_length,
        "head_tokens": head_tokens,
        "seed": seed,
        "seeds": seeds,
    }
    try:
        with Interrupts() as interrupts, TrainingDisplay(on_data=interrupts.defer) as display:
            result = api.train(
                data,
                val=val,
                test=test,
                recipe=recipe,
                like=like,
                options=replace(reading, min_class_rows=min_class_rows, merge_into=merge_into),
                ratios=parse_ratios(ratios),
                on_event=display,
                should_stop=interrupts.requested.is_set,
                **settings,
            )
    except SecondaryProcessError:
        # Threads of torch's communication may still be alive, and abort an interpreter that ends under them.
        os._exit(0)
    _report(result, tune, details=details, json_=json_)


def _report(result: TrainResult, tune: int | None, *, details: bool, json_: bool) -> None:
    from emoclass.cli import _console as console
    from emoclass.cli._reports import print_training

    if json_:
        console.print_json(result.to_dict())
    else:
        print_training(result, details=details)
    if result.stopped:
        where = _where(result, tune)
        console.warn(f"stopped {where}; the best epoch so far is saved; the same command with --resume continues")
        raise typer.Exit(INTERRUPTED)
    if result.failure:
        raise EmoclassError(f"{result.failure}; the best epoch before that is saved as {result.model.manifest.name}")


def _where(result: TrainResult, tune: int | None) -> str:
    recipe = result.model.manifest.recipe
    if result.tuning is not None:
        return f"after {len(result.tuning.search.trials)} of {tune} trials"
    if result.averaged is not None:
        return f"after {result.averaged.seeds} of {recipe.seeds} trainings"
    return f"in epoch {len(result.history) + 1} of {recipe.epochs}"


def _parse_unfreeze(value: str) -> Any:
    # What is neither is rejected by TrainConfig, in words that name the option.
    return int(value) if value.isdecimal() else value


def _parse_size(value: str | None) -> int | None:
    from emoclass.runtime import parse_size

    return None if value is None else parse_size(value)
