"""Training settings: frozen dataclasses that validate themselves; the defaults are the reference recipe."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

from emoclass.errors import ConfigError

# Whether a text has one label, or any number of them.
Task: TypeAlias = Literal["single", "multi"]
TASKS: tuple[Task, ...] = ("single", "multi")
Unfreeze = int | Literal["encoder", "all", "auto"]
CLASS_WEIGHTS = ("none", "sqrt", "balanced")
# The metrics that may select an epoch; the first is the default.
METRICS = {"single": ("accuracy", "macro_f1"), "multi": ("macro_f1", "micro_f1", "lrap")}
METRIC_NAMES = tuple(dict.fromkeys(metric for own in METRICS.values() for metric in own))
KEEP = ("best", "latest")
# The settings in which each recipe differs from the defaults; docs/experiments.md has the measurements behind them.
_BEST: dict[str, Any] = {
    "unfreeze": "encoder",
    "train_pooler": True,
    "learning_rate": 1e-4,
    "layer_decay": 0.9,
    "epochs": 3,
    "min_steps": 300,
    "keep": "latest",
}
RECIPES: dict[str, dict[str, Any]] = {
    "reference": {},
    "fast": {
        "learning_rate": 1e-3,
        "epochs": 8,
        "min_steps": 150,
        "train_pooler": True,
        "r_drop": 2.0,
        "focal_gamma": 2.0,
    },
    "small": {**_BEST, "learning_rate": 2e-4, "class_weights": "sqrt"},
    "best": _BEST,
}
# Stands for one of them: see ``recipes``.
AUTO = "auto"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def make_plain(settings: Any) -> None:
    """Replace numbers of NumPy in the fields of a frozen dataclass: JSON and messages know only those of Python."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
            object.__setattr__(settings, each.name, value.item())


def _reject_unknown(config: type[TrainConfig], settings: Iterable[str]) -> None:
    unknown = set(settings) - {setting.name for setting in fields(config)}
    _require(not unknown, f"unknown settings: {', '.join(sorted(unknown))}")


def _reject_contradictions(explicit: Mapping[str, Any]) -> None:
    """Reject explicit settings of which one leaves another without effect.

    Not a part of ``TrainConfig`` itself: a search may try such combinations, and saved recipes may contain them.
    """
    if explicit.get("dropout") == 0:
        _require(
            not explicit.get("r_drop"),
            f"--r-drop {explicit.get('r_drop')} has no effect with --dropout 0, where both passes are the same; leave "
            "out one of the two",
        )
    if explicit.get("unfreeze") in (0, 1):
        _require(
            explicit.get("layer_decay", 1) == 1,
            f"--layer-decay {explicit.get('layer_decay')} has no effect with --unfreeze {explicit['unfreeze']}, which "
            "trains no lower layers; use --unfreeze 2 or more, or leave out --layer-decay",
        )
    if explicit.get("unfreeze") == "all":
        _require(
            explicit.get("train_pooler", True),
            "--no-train-pooler has no effect with --unfreeze all, which trains the pooler; use --unfreeze encoder",
        )


