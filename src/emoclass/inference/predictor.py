"""Load a trained classifier and predict texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from emoclass.encoders.bert.checkpoint import check_shapes, tensor_shapes
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.numpy_model import softmax
from emoclass.encoders.tokenization import HeadTailTokenizer, TokenizedTexts
from emoclass.encoders.weights import AnyConfig, map_tensors, read_config
from emoclass.errors import ConfigError, ModelError
from emoclass.inference.engines import Engine, GrowingEngine, NumpyEngine, TorchEngine, chosen_engine
from emoclass.store import layout
from emoclass.store.checkpoints import StoredModel, find_model, read_model, verify_model
from emoclass.store.starter import with_frozen

if TYPE_CHECKING:
    import torch

    from emoclass.encoders.bert.model import PackedBert
    from emoclass.encoders.generic.config import GenericConfig
    from emoclass.encoders.generic.model import GenericModel

# Texts that are sorted by length and computed together: enough for batches of similar lengths.
WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one text. A blank text has the label ``""``, confidence 0 and an empty ``top_k``.

    Attributes:
        label: The most probable class.
        confidence: Its probability, 0 to 1.
        top_k: The most probable classes with their probabilities, best first.
        truncated: Whether the text was above the length limit.
    """

    label: str
    confidence: float
    top_k: tuple[tuple[str, float], ...]
    truncated: bool


class Classifier:
    """A trained classifier.

    Args:
        engine: What computes its logits.
        tokenizer: Its tokenizer.
        labels: Class names by class id.
    """

    def __init__(self, engine: Engine, tokenizer: HeadTailTokenizer, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.tokenizer = tokenizer
        self._engine = engine

    def to(self, device: torch.device, dtype: torch.dtype) -> Classifier:
        """Return the classifier on another device or in another precision; this one must not be used any more.

        Raises:
            ConfigError: It was not loaded with ``engine="torch"``.
        """
        if not isinstance(self._engine, TorchEngine):
            raise ConfigError('only a classifier that was loaded with engine="torch" can move to another device')
        return Classifier(self._engine.to(device, dtype), self.tokenizer, self.labels)

    def predict_text(self, text: str) -> tuple[str, float]:
        """Return the most probable label of one text, and its probability."""
        prediction = next(self.predict([text]))
        return prediction.label, prediction.confidence

    def predict(self, texts: Iterable[str], *, top_k: int = 1) -> Iterator[Prediction]:
        """Predict texts lazily and in order; texts are read and computed in windows.

        Args:
            texts: Any number of texts.
            top_k: Number of most probable classes in a prediction.

        Returns:
            An iterator of predictions.

        Raises:
            ConfigError: ``top_k`` is less than 1.
            TypeError: ``texts`` is a single string.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes many texts; for a single one use predict_text")
        if top_k < 1:
            raise ConfigError(f"--top-k {top_k} is less than 1")
        return self._predict(iter(texts), top_k)

    def _predict(self, texts: Iterator[str], top_k: int) -> Iterator[Prediction]:
        while window := list(islice(texts, WINDOW)):
            yield from self.predict_tokenized(window, self.tokenizer(window), top_k=top_k)

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the probabilities of all classes, ``float32[texts, classes]``, columns in the order of ``labels``.

        Raises:
            TypeError: ``texts`` is a single string.
        """
        if isinstance(texts, str):
            raise TypeError("predict_proba takes many texts; for a single one put it into a list")
        return softmax(self.logits(self.tokenizer(texts)))

    def predict_tokenized(
        self,
        texts: Sequence[str],
        tokenized: TokenizedTexts,
        *,
        top_k: int = 1,
        waiting: Callable[[], int] = lambda: 0,
    ) -> Iterator[Prediction]:
        """Predict texts that are already tokenized; see ``predict``.

        Args:
            texts: The texts.
            tokenized: Their tokens.
            top_k: Number of most probable classes in a prediction.
            waiting: Returns how many more texts are known to follow.
        """
        probabilities = softmax(self._engine.logits(tokenized, waiting()))
        # The sort is stable, so that ties are in the order of the classes.
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        for row, text in enumerate(texts):
            if not text.strip():
                yield Prediction("", 0.0, (), False)
                continue
            ranked = tuple((self.labels[i], float(probabilities[row, i])) for i in best[row])
            yield Prediction(*ranked[0], ranked, bool(tokenized.truncated[row]))

    def logits(self, tokenized: TokenizedTexts) -> npt.NDArray[np.float32]:
        """Return the logits of tokenized texts, ``float32[texts, classes]``."""
        return self._engine.logits(tokenized)


def load(
    name: str | Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    verify: bool = False,
) -> Classifier:
    """Load a trained classifier.

    Args:
        name: Name of a stored model, or a model directory; the newest stored model if ``None``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        engine: ``numpy`` computes on the CPU in fp32 and starts at once; ``torch`` takes a second to be imported, and
            computes many texts several times as fast; ``auto`` is numpy for the first texts, and torch if there are
            many.
        verify: Whether to compare all files with their checksums, also those that were right and have not changed.

    Raises:
        ModelError: The model does not exist, or its files are damaged.
        DeviceError: The device or the precision is not available.
        ConfigError: The engine is unknown, or numpy with another device than the CPU or another precision than fp32.
    """
    return load_model(find_model(name), device=device, precision=precision, engine=engine, verify=verify)


def load_model(
    stored: StoredModel,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    verify: bool = False,
) -> Classifier:
    """Load the classifier of a stored model; see ``load``."""

    def read(current: StoredModel) -> Classifier:
        verify_model(current, again=verify)
        return _read_classifier(current, engine, device, precision)

    return read_model(stored, read)


def _read_classifier(stored: StoredModel, engine: str, device: str, precision: str) -> Classifier:
    config, length = read_config(stored.directory), stored.manifest.truncation.max_length
    tokenizer = HeadTailTokenizer.from_file(stored.directory / layout.TOKENIZER, stored.manifest.truncation)
    if tokenizer.vocab_size > config.vocab_size or length > config.max_tokens:
        raise ModelError(f"{stored.directory}: tokenizer, length limit and model do not fit together")
    made = _make_engine(stored, config, engine, device, precision)
    return Classifier(made, tokenizer, stored.manifest.labels)


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
    from emoclass.encoders.generic.model import load_generic

    model = load_generic(directory, config, labels)
    if model.new:
        raise ModelError(f"{directory}: {len(model.new)} tensors are missing from the weights")
    return model
