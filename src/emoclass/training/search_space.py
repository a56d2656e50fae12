"""What a hyperparameter search tries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from emoclass.config import CLASS_WEIGHTS, Task, TrainConfig, Unfreeze

if TYPE_CHECKING:
    import optuna


def first_recipes(config: TrainConfig, texts: int, depths: Sequence[Unfreeze], task: Task) -> list[TrainConfig]:
    """Return the recipes of the first trials: the given one, and those known to be good."""
    names = ["fast", "best"] if {"encoder", "all"} & set(depths) else ["fast"]
    known = [TrainConfig.named(name, batch_size=config.batch_size).for_task(task).for_texts(texts) for name in names]
    return [config, *known]


_Suggest = Callable[[Any, str], Any]


def search_space(
    starts: Sequence[TrainConfig],
    depths: Sequence[Unfreeze],
    min_epochs: int,
    task: Task,
) -> dict[str, _Suggest]:
    """Return how a trial chooses a value for each setting; the values of the first recipes can be chosen again."""

    def own(name: str) -> list[Any]:
        return [getattr(start, name) for start in starts]

    def among(values: list[Any], trial: optuna.Trial, name: str) -> Any:
        return trial.suggest_categorical(name, list(dict.fromkeys([*values, *own(name)])))

    def between(low: float, high: float, trial: optuna.Trial, name: str) -> float:
        positive = [value for value in own(name) if value > 0]
        return trial.suggest_float(name, min(low, *positive), max(high, *positive), log=True)

    def epochs(trial: optuna.Trial, name: str) -> int:
        return trial.suggest_int(name, max(min_epochs, min(2, *own(name))), max(16, *own(name)))

    space: dict[str, _Suggest] = {
        "learning_rate": partial(between, 3e-5, 5e-3),
        "epochs": epochs,
        "weight_decay": partial(between, 1e-3, 0.3),
        "dropout": partial(among, [None, 0.0, 0.2, 0.3]),
        "label_smoothing": partial(among, [0.0, 0.05, 0.1]),
        "r_drop": partial(among, [0.0, 0.5, 1.0, 2.0]),
        "mixup": partial(among, [0.0, 0.4]),
        "train_pooler": partial(among, [False, True]),
        "unfreeze": partial(among, list(depths)),
    }
    if set(depths) - {0, 1}:
        space["layer_decay"] = partial(among, [1.0, 0.9])
    if task == "multi":
        space["focal_gamma"] = partial(among, [0.0, 1.0, 2.0])
    if starts[0].metric == "macro_f1":
        space["class_weights"] = partial(among, list(CLASS_WEIGHTS))
    return space
