"""What all models of one run share: data, base weights, token ids, and the output of the frozen layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emoclass.activations.cache import ActivationCache, CacheBudget
from emoclass.activations.sources import ActivationSource, ComputedActivations, TokenIds
from emoclass.config import TrainConfig, Unfreeze
from emoclass.data.preparation import TrainingData
from emoclass.data.similarity.folding import training_hashes
from emoclass.encoders.base import BaseModel
from emoclass.encoders.freezing import freeze, frozen_depth
from emoclass.encoders.generic.model import GenericModel
from emoclass.encoders.interface import Model, Prefix, frozen_prefix
from emoclass.encoders.tokenization import HeadTailTokenizer, TokenizedTexts
from emoclass.errors import DeviceError, StoppedError
from emoclass.evaluation.baseline import Baseline
from emoclass.evaluation.multilabel_baseline import MultiLabelBaseline
from emoclass.training.events import PrefixDone, RunEvent, TextsEncoded
from emoclass.training.ranks import Ranks
from emoclass.training.stopping import StopSignal
from emoclass.training.tasks import Task, task_of

# On which both parts of a generic model are compared with the whole: from the shortest to the longest.
_CHECKED_TEXTS = 4


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Where a run computes.

    Attributes:
        device: The device.
        dtype: Dtype of the encoder layers.
        ranks: The processes that train together.
    """

    device: torch.device
    dtype: torch.dtype
    ranks: Ranks


