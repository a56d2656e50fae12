"""What all trainings on the same data share: tokenized texts, and the frozen layers' output at each depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from emoclass.activations.cache import ActivationCache, CacheBudget
from emoclass.activations.sources import ActivationSource, ComputedActivations, TokenIds
from emoclass.config import TrainConfig, Unfreeze
from emoclass.data.preparation import TrainingData
from emoclass.encoders.base import BaseModel
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.bert.prefix import FrozenPrefix
from emoclass.encoders.freezing import count_parameters, freeze, frozen_depth
from emoclass.encoders.tokenization import HeadTailTokenizer, TokenizedTexts
from emoclass.errors import DeviceError, StoppedError
from emoclass.evaluation.baseline import Baseline, fit_baseline
from emoclass.runtime import precision_name
from emoclass.training.events import PrefixDone, Prepared, RunEvent, TextsEncoded
from emoclass.training.ranks import Ranks


class TrainingSetup:
    """Data, base model and device of one or more trainings.

    Args:
        data: Clean parts.
        base: The base model.
        config: A recipe; its truncation is that of all trainings.
        device: Where to compute.
        dtype: What the encoder layers compute in.
        budget: What activations may take.
        ranks: The processes that train together; each has its texts.
        on_event: Called with whatever happens.
        should_stop: Asked after every chunk of texts.

    Attributes:
        tokenizer: Of the base model.
        tokenized: This rank's texts of the parts to learn from.
    """

    def __init__(
        self,
        data: TrainingData,
        base: BaseModel,
        config: TrainConfig,
        device: torch.device,
        dtype: torch.dtype,
        budget: CacheBudget,
        ranks: Ranks,
        on_event: Callable[[RunEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.data, self.base, self.device, self.dtype = data, base, device, dtype
        self.ranks, self.on_event, self.should_stop = ranks, on_event, should_stop
        self.tokenizer: HeadTailTokenizer = base.tokenizer(config.truncation)
        self.tokenized: dict[str, TokenizedTexts] = {}
        self._config, self._budget = config, budget
        self._caches: dict[int, ActivationCache] = {}
        self._telling = False
        self._kept: dict[int, dict[str, ActivationSource]] = {}

    def like(self, data: TrainingData) -> TrainingSetup:
        """The same for other data, silent, and writing nothing to the disk."""
        budget = replace(self._budget, disk=0)
        own = (self.base, self._config, self.device, self.dtype, budget, self.ranks)
        return TrainingSetup(data, *own, lambda event: None, self.should_stop)

    @property
    def depths_to_try(self) -> list[Unfreeze]:
        """Numbers of layers that are worth comparing: 1, 2, 4 and all, without the embeddings; in fp16 1."""
        if self.dtype == torch.float16:
            return [1]
        return [*(k for k in (1, 2, 4) if k < self.base.config.num_hidden_layers), "encoder"]

    def new_model(self, config: TrainConfig) -> tuple[PackedBert, tuple[str, ...]]:
        """The base model with a new classifier, frozen as wanted, and notes on what is not from the base.

        Raises:
            ModelError: Weights are missing or damaged.
            ConfigError: The model has fewer layers.
            DeviceError: Gradients of so many layers do not survive in the precision.
        """
        model, notes = self.base.load(len(self.data.labels), seed=config.seed, dropout=config.dropout)
        freeze(model, config.unfreeze, train_pooler=config.train_pooler)
        depth = frozen_depth(model)
        if self.dtype == torch.float16 and (depth is None or depth < model.config.num_hidden_layers - 1):
            raise DeviceError("--precision fp16: gradients of more than one layer vanish in it; use bf16 or fp32")
        return model.to(self.device), notes

    def tokenize(self, model: PackedBert, notes: tuple[str, ...] = ()) -> None:
        """Tokenizes the parts to learn from, once."""
        if self.tokenized:
            return
        parts = {"train": self.data.train.texts, "val": self.data.val.texts}
        for part, texts in parts.items():
            self.tokenized[part] = self.tokenizer([texts[index] for index in self.ranks.shard(len(texts)).tolist()])
        truncated = sum(int(texts.truncated.sum()) for texts in self.tokenized.values())
        self.on_event(
            Prepared(
                parameters=count_parameters(model),
                epochs=self._config.epochs,
                rows={part: len(texts) for part, texts in parts.items()},
                truncated=int(self.ranks.total(torch.tensor(truncated))),
                device=str(self.device),
                precision=precision_name(self.dtype),
                base=f"{self.base.name} ({self.base.source})",
                notes=notes,
            )
        )

    def sources(self, model: PackedBert) -> dict[str, ActivationSource]:
        """Input of the model's first layer that trains, for the parts to learn from; kept for the next model.

        Raises:
            StoppedError: It was to stop before all was computed.
        """
        depth = frozen_depth(model)
        if not depth:  # the embeddings alone are quicker to compute than to keep
            return {part: self.source(model, texts) for part, texts in self.tokenized.items()}
        if depth not in self._kept:
            start = max((known for known in self._kept if known < depth), default=0)
            cache = self._cache(model, depth, start)
            if not start:
                self._caches[depth] = cache
            below = self._kept.get(start, {})
            self._telling = True
            try:
                self._kept[depth] = {part: cache.add(t, below.get(part)) for part, t in self.tokenized.items()}
            finally:
                self._telling = False  # what comes at the end is done without a word
            self.on_event(PrefixDone(cache.use))
        return self._kept[depth]

    def val_source(self, model: PackedBert) -> ActivationSource:
        """Of the validation part alone, for a model that has learned; computed without asking whether to stop."""
        kept = self._kept.get(frozen_depth(model) or 0)
        return kept["val"] if kept else self.source(model, self.tokenized["val"])

    def source(self, model: PackedBert, texts: TokenizedTexts) -> ActivationSource:
        """The same for other texts, or where nothing is kept."""
        depth = frozen_depth(model)
        if depth:
            if depth not in self._caches:
                self._caches[depth] = self._cache(model, depth, 0)
            return self._caches[depth].add(texts)

        def embed(input_ids: Tensor, lengths: Any) -> Tensor:
            hidden: Tensor = model.bert.embeddings(input_ids, lengths)
            return hidden.to(self.dtype)

        compute = embed if depth is None else FrozenPrefix(model, 0, self.dtype)
        return ComputedActivations(compute, 0, TokenIds(texts, self.device))

    def free(self) -> None:
        """Lets go of what was kept in memory."""
        self._kept = {}

    @cached_property
    def baseline(self) -> Baseline:
        """TF-IDF and a linear model on the same parts."""
        data, encode = self.data, self.data.labels.encode
        return fit_baseline(
            data.train.texts,
            encode(data.train.labels),
            data.val.texts,
            encode(data.val.labels),
            len(data.labels),
        )

    def _cache(self, model: PackedBert, depth: int, start: int) -> ActivationCache:
        total = sum(map(len, self.tokenized.values()))

        def on_texts(texts: int) -> None:
            if self._telling:
                self.on_event(TextsEncoded(texts, total))
                if self.should_stop():
                    raise StoppedError("stopped before training began; nothing was saved")

        prefix = FrozenPrefix(model, depth, self.dtype, start=start)
        return ActivationCache(prefix, self.device, self._budget, on_texts=on_texts)
