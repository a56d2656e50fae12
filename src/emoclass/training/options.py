"""How a training runs: what does not change the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emoclass.config import TrainConfig, make_plain
from emoclass.errors import ConfigError

# Settings that a search tries, unless they are given; and the minimum of steps, which holds for all trials if given.
SEARCHABLE = frozenset(
    {
        "class_weights", "dropout", "epochs", "focal_gamma", "label_smoothing", "layer_decay", "learning_rate",
        "min_steps", "mixup", "r_drop", "train_pooler", "unfreeze", "weight_decay",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a training runs, how long, and where its model goes.

    Attributes:
        name: Name of the new model; by default made from the names of the data and the base model.
        directory: A new directory for the model, in place of one by its name among the user's models.
        overwrite: Whether to replace an existing model of that name.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: Precision of the encoder layers: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        cache_memory: Bytes of memory for activations; by default half of what is free.
        cache_disk: Bytes of disk for all activation files; by default half of what is free, at most 20 GB.
        resume: Whether to resume an interrupted run of the same training, if there is one.
        patience: Stop after this many epochs without a better one.
        max_minutes: Stop after this many minutes and save the best epoch so far.
        tune: Number of trials of a hyperparameter search; ``None`` trains once.

    Raises:
        ConfigError: A limit is out of range.
    """

    name: str | None = None
    directory: str | Path | None = None
    overwrite: bool = False
    device: str = "auto"
    precision: str = "auto"
    cache_memory: int | None = None
    cache_disk: int | None = None
    resume: bool = False
    patience: int | None = None
    max_minutes: float | None = None
    tune: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "device", str(self.device))  # it may be a torch.device
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"--patience {self.patience} is less than 1")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ConfigError(f"--max-minutes {self.max_minutes} is not above 0")
        if self.tune is not None and self.tune < 1:
            raise ConfigError(f"--tune {self.tune} is less than 1")

    def check(self, config: TrainConfig) -> None:
        """Reject a recipe that does not go with these options.

        Raises:
            ConfigError: The recipe asks for something that a search decides or excludes.
        """
        if self.tune is not None and config.unfreeze == "auto":
            raise ConfigError("--tune searches the number of layers itself; drop --unfreeze auto")
        if self.tune is not None and config.seeds > 1:
            raise ConfigError("--tune trains one model per trial; drop --seeds")
