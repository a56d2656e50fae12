"""The Python API: what the commands do, as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoclass.config import AUTO, TrainConfig, TruncationConfig
from emoclass.data.options import DataOptions
from emoclass.data.preparation import prepare_training_data
from emoclass.data.tables.frames import TableSource
from emoclass.errors import ConfigError, SecondaryProcessError
from emoclass.outputs import require_other, require_outputs
from emoclass.recipes import chosen_recipe
from emoclass.runtime import expanded, resolve_device, resolve_precision
from emoclass.store.checkpoints import find_model
from emoclass.store.saving import check_free, require_new, require_writable
from emoclass.training.events import BaseFound, DataReady, RecipeChosen, RunEvent
from emoclass.training.options import RunOptions

if TYPE_CHECKING:
    from emoclass.encoders.base import BaseModel
    from emoclass.evaluation.multilabel_report import AnyEvaluation
    from emoclass.store.layout import Manifest
    from emoclass.training.train import TrainResult

__all__ = ["evaluate", "predict_text", "train"]


def train(
    data: TableSource,
    *,
    val: TableSource | None = None,
    test: TableSource | None = None,
    recipe: str | None = None,
    like: str | Path | None = None,
    options: DataOptions | None = None,
    ratios: tuple[float, float, float] = (80, 10, 10),
    on_event: Callable[[RunEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    **settings: Any,
) -> TrainResult:
    """Train a classifier and save it; the newest is the default of ``load`` and ``evaluate``.

    Args:
        data: A .csv, .tsv, .jsonl or .parquet file, ``-``, a directory with train, val and test files, or a pandas
            DataFrame.
        val: A file or a DataFrame with the validation set.
        test: A file or a DataFrame with the test set.
        recipe: ``auto``, ``reference``, ``fast``, ``small`` or ``best``; ``auto`` chooses one of the others by the
            number of training texts. ``None`` is ``auto`` without ``like``.
        like: A trained model whose settings and columns to use instead of a recipe.
        options: How to read the files.
        ratios: Shares of train, validation and test where they are not given.
        on_event: Called with all events of ``emoclass.training.events``.
        should_stop: Asked after every step; then the best epoch so far is saved.
        **settings: Fields of ``RunOptions`` (``name``, ``device``, ``resume``, ``tune``, …) and of ``TrainConfig``
            (``base_model``, ``epochs``, ``learning_rate``, …), with ``max_length`` and ``head_tokens`` of its
            truncation. ``None`` leaves the default. A search (``tune``) does not change settings given here.

    Returns:
        The result, with the saved model and its scores.

    Raises:
        EmoclassError: Something that the user can mend.
        SecondaryProcessError: This is not the first of several processes that torchrun started; that one has the
            result.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    run_names = [field.name for field in fields(RunOptions) if field.name in given]
    run_options = RunOptions(**{name: given.pop(name) for name in run_names})
    if limits := {key: given.pop(key) for key in ("max_length", "head_tokens") if key in given}:
        given["truncation"] = TruncationConfig(**limits)
    options = options or DataOptions()
    name = recipe or AUTO
    is_auto = name == AUTO and like is None
    if like is None:  # settings are checked before the data is read, which decides on the recipe
        config = TrainConfig.named("reference" if is_auto else name, **given)
    elif recipe is not None:
        raise ConfigError("--recipe and --like both give the settings: leave out one")
    else:
        manifest = _settings_of(like, has_base="base_model" in given)
        config, options = manifest.recipe.changed(**given), replace(options, trained=manifest.columns)
    run_options.check(config)
    options.require(*(source for source in (data, val, test) if source is not None))
    base = _check_run(config, run_options)
    if base.name != config.base_model:  # at a commit from now on, whatever is pushed meanwhile
        given["base_model"] = base.name
        config = config.changed(base_model=base.name)
    for note in base.notes:
        on_event(BaseFound(note))
    prepared = prepare_training_data(data, val=val, test=test, options=options, ratios=ratios, seed=config.seed)
    on_event(DataReady(prepared))
    if is_auto:
        on_gpu = resolve_device(run_options.device).type == "cuda"
        from emoclass.store.bases import TrainedBase

        name, reason = chosen_recipe(
            len(prepared.train),
            task=prepared.labels.task,
            on_gpu=on_gpu,
            settings=given,
            from_trained=isinstance(base, TrainedBase),
        )
        config = TrainConfig.named(name, **given)
        run_options.check(config)
        on_event(RecipeChosen(name, reason))
    config = config.for_task(prepared.labels.task, given=given)
    # Importing torch takes a second: errors in the data come first.
    from emoclass.training.train import train as run_training

    result = run_training(prepared, config, run_options, fixed=given, on_event=on_event, should_stop=should_stop)
    if result is None:
        raise SecondaryProcessError("the first process of this training has the result")
    return result