@dataclass(kw_only=True)
class Context:
    """What all models of one run share.

    Attributes:
        data: The splits.
        base: The base model's files.
        weights: Its weights on the device, shared by all models: only copies of them are trained.
        tokenizer: Its tokenizer with the length limit.
        tokenized: Token ids of this process's texts of the training and the validation set.
        hardware: Device, dtype and processes.
        budget: What activations may still take.
        on_event: Called with all events.
        stop: When to stop.
    """

    data: TrainingData
    base: BaseModel
    weights: Mapping[str, Tensor]
    tokenizer: HeadTailTokenizer
    tokenized: Mapping[str, TokenizedTexts]
    hardware: Hardware
    budget: CacheBudget
    on_event: Callable[[RunEvent], None] = lambda event: None
    stop: StopSignal = field(default_factory=StopSignal)

    def __post_init__(self) -> None:
        # By depth: activations of the training and the validation set; and the memory that they take.
        self._activations: dict[int, dict[str, ActivationSource]] = {}
        self._memory_taken = 0
        self._prefixes: dict[int, Prefix] = {}
        self._targets: dict[str, npt.NDArray[Any]] = {}

    def with_data(self, data: TrainingData) -> Context:
        """Return a context of the same base model for other data, without events, time limit and activation files."""
        return replace(
            self,
            data=data,
            tokenized=tokenize(data, self.tokenizer, self.hardware.ranks),
            budget=replace(self.budget, disk=0),
            on_event=lambda event: None,
            stop=self.stop.without_limit(),
        )

    @cached_property
    def task(self) -> Task:
        """What depends on the number of labels of a text."""
        return task_of(self.data.labels)

    def targets(self, split: str) -> npt.NDArray[Any]:
        """Return what the texts of ``train`` or ``val`` should be predicted as; see ``LabelSet.encode``."""
        if split not in self._targets:
            data = self.data.train if split == "train" else self.data.val
            self._targets[split] = self.data.labels.encode(data.labels)
        return self._targets[split]

    @property
    def depths_to_try(self) -> list[Unfreeze]:
        """Numbers of trainable layers worth comparing: 1, 2, 4 and all, without embeddings; in fp16 only 1."""
        if self.hardware.dtype == torch.float16:
            return [1]
        return [*(k for k in (1, 2, 4) if k < self.base.config.num_hidden_layers), "encoder"]

    def new_model(self, config: TrainConfig) -> tuple[Model, tuple[str, ...]]:
        """Return the base model with a new classifier, frozen by the recipe, and notes on other new weights.

        Frozen parameters share the memory of the base weights; trainable ones are copies.

        Raises:
            ModelError: Weights are missing or damaged.
            ConfigError: The model has fewer layers.
            DeviceError: Gradients of this many layers underflow in the precision.
        """
        classes = len(self.data.labels)
        model, notes = self.base.load(classes, seed=config.seed, dropout=config.dropout, tensors=self.weights)
        bias = self.task.initial_bias(self.targets("train"))
        if bias is not None and model.classifier.bias is not None:
            model.classifier.bias.data = bias
        freeze(model, config.unfreeze, train_pooler=config.train_pooler)
        if isinstance(model, GenericModel):
            model.dtype = self.hardware.dtype
            notes += self._check_cut(model)
        depth = frozen_depth(model)
        is_fp16 = self.hardware.dtype == torch.float16
        if is_fp16 and (depth is None or depth < model.config.num_hidden_layers - 1):
            raise DeviceError("--precision fp16: gradients of more than one layer underflow; use bf16 or fp32")
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.clone()
        return model.to(self.hardware.device), notes

    def _check_cut(self, model: GenericModel) -> tuple[str, ...]:
        """Compare a model with its two parts on a few texts; return a note if it must run as a whole."""
        depth = frozen_depth(model)
        if depth:
            texts = self.tokenized["train"]
            by_length = np.argsort(texts.lengths, kind="stable")
            few = texts.take(by_length[np.linspace(0, len(texts) - 1, _CHECKED_TEXTS).astype(np.int64)])
            model.check_cut(torch.from_numpy(few.input_ids).long(), few.lengths.tolist(), depth)
        if model.is_cut or all(p.requires_grad for p in model.layers[0].parameters()):
            return ()
        kind = self.base.config.model_type
        return (f"models of type {kind} cannot be cut between layers, so the frozen layers run again in each epoch",)

    def encode(self, depth: int | None, *, stop: StopSignal | None = None) -> Mapping[str, ActivationSource]:
        """Run the frozen layers once over the training and the validation set and return their output.

        A deeper pass starts from the activations of a shallower one. If one process stops, all do.

        Args:
            depth: Number of frozen layers: the result is the input of the layer with this number. There is nothing to
                run where it is 0, or ``None`` because the embeddings train.
            stop: When to stop; by default as the run.

        Raises:
            StoppedError: The run was stopped before all texts were encoded.
        """
        if not depth:
            return {}
        if depth not in self._activations:
            start = max((known for known in self._activations if known < depth), default=0)
            progress = _PassProgress(self, self.stop if stop is None else stop)
            cache = self._cache(depth, start, progress)
            below = self._activations.get(start, {})
            encoded: dict[str, ActivationSource] | None = {}
            try:
                encoded = {split: cache.add(texts, below.get(split)) for split, texts in self.tokenized.items()}
            except _PassStoppedError:
                encoded = None
            if self.hardware.ranks.any(encoded is None)[0] or encoded is None:
                raise StoppedError(progress.reason())
            self._activations[depth] = encoded
            self._memory_taken += cache.memory_bytes
            self.on_event(PrefixDone(cache.use))
        return self._activations[depth]

    def source(self, model: Model, split: str) -> ActivationSource:
        """Return the input of a model's first trainable layer for ``train`` or ``val``.

        It is what ``encode`` keeps, or else computed in each epoch.
        """
        kept = self._activations.get(frozen_depth(model) or 0, {})
        return kept[split] if split in kept else self.source_of(model, self.tokenized[split])

    def source_of(self, model: Model, texts: TokenizedTexts) -> ActivationSource:
        """Return the input of a model's first trainable layer for any texts."""
        depth = frozen_depth(model)
        if depth:
            return self._cache(depth, 0).add(texts)
        token_ids = TokenIds(texts, self.hardware.device)
        if isinstance(model, GenericModel) and depth is None:
            return token_ids
        if depth == 0:
            return ComputedActivations(self._prefix(0), 0, token_ids)

        def embed(input_ids: Tensor, lengths: Sequence[int]) -> Tensor:
            hidden: Tensor = model.embeddings(input_ids, lengths)
            return hidden.to(self.hardware.dtype)

        return ComputedActivations(embed, 0, token_ids)

    def free_activations(self) -> None:
        """Drop all activations, and return their memory to the budget."""
        self._activations = {}
        self.budget.memory += self._memory_taken
        self._memory_taken = 0

    @cached_property
    def training_hashes(self) -> npt.NDArray[np.int64]:
        """Hashes of the texts that the model and its base were trained on, ``int64[hashes]``; evaluations find them."""
        return np.union1d(training_hashes(self.data.train.texts), self.base.seen_hashes())

    @cached_property
    def baseline(self) -> Baseline | MultiLabelBaseline:
        """TF-IDF and a linear model on the same splits."""
        train, val = self.data.train, self.data.val
        return self.task.fit_baseline(train.texts, self.targets("train"), val.texts, self.targets("val"))

    @cached_property
    def _encoder(self) -> Model:
        """The base model, all frozen, in the memory of the base weights."""
        return self.base.load(2, seed=0, tensors=self.weights)[0].to(self.hardware.device)

    def _prefix(self, depth: int, start: int = 0) -> Prefix:
        """Return the frozen layers from ``start`` to ``depth``; those from the embeddings on are prepared once."""
        if start:
            return frozen_prefix(self._encoder, depth, self.hardware.dtype, start=start)
        if depth not in self._prefixes:
            self._prefixes[depth] = frozen_prefix(self._encoder, depth, self.hardware.dtype)
        return self._prefixes[depth]

    def _cache(self, depth: int, start: int, on_texts: Callable[[int], None] = lambda texts: None) -> ActivationCache:
        return ActivationCache(self._prefix(depth, start), self.hardware.device, self.budget, on_texts=on_texts)


