"""Load a trained classifier and predict texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from emoclass.activations.logits import compute_logits
from emoclass.activations.sources import ComputedActivations, TokenIds
from emoclass.encoders.bert.building import build_model
from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.tokenization import HeadTailTokenizer, TokenizedTexts
from emoclass.encoders.weights import read_json, read_tensors
from emoclass.errors import ConfigError, ModelError
from emoclass.runtime import limit_kernel_cache, resolve_device, resolve_precision
from emoclass.store import layout
from emoclass.store.checkpoints import StoredModel, Verification, find_model, read_model, verify_model
from emoclass.store.starter import with_frozen

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
        model: The model, in evaluation mode.
        tokenizer: Its tokenizer.
        labels: Class names by class id.
        device: The device to compute on.
        dtype: The dtype of all encoder layers but the last.
    """

    def __init__(
        self,
        model: PackedBert,
        tokenizer: HeadTailTokenizer,
        labels: Sequence[str],
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        limit_kernel_cache()
        self.labels = tuple(labels)
        self.tokenizer = tokenizer
        self._model, self._device = model.to(device).eval(), device
        # Prepare the weights now rather than for the first text.
        self._prefix = FrozenPrefix(model, model.config.num_hidden_layers - 1, dtype)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._model, self.tokenizer, self.labels, self._device, self._prefix.dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        model, tokenizer, labels, device, dtype = state
        Classifier.__init__(self, model, tokenizer, labels, device=device, dtype=dtype)

    def to(self, device: torch.device, dtype: torch.dtype) -> Classifier:
        """Return the classifier on another device or in another precision; this one must not be used any more."""
        return Classifier(self._model, self.tokenizer, self.labels, device=device, dtype=dtype)

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
        return self._probabilities(self.tokenizer(texts))

    def predict_tokenized(
        self, texts: Sequence[str], tokenized: TokenizedTexts, *, top_k: int = 1
    ) -> Iterator[Prediction]:
        """Predict texts that are already tokenized; see ``predict``."""
        probabilities = self._probabilities(tokenized)
        # The sort is stable, so that ties are in the order of the classes.
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        for row, text in enumerate(texts):
            if not text.strip():
                yield Prediction("", 0.0, (), False)
                continue
            ranked = tuple((self.labels[i], float(probabilities[row, i])) for i in best[row])
            yield Prediction(*ranked[0], ranked, bool(tokenized.truncated[row]))

    def _probabilities(self, tokenized: TokenizedTexts) -> npt.NDArray[np.float32]:
        return self.logits(tokenized).softmax(-1).numpy()

    def logits(self, tokenized: TokenizedTexts) -> torch.Tensor:
        """Return the logits of tokenized texts, ``float32[texts, classes]`` on the CPU."""
        source = ComputedActivations(self._prefix, self._prefix.depth, TokenIds(tokenized, self._device))
        return compute_logits(self._model, source)


def load(name: str | Path | None = None, *, device: str = "auto", precision: str = "auto") -> Classifier:
    """Load a trained classifier.

    Args:
        name: Name of a stored model, or a model directory; the newest stored model if ``None``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        ModelError: The model does not exist, or its files are damaged.
        DeviceError: The device or the precision is not available.
    """
    return load_verified(Verification(find_model(name)), device=device, precision=precision)


def load_verified(verification: Verification, *, device: str = "auto", precision: str = "auto") -> Classifier:
    """Load a classifier whose files are being verified; see ``load``."""
    torch_device = resolve_device(device)
    dtype = resolve_precision(precision, torch_device)

    def read(stored: StoredModel) -> Classifier:
        if stored is verification.model:
            verification.wait()
        else:  # replaced in the meantime
            verify_model(stored)
        return _read_classifier(stored, torch_device, dtype)

    return read_model(verification.model, read)


def _read_classifier(stored: StoredModel, device: torch.device, dtype: torch.dtype) -> Classifier:
    labels = stored.manifest.labels
    values = read_json(stored.directory / layout.CONFIG)
    try:
        config = EncoderConfig.from_dict(values)
    except ModelError as error:
        raise ModelError(f"{stored.directory}: {error}") from None
    tensors = with_frozen(read_tensors(stored.directory), stored.directory, stored.manifest)
    model = build_model(config, len(labels), tensors, stored.directory)
    tokenizer = HeadTailTokenizer.from_file(stored.directory / layout.TOKENIZER, stored.manifest.truncation)
    if (
        tokenizer.vocab_size > config.vocab_size
        or stored.manifest.truncation.max_length > config.max_position_embeddings
    ):
        raise ModelError(f"{stored.directory}: tokenizer, length limit and model do not fit together")
    return Classifier(model, tokenizer, labels, device=device, dtype=dtype)
