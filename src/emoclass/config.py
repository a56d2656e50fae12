"""Settings: frozen dataclasses whose defaults are the reference recipe, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from emoclass.errors import ConfigError

Unfreeze = int | Literal["encoder", "all", "auto"]
CLASS_WEIGHTS = ("none", "sqrt", "balanced")
METRICS = ("accuracy", "macro_f1")
KEEP = ("best", "latest")
# What each recipe changes; docs/experiments.md has the reasons.
RECIPES: dict[str, dict[str, Any]] = {
    "reference": {},
    "fast": {"learning_rate": 1e-3, "epochs": 8, "train_pooler": True, "r_drop": 2.0},
    "best": {
        "unfreeze": "encoder",
        "train_pooler": True,
        "learning_rate": 1e-4,
        "layer_decay": 0.9,
        "epochs": 3,
        "min_steps": 300,
        "keep": "latest",
    },
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class TruncationConfig:
    """How a text that is too long is shortened: its first and its last content tokens are kept.

    Attributes:
        max_length: Tokens per text, special tokens included.
        head_tokens: Content tokens kept from the beginning; the rest of the budget is taken from the end.
            ``None`` keeps the reference's proportion, a quarter: 128 + 382 of the 510 content tokens that
            fit into 512 (Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?").
    """

    max_length: int = 512
    head_tokens: int | None = None

    def __post_init__(self) -> None:
        _require(self.max_length >= 3, f"--max-length {self.max_length} is too small: at least 3 tokens")
        _require(self.head_tokens is None or self.head_tokens >= 0, f"--head-tokens {self.head_tokens} is negative")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training recipe. The defaults are the reference recipe.

    Attributes:
        base_model: Hub id, directory, or ``minilm``.
        truncation: The length limit.
        unfreeze: Number of encoder layers that train, counted from the last one; ``"encoder"`` for all of them,
            ``"all"`` for the whole model with its embeddings and its pooler; or ``"auto"`` for what does best in short
            trainings before the real one. The classifier always trains.
        train_pooler: Whether the pooler trains as well.
        epochs: Passes over the training part.
        min_steps: Least number of optimizer steps; where so many epochs have fewer, there are more of them. Few texts
            need about as many steps as many do (Mosbach et al. 2021, arXiv:2006.04884).
        batch_size: Texts per optimizer step.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: AdamW's decoupled weight decay, on every trainable parameter.
        warmup_ratio: Share of all steps over which the learning rate rises linearly; then it falls linearly to 0.
        max_grad_norm: Gradients are scaled down to this norm.
        layer_decay: Factor on the learning rate from each encoder layer to the one below it (Howard and Ruder 2018,
            Sun et al. 2019); the embeddings come below the first layer.
        dropout: Of all that trains; ``None`` is what the base model says.
        label_smoothing: Share of the target that is spread over all classes (Szegedy et al. 2016).
        r_drop: Weight of the divergence between two passes of the last layer and the classifier with different dropout,
            beside the mean of their losses (R-Drop, Liang et al. 2021, arXiv:2106.14448, who sum the losses); 0 is one
            pass.
        mixup: Alpha of the Beta distribution from which a step draws how much of another text's [CLS] output, and of
            its label, is added to each text's (manifold mixup, Verma et al. 2019, arXiv:1806.05236), at most half; 0
            adds nothing.
        class_weights: Weight of each class in the loss: ``none``; ``balanced``, so that all classes weigh the
            same in sum; or ``sqrt``, the square root of that.
        metric: Validation score that decides which epoch is the best, ``accuracy`` or ``macro_f1``.
        keep: Whose weights are kept: those of the ``best`` epoch, or of the ``latest`` that scores at most a
            standard error less.
        seed: Seeds the split, the new weights, the order of texts and dropout.
        seeds: Trainings from one beginning, with other orders of texts and dropout; their weights are averaged.
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
    r_drop: float = 0.0
    mixup: float = 0.0
    class_weights: str = "none"
    metric: str = "accuracy"
    keep: str = "best"
    seed: int = 42
    seeds: int = 1

    def __post_init__(self) -> None:
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
        _require(0 <= self.r_drop < math.inf, f"--r-drop {self.r_drop} is not 0 or more")
        _require(0 <= self.mixup <= 1000, f"--mixup {self.mixup} is not between 0 and 1000")
        _require(
            self.class_weights in CLASS_WEIGHTS,
            f"--class-weights {self.class_weights} is not one of {', '.join(CLASS_WEIGHTS)}",
        )
        _require(self.metric in METRICS, f"--metric {self.metric} is not one of {', '.join(METRICS)}")
        _require(self.keep in KEEP, f"--keep {self.keep} is not one of {', '.join(KEEP)}")
        _require(1 <= self.seeds <= 1000, f"--seeds {self.seeds} is not between 1 and 1000")
        _require(0 <= self.seed < 2**32, f"--seed {self.seed} is not between 0 and 4294967295")

    @classmethod
    def named(cls, recipe: str, **settings: Any) -> TrainConfig:
        """One of ``RECIPES`` with other settings; what is ``None`` stays as the recipe has it.

        Epochs that are given are not raised by the recipe's ``min_steps``.

        Raises:
            ConfigError: There is no such recipe or setting, or a value is out of range.
        """
        _require(recipe in RECIPES, f"--recipe {recipe} is not one of {', '.join(RECIPES)}")
        given = {name: value for name, value in settings.items() if value is not None}
        exact = {"min_steps": 0} if "epochs" in given else {}
        try:
            return cls(**RECIPES[recipe] | exact | given)
        except TypeError as error:
            raise ConfigError(f"train: {error}") from None

    def for_texts(self, texts: int) -> TrainConfig:
        """The recipe for a training part of so many texts: as many epochs as ``min_steps`` asks for."""
        epochs = math.ceil(self.min_steps / math.ceil(texts / self.batch_size))
        return replace(self, epochs=max(self.epochs, epochs), min_steps=0)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The recipe from what ``to_dict`` gave.

        Raises:
            ConfigError: A field is unknown, or a value is out of range.
        """
        unknown = set(values) - {f.name for f in fields(cls)}
        _require(not unknown, f"unknown settings in the recipe: {', '.join(sorted(unknown))}")
        try:
            truncation = TruncationConfig(**values.get("truncation", {}))
            return cls(**{**values, "truncation": truncation})
        except TypeError as error:
            raise ConfigError(f"the recipe cannot be read: {error}") from None