def tokenize(data: TrainingData, tokenizer: HeadTailTokenizer, ranks: Ranks) -> dict[str, TokenizedTexts]:
    """Tokenize this process's texts of the training and the validation set."""
    splits = {"train": data.train.texts, "val": data.val.texts}
    return {
        split: tokenizer([texts[index] for index in ranks.shard(len(texts)).tolist()])
        for split, texts in splits.items()
    }


def base_weights(base: BaseModel, device: torch.device) -> dict[str, Tensor]:
    """Read the weights of a base model, once for all models of a run.

    Raises:
        ModelError: A file is missing or damaged.
    """
    return {name: torch.from_numpy(array).to(device) for name, array in base.arrays().items()}


class _PassStoppedError(Exception):
    """The frozen pass was stopped."""


class _PassProgress:
    """Report the texts of a frozen pass, and stop it when the run should stop."""

    def __init__(self, context: Context, stop: StopSignal) -> None:
        self._on_event, self._stop = context.on_event, stop
        self._done, self._total = 0, sum(map(len, context.tokenized.values()))
        self._started_at = time.monotonic()

    def __call__(self, texts: int) -> None:
        self._done += texts
        self._on_event(TextsEncoded(texts, self._total))
        if self._stop and self._done < self._total:
            raise _PassStoppedError

    def reason(self) -> str:
        """Return the message for a pass that was stopped."""
        if self._stop.requested or not self._stop.out_of_time:
            return "cancelled before training began; nothing was saved"
        minutes = (time.monotonic() - self._started_at) / 60 * self._total / max(1, self._done)
        return (
            f"--max-minutes passed when the frozen layers had encoded {self._done:,} of {self._total:,} texts, which "
            f"take about {minutes:.1f} minutes in all; nothing was saved: allow more minutes or use fewer texts"
        )