@dataclass(frozen=True, kw_only=True)
class TruncationConfig:
    """How to shorten texts that exceed the length limit: keep their first and their last content tokens.

    Attributes:
        max_length: Tokens per text, special tokens included; at least 3.
        head_tokens: Content tokens to keep from the beginning; the rest of the limit is filled from the end.
            ``None`` keeps the reference's proportion of a quarter: 128 + 382 of the 510 content tokens that
            fit into 512 (Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", arXiv:1905.05583).

    Raises:
        ConfigError: A value is out of range, or the head does not fit into the limit.
    """

    max_length: int = 512
    head_tokens: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        _require(self.max_length >= 3, f"--max-length {self.max_length} is too small: at least 3 tokens")
        if self.head_tokens is not None:
            _require(self.head_tokens >= 0, f"--head-tokens {self.head_tokens} is negative")
            _require(
                self.head_tokens < self.max_length,
                f"--head-tokens {self.head_tokens} does not fit into --max-length {self.max_length}; lower the one or "
                "raise the other",
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training recipe. The defaults are the reference recipe.

    Attributes:
        base_model: Hub id, directory, or ``minilm`` (all-MiniLM-L6-v2).
        truncation: The length limit, and which part of longer texts to keep.
        unfreeze: Number of encoder layers to train, counted from the last; ``"encoder"`` for all of them, ``"all"``
            for the whole model with embeddings and pooler, or ``"auto"`` for the number that scores best in short
            trial runs. The classifier always trains.
        train_pooler: Whether to train the pooler; ``unfreeze="all"`` trains it anyway.
        epochs: Passes over the training set; at least 1.
        min_steps: Minimum number of optimizer steps. Small data sets get more epochs to reach it, because they need
            about as many steps as large ones (Mosbach et al. 2021, arXiv:2006.04884). 0 sets no minimum.
        batch_size: Texts per optimizer step, over all processes; at least 1.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Decoupled weight decay of AdamW, for every trainable parameter.
        warmup_ratio: Share of the steps in which the learning rate rises linearly to its peak, from 0 to 1; it then
            falls linearly to 0.
        max_grad_norm: Norm to which the gradient of all trainable parameters is clipped.
        layer_decay: Factor on the learning rate from each encoder layer to the one below it, and from the first layer
            to the embeddings (Howard and Ruder 2018, arXiv:1801.06146; Sun et al. 2019); 1 for equal rates.
        dropout: Dropout probability of all trainable layers, from 0 to below 1; ``None`` for the base model's.
        label_smoothing: Share of the target that is spread over all classes, from 0 to below 1 (Szegedy et al. 2016,
            arXiv:1512.00567).
        focal_gamma: Exponent by which the loss of labels counts less the better they are predicted (focal loss, Lin et
            al. 2017, arXiv:1708.02002); 0 for the plain loss. For any number of labels a text.
        r_drop: Weight of the symmetric KL divergence between two forward passes of the last layer and the classifier
            with different dropout masks (R-Drop, Liang et al. 2021, arXiv:2106.14448). It is added to the mean of
            their losses, where the paper takes the sum. 0 for a single pass.
        mixup: Alpha of the Beta distribution from which each step draws the share, at most a half, of another text's
            [CLS] output and label to mix into each text's own (manifold mixup, Verma et al. 2019, arXiv:1806.05236).
            0 for no mixing.
        class_weights: Weights of the classes in the loss: ``"none"``; ``"balanced"``, inversely proportional to
            their frequency; or ``"sqrt"``, the square root of that.
        metric: Validation score that selects the best epoch: ``"accuracy"`` or ``"macro_f1"``; of trainings with any
            number of labels a text ``"macro_f1"``, ``"micro_f1"`` or ``"lrap"``.
        keep: Epoch whose weights are kept: the ``"best"``, or the ``"latest"`` that scores at most one standard
            error less.
        seed: Seed of the split, the new weights, the order of texts and dropout; from 0 to 2**32 - 1.
        seeds: Number of runs from the same initial weights, with different orders of texts and dropout masks, whose
            final weights are averaged (Wortsman et al. 2022, "Model soups", arXiv:2203.05482); 1 for a single run.

    Raises:
        ConfigError: A value is out of range.
    """

    base_model: str = "bert-base-uncased"
    truncation: TruncationConfig = field(default_factory=TruncationConfig)
    unfreeze: Unfreeze = 1
    train_pooler: bool = False
    epochs: int = 4
    min_steps: int = 0
    batch_size: int = 32
    learning_rate: float = 2e-5
    weight_decay: float = 0.01
    warmup_ratio: float = 0.1
    max_grad_norm: float = 1.0
    layer_decay: float = 1.0
    dropout: float | None = None
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    r_drop: float = 0.0
    mixup: float = 0.0
    class_weights: str = "none"
    metric: str = "accuracy"
    keep: str = "best"
    seed: int = 42
    seeds: int = 1

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "base_model", str(self.base_model))  # it may be a Path
        valid_unfreeze = self.unfreeze in ("encoder", "all", "auto") or (
            isinstance(self.unfreeze, int) and self.unfreeze >= 0
        )
        _require(bool(self.base_model.strip()), "--base-model is empty")
        _require(valid_unfreeze, f"--unfreeze {self.unfreeze} is neither a number of layers nor encoder, all or auto")
        _require(self.epochs >= 1, f"--epochs {self.epochs} is less than 1")
        _require(self.min_steps >= 0, f"--min-steps {self.min_steps} is negative")
        _require(self.batch_size >= 1, f"--batch-size {self.batch_size} is less than 1")
        _require(
            math.isfinite(self.learning_rate) and self.learning_rate > 0,
            f"--learning-rate {self.learning_rate} is not a positive number",
        )
        _require(0 <= self.weight_decay < math.inf, f"--weight-decay {self.weight_decay} is not 0 or more")
        _require(0 <= self.warmup_ratio <= 1, f"--warmup-ratio {self.warmup_ratio} is not between 0 and 1")
        _require(self.max_grad_norm > 0, f"--max-grad-norm {self.max_grad_norm} is not positive")
        _require(0 < self.layer_decay <= 1, f"--layer-decay {self.layer_decay} is not above 0 and at most 1")
        _require(self.dropout is None or 0 <= self.dropout < 1, f"--dropout {self.dropout} is not between 0 and 1")
        _require(0 <= self.label_smoothing < 1, f"--label-smoothing {self.label_smoothing} is not between 0 and 1")
        _require(
            self.focal_gamma == 0 or 1 <= self.focal_gamma < math.inf,
            f"--focal-gamma {self.focal_gamma} is neither 0 nor 1 or more",
        )
        _require(0 <= self.r_drop < math.inf, f"--r-drop {self.r_drop} is not 0 or more")
        _require(0 <= self.mixup <= 1000, f"--mixup {self.mixup} is not between 0 and 1000")
        _require(
            self.class_weights in CLASS_WEIGHTS,
            f"--class-weights {self.class_weights} is not one of {', '.join(CLASS_WEIGHTS)}",
        )
        _require(self.metric in METRIC_NAMES, f"--metric {self.metric} is not one of {', '.join(METRIC_NAMES)}")
        _require(self.keep in KEEP, f"--keep {self.keep} is not one of {', '.join(KEEP)}")
        _require(1 <= self.seeds <= 1000, f"--seeds {self.seeds} is not between 1 and 1000")
        _require(0 <= self.seed < 2**32, f"--seed {self.seed} is not between 0 and 4294967295")

    @classmethod
    def named(cls, recipe: str, **settings: Any) -> TrainConfig:
        """Return a recipe from ``RECIPES`` with explicit settings in place of its own.

        An explicit setting also replaces those of the recipe that make no sense beside it: the recipe's ``min_steps``
        does not raise explicit ``epochs``, and its R-Drop is off where ``dropout`` is 0.

        Args:
            recipe: A name in ``RECIPES``.
            **settings: Fields of ``TrainConfig``; ``None`` leaves the recipe's value.

        Raises:
            ConfigError: The recipe or a setting does not exist, a value is out of range, or one explicit setting
                leaves another without effect.
        """
        _require(recipe in RECIPES, f"--recipe {recipe} is not one of {', '.join((AUTO, *RECIPES))}")
        return cls(**RECIPES[recipe]).changed(**settings)

    def changed(self, **settings: Any) -> TrainConfig:
        """Return the recipe with explicit settings in place of its own; see ``named``."""
        _reject_unknown(type(self), settings)
        explicit = {name: value for name, value in settings.items() if value is not None}
        replaced: dict[str, Any] = {"min_steps": 0} if "epochs" in explicit else {}
        if explicit.get("dropout") == 0:
            replaced["r_drop"] = 0.0
        try:
            config = replace(self, **{**replaced, **explicit})
        except TypeError as error:
            raise ConfigError(f"a setting has the wrong type: {error}") from None
        _reject_contradictions(explicit)
        return config

    def for_texts(self, texts: int) -> TrainConfig:
        """Return the recipe for a training set of this size, with ``min_steps`` turned into epochs."""
        epochs = math.ceil(self.min_steps / math.ceil(texts / self.batch_size))
        return replace(self, epochs=max(self.epochs, epochs), min_steps=0)

    def for_task(self, task: Task, *, given: Container[str] = ()) -> TrainConfig:
        """Return the recipe for one label a text or any number of them.

        The metric is the default one where its own is for the other task. With any number of labels, classes are not
        weighted unless that was asked for: thresholds take care of rare labels (docs/experiments.md). With one label,
        the loss is not focal.

        Args:
            task: Which of the two.
            given: Names of the settings that were asked for.

        Raises:
            ConfigError: The metric or the loss that was asked for is for the other task.
        """
        changes: dict[str, Any] = {}
        if task == "multi" and "class_weights" not in given:
            changes["class_weights"] = "none"
        if task == "single" and self.focal_gamma:
            _require("focal_gamma" not in given, f"--focal-gamma {self.focal_gamma} is not for one label a text")
            changes["focal_gamma"] = 0.0
        if self.metric not in METRICS[task]:
            labels = "one label" if task == "single" else "any number of labels"
            names = " or ".join(METRICS[task])
            _require("metric" not in given, f"--metric {self.metric} is not for {labels} a text; use {names}")
            changes["metric"] = METRICS[task][0]
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Return the recipe from the output of ``to_dict``.

        Raises:
            ConfigError: A field is unknown, or a value is out of range.
        """
        _reject_unknown(cls, values)
        try:
            truncation = TruncationConfig(**values.get("truncation", {}))
            return cls(**{**values, "truncation": truncation})
        except TypeError as error:
            raise ConfigError(f"a setting of the recipe has the wrong type: {error}") from None