def _settings_of(like: str | Path | None, *, has_base: bool) -> Manifest:
    """Return how the model that ``like`` names was trained."""
    model = find_model(like)
    name = model.manifest.base_model["name"]
    is_elsewhere = model.origin is not None and model.manifest.has_local_base and not expanded(name).is_dir()
    if is_elsewhere and not has_base:
        where = f"{name!r}, which is on another machine"
        raise ConfigError(f"{model.origin} was trained from {where}: name a base model with --base-model")
    return model.manifest


def _check_run(config: TrainConfig, options: RunOptions) -> BaseModel:
    """Check what does not depend on the data before it is read, which may take minutes; return the base model."""
    from emoclass.store.bases import find_base

    if options.directory is not None:
        require_new(options.directory)
    elif options.name is not None:  # a training that is resumed may have saved a model of this name before
        check_free(options.name, overwrite=options.overwrite or options.resume)
    if options.directory is None:
        require_writable()
    base = find_base(config.base_model)
    if options.device != "auto" or options.precision != "auto":  # or torch is imported later
        resolve_precision(options.precision, resolve_device(options.device))
    return base


def evaluate(
    data: TableSource,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    options: DataOptions | None = None,
    kept_mistakes: int | None = None,
    thresholds: float | Mapping[str, float] | None = None,
    predictions: str | Path | None = None,
    on_rows: Callable[[int, int | None], None] = lambda rows, total: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> AnyEvaluation:
    """Evaluate a trained classifier on labelled data: a table, or the test set of a split directory.

    The data is streamed: it is read once and never held in memory as a whole.

    Args:
        data: A .csv, .tsv, .jsonl or .parquet file, ``-``, a directory with a test file, or a pandas DataFrame.
        model: Name or directory of the model, or its repository on the hub; by default the newest.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: Precision of all layers but the last: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        options: How to read the file.
        kept_mistakes: Number of the worst mistakes to keep with their texts.
        thresholds: Probability from which on labels are predicted, of all labels or by label; by default those of the
            model. For models of any number of labels a text.
        predictions: A file for row, text, label, prediction, confidence and loss of each scored row (or labels,
            predictions and confidences), in the format of its name; it appears when it is complete.
        on_rows: Called with the number of rows just scored, and that of all rows if it is known.
        on_note: Called with each automatic decision about the data.

    Raises:
        EmoclassError: Something that the user can mend.
    """
    from emoclass.evaluation.block_scoring import KEPT_MISTAKES
    from emoclass.evaluation.stored import evaluate_models
    from emoclass.inference.thresholds import Thresholds

    if predictions is not None:
        _require_predictions(predictions, data)
    (result,) = evaluate_models(
        data,
        models=[model],
        device=device,
        precision=precision,
        options=options,
        kept_mistakes=KEPT_MISTAKES if kept_mistakes is None else kept_mistakes,
        thresholds=Thresholds.given(thresholds),
        predictions=predictions,
        on_rows=on_rows,
        on_note=on_note,
    )
    return result.evaluation


def _require_predictions(path: str | Path, data: TableSource) -> None:
    """Check that the file can be written, and is not the data, before these are read."""
    require_other("--predictions", path, [data] if isinstance(data, str | Path) else [])
    try:
        require_outputs(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def predict_text(text: str, *, model: str | Path | None = None) -> tuple[str, float] | tuple[tuple[str, float], ...]:
    """Return the most probable label of one text and its probability, or pairs of these with any number of labels.

    To predict many texts, ``load`` once.

    Raises:
        ModelError: There is no trained model, or it is damaged.
    """
    from emoclass.inference.predictor import load

    return load(model).predict_text(text)
