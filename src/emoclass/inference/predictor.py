"""Load a trained classifier."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import numpy.typing as npt

from emoclass.config import TASKS, Task
from emoclass.encoders.bert.checkpoint import check_shapes, tensor_shapes
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.tokenization import HeadTailTokenizer
from emoclass.encoders.weights import AnyConfig, map_tensors, read_config
from emoclass.errors import ConfigError, ModelError
from emoclass.inference.classifiers import AnyClassifier, Classifier, MultiLabelClassifier
from emoclass.inference.engines import Engine, GrowingEngine, NumpyEngine, TorchEngine, chosen_engine
from emoclass.store import layout
from emoclass.store.checkpoints import find_model, read_model
from emoclass.store.reading import StoredModel, verify_model
from emoclass.store.starter import with_frozen

if TYPE_CHECKING:
    from emoclass.encoders.bert.model import PackedBert
    from emoclass.encoders.generic.config import GenericConfig
    from emoclass.encoders.generic.model import GenericModel


@overload
def load(
    name: str | Path | None = None,
    *,
    task: Literal["single"],
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    verify: bool = False,
) -> Classifier: ...


@overload
def load(
    name: str | Path | None = None,
    *,
    task: Literal["multi"],
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    verify: bool = False,
) -> MultiLabelClassifier: ...


@overload
def load(
    name: str | Path | None = None,
    *,
    task: None = None,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    verify: bool = False,
) -> AnyClassifier: ...


def load(
    name: str | Path | None = None,
    *,
    task: Task | None = None,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    verify: bool = False,
) -> AnyClassifier:
    """Load a trained classifier.

    Args:
        name: Name of a stored model, a model directory, or ``USER/REPO`` or ``USER/REPO@REVISION`` on the hub; the
            newest stored model if ``None``.
        task: What the classifier must do, so that type checkers know what it returns: ``single`` for a ``Classifier``
            of one label a text, ``multi`` for a ``MultiLabelClassifier`` of any number; ``None`` for either.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        engine: ``numpy`` computes on the CPU in fp32 and starts at once; ``torch`` takes a second to be imported, and
            computes many texts several times as fast; ``auto`` is numpy for the first texts, and torch if there are
            many.
        verify: Whether to compare all files with their checksums, also those that were right and have not changed.

    Raises:
        ModelError: The model does not exist, does something else, or its files are damaged.
        DeviceError: The device or the precision is not available.
        ConfigError: The task or the engine is unknown, or numpy with another device than the CPU or another precision
            than fp32.
    """
    if task not in (None, *TASKS):
        raise ConfigError(f"task {task!r} is not known; use {' or '.join(map(repr, TASKS))}")
    stored = find_model(name)
    own = stored.manifest.task
    if task not in (None, own):
        kinds = {"single": "one label", "multi": "any number of labels"}
        raise ModelError(f"{stored.directory}: predicts {kinds[own]} a text, not {kinds[str(task)]}")
    return load_model(stored, device=device, precision=precision, engine=engine, verify=verify)


def load_model(
    stored: StoredModel,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    verify: bool = False,
) -> AnyClassifier:
    """Load the classifier of a stored model; see ``load``."""

    def read(current: StoredModel) -> AnyClassifier:
        verify_model(current, again=verify)
        return _read_classifier(current, engine, device, precision)

    return read_model(stored, read)


def _read_classifier(stored: StoredModel, engine: str, device: str, precision: str) -> AnyClassifier:
    config, length = read_config(stored.directory), stored.manifest.truncation.max_length
    tokenizer = HeadTailTokenizer.from_file(stored.directory / layout.TOKENIZER, stored.manifest.truncation)
    if tokenizer.vocab_size > config.vocab_size or length > config.max_tokens:
        raise ModelError(f"{stored.directory}: tokenizer, length limit and model do not fit together")
    made = _make_engine(stored, config, engine, device, precision)
    manifest = stored.manifest
    if manifest.task == "multi":
        return MultiLabelClassifier(made, tokenizer, manifest.labels, manifest.thresholds)
    return Classifier(made, tokenizer, manifest.labels)


def _make_engine(stored: StoredModel, config: AnyConfig, engine: str, device: str, precision: str) -> Engine:
    labels = len(stored.manifest.labels)
    engine = chosen_engine(engine, device, precision, is_packed=isinstance(config, EncoderConfig))
    if not isinstance(config, EncoderConfig):
        build = partial(_load_generic, stored.directory, config, labels)
        return TorchEngine.of(build, device=device, precision=precision)
    tensors = with_frozen(map_tensors(stored.directory, config.family), stored.directory, stored.manifest)
    check_shapes(tensors, tensor_shapes(config, labels), stored.directory)
    build_packed = partial(_build_packed, stored.directory, config, labels, tensors)
    load_torch = partial(TorchEngine.of, build_packed, device=device, precision=precision)
    if engine == "torch":
        return load_torch()
    numpy = NumpyEngine(config, tensors)
    return numpy if engine == "numpy" else GrowingEngine(numpy, load_torch)


def _build_packed(
    directory: Path, config: EncoderConfig, labels: int, tensors: Mapping[str, npt.NDArray[np.float32]]
) -> PackedBert:
    """Build a model with these weights, whose memory it shares on the CPU."""
    import torch

    from emoclass.encoders.bert.building import build_model

    return build_model(config, labels, {name: torch.from_numpy(array) for name, array in tensors.items()}, directory)


def _load_generic(directory: Path, config: GenericConfig, labels: int) -> GenericModel:
    from emoclass.encoders.generic.loading import load_generic

    model = load_generic(directory, config, labels)
    if model.new:
        raise ModelError(f"{directory}: {len(model.new)} tensors are missing from the weights")
    return model
