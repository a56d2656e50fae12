"""Names of the files in a model directory, and the content of ``emoclass.json``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from types import NoneType
from typing import Any

from emoclass.config import TASKS, Task, TrainConfig, TruncationConfig
from emoclass.data.columns.chosen import Columns
from emoclass.errors import ConfigError, ModelError, one_line

CONFIG = "config.json"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
TRAINED, FROZEN = "trained.safetensors", "frozen.safetensors"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
MANIFEST = "emoclass.json"
HISTORY = "history.jsonl"
CARD = "README.md"
TRAINING_HASHES = "training_texts.npy"
BASELINE = "baseline"  # .json and .safetensors
BASELINE_FILES = (f"{BASELINE}.json", f"{BASELINE}.safetensors")
_ALWAYS = {CONFIG, TOKENIZER, TOKENIZER_CONFIG, HISTORY, TRAINING_HASHES}
# The weights are one file, or two with an index.
_WHOLE, _SHARED = {WEIGHTS}, {WEIGHTS_INDEX, TRAINED, FROZEN}
FILES = frozenset({MANIFEST, CARD, *_ALWAYS, *_WHOLE, *_SHARED, *BASELINE_FILES})

FORMAT_VERSION = 1
# Types of the values in a manifest that other code relies on, by their keys.
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "created_at": str,
    "labels": list,
    "base_model.name": str,
    "parameters.trainable_parameters": int,
    "parameters.total_parameters": int,
    "metrics": dict,
    "metrics.test": (dict, NoneType),
    "calibration": dict,
    "data.rows": dict,
    "data.rows.train": int,
    "data.columns": (dict, NoneType),
    "versions": dict,
    "checksums": dict,
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def require_complete(names: Collection[str]) -> None:
    """Check that a manifest names the files of a whole model, and no others.

    Raises:
        ModelError: It does not.
    """
    for name in names:
        if name not in FILES:
            raise ModelError(f"{MANIFEST} names a file that no model has: {name!r}; a newer emoclass may know it")
    weights = _SHARED if TRAINED in names else _WHOLE
    if missing := (_ALWAYS | weights).difference(names):
        raise ModelError(f"{MANIFEST} is not that of a whole model: {', '.join(sorted(missing))} is missing")


def is_name(name: str) -> bool:
    """Return whether this can be the name of a model."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return the name if it can be that of a model.

    Raises:
        ConfigError: It has other characters than letters, digits, ``.``, ``_`` and ``-``.
    """
    if not is_name(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a model: use letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, at most 100"
        )
    return name


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of ``emoclass.json``: how a model was trained, and on what.

    Attributes:
        name: The model's name.
        created_at: End of training, ISO 8601 in UTC.
        labels: Class names; the position is the class number.
        base_model: ``name`` and ``source`` of the base model.
        recipe: The settings of the training.
        truncation: The length limit, all values explicit.
        parameters: ``trainable_parameters`` and ``total_parameters``.
        metrics: ``best_epoch``, its training and validation metrics, and ``test`` if there was a test set.
        calibration: How logits were calibrated: ``method``, its values (``temperature``; or ``slopes`` and ``offsets``
            of the labels), and the ``rows`` that they were fitted on.
        data: Source, fingerprint, columns, and rows of each split.
        versions: Versions of Python and of the libraries, the device and the precision.
        frozen_sha256: Hash of the frozen tensors, which models of one base share.
        checksums: SHA-256 of the other files.
        task: Whether a text has one label, or any number of them.
        thresholds: Probability from which on each label is predicted; none with one label a text.
    """

    name: str
    created_at: str
    labels: tuple[str, ...]
    base_model: dict[str, str]
    recipe: TrainConfig
    truncation: TruncationConfig
    parameters: dict[str, int]
    metrics: dict[str, Any]
    calibration: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, str]
    frozen_sha256: str | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    task: Task = "single"
    thresholds: tuple[float, ...] = ()

    @property
    def verified(self) -> dict[str, str]:
        """The checksums that hold: all but that of the card, which is for people, who may edit it."""
        return {name: checksum for name, checksum in self.checksums.items() if name != CARD}

    @property
    def has_local_base(self) -> bool:
        """Whether the name of its base model means something on one machine only."""
        return self.base_model.get("source") in ("directory", "trained model")

    @property
    def columns(self) -> Columns | None:
        """The columns that the model was trained with; ``None`` if an older emoclass trained it."""
        values = self.data.get("columns")
        return None if values is None else Columns.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        lists = {"labels": list(self.labels), "thresholds": list(self.thresholds)}
        return {"format_version": FORMAT_VERSION, **asdict(self), **lists}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """Return the manifest from the result of ``to_dict``.

        Raises:
            ModelError: A field is missing or has a wrong value, or a newer emoclass wrote it.
        """
        version = values.get("format_version")
        if version != FORMAT_VERSION:
            raise ModelError(f"has format {version!r}, this emoclass reads {FORMAT_VERSION}; update emoclass")
        for keys, kind in _KINDS.items():
            if not isinstance(_at(values, keys), kind):
                raise ModelError(f"is damaged: {keys} is missing or of the wrong kind")
        try:
            manifest = cls(
                **{
                    **{name: value for name, value in values.items() if name != "format_version"},
                    "labels": tuple(values["labels"]),
                    "thresholds": tuple(values.get("thresholds", ())),
                    "recipe": TrainConfig.from_dict(values["recipe"]),
                    "truncation": TruncationConfig(**values["truncation"]),
                }
            )
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            raise ModelError(f"is not complete: {one_line(error)}") from None
        try:
            manifest.columns  # noqa: B018  # raises
        except ValueError:
            raise ModelError("is damaged: data.columns is of the wrong kind") from None
        labels = manifest.labels
        if len(labels) < 2 or not all(isinstance(name, str) for name in labels) or len(set(labels)) < len(labels):
            raise ModelError("has no usable list of labels")
        is_usable = _usable_thresholds if manifest.task == "multi" else _has_temperature
        if manifest.task not in TASKS or not is_usable(manifest):
            raise ModelError("has no usable calibration")
        weights = WEIGHTS if WEIGHTS in manifest.checksums else TRAINED
        if missing := [name for name in (CONFIG, TOKENIZER, weights) if name not in manifest.checksums]:
            raise ModelError(f"has no checksum of {missing[0]}")
        return manifest


def _has_temperature(manifest: Manifest) -> bool:
    temperature = manifest.calibration.get("temperature")
    return isinstance(temperature, float) and temperature > 0


def _usable_thresholds(manifest: Manifest) -> bool:
    thresholds = manifest.thresholds
    slopes, offsets = (manifest.calibration.get(name) for name in ("slopes", "offsets"))
    return (
        all(_has_numbers(values, len(manifest.labels)) for values in (list(thresholds), slopes, offsets))
        and all(0 <= threshold <= 1 for threshold in thresholds)
        and all(slope > 0 for slope in slopes or ())
    )


def _has_numbers(values: object, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(isinstance(each, float) for each in values)


def _at(values: object, keys: str) -> object:
    """Return the value under nested keys joined by dots, ``None`` if there is none."""
    for key in keys.split("."):
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
