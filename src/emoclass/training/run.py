"""One training, from clean data to a saved classifier."""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from emoclass._version import __version__
from emoclass.config import TrainConfig
from emoclass.data.folding import text_hashes
from emoclass.data.preparation import TrainingData
from emoclass.errors import ConfigError, DeviceError, LossError, ModelError, StoppedError
from emoclass.evaluation.baseline import Baseline, fit_baseline
from emoclass.evaluation.calibration import fit_temperature
from emoclass.evaluation.report import Evaluation, evaluate
from emoclass.evaluation.scoring import Scoring
from emoclass.inference.predictor import Classifier
from emoclass.model.base import BaseModel, resolve_base
from emoclass.model.encoder import PackedBert
from emoclass.model.freezing import ParameterCounts, count_parameters, freeze, frozen_depth
from emoclass.model.prefix import ActivationSource, ComputedActivations, FrozenPrefix, compute_logits
from emoclass.model.tokenization import HeadTailTokenizer, TokenizedTexts
from emoclass.runtime import free_disk, is_out_of_memory, models_dir, resolve_device, resolve_precision
from emoclass.store import layout
from emoclass.store.checkpoints import StoredModel, check_free, free_name, save_model
from emoclass.store.layout import Manifest
from emoclass.training.activations import ActivationCache, CacheBudget, CacheUse, default_budget
from emoclass.training.card import model_card
from emoclass.training.loop import EpochDone, LoopState, Scores, TrainEvent, training_loop
from emoclass.training.resume import RunStates, SavedState, run_key


@dataclass(frozen=True)
class Prepared:
    """The model stands and the texts are tokenized.

    Attributes:
        parameters: How many parameters train.
        rows: Texts in each part.
        truncated: Texts of all parts that are longer than the length limit.
        device: Where the computing is done.
        precision: What the frozen layers compute in.
        base: Name and source of the base model.
        notes: What the user should know.
    """

    parameters: ParameterCounts
    rows: dict[str, int]
    truncated: int
    device: str
    precision: str
    base: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Resumed:
    """Training goes on from a saved state: the epoch, the steps taken in it, and the epochs before."""

    epoch: int
    step: int
    history: tuple[EpochDone, ...]


@dataclass(frozen=True)
class StateNotSaved:
    """A state from which to go on could not be saved, and why."""

    reason: str


@dataclass(frozen=True)
class TextsEncoded:
    """The frozen layers are done with some more texts."""

    texts: int
    total: int


@dataclass(frozen=True)
class PrefixDone:
    """The frozen layers are done with all texts; ``use`` says where what they gave is kept."""

    use: CacheUse


RunEvent = Prepared | TextsEncoded | PrefixDone | Resumed | StateNotSaved | TrainEvent
# Within long epochs a state is saved this often.
_SAVE_SECONDS = 600.0


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Attributes:
        model: The saved model.
        history: All epochs.
        best_epoch: The one that was kept: best validation accuracy, the earlier one on a tie.
        parameters: How many parameters trained.
        test: Scores on the test part, if there is one.
        stopped: Whether it was stopped before the last epoch; it can be resumed.
        failure: Why it ended early, if it failed.
    """

    model: StoredModel
    history: tuple[EpochDone, ...]
    best_epoch: int
    parameters: ParameterCounts
    test: Evaluation | None
    stopped: bool
    failure: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        manifest = self.model.manifest
        return {
            "name": manifest.name,
            "path": str(self.model.directory),
            "labels": list(manifest.labels),
            **manifest.parameters,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "failure": self.failure,
            "history": [asdict(epoch) for epoch in self.history],
            "data": manifest.data,
            "test": None if self.test is None else self.test.to_dict(),
        }


def run_training(
    data: TrainingData,
    config: TrainConfig,
    *,
    name: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "auto",
    cache_memory: int | None = None,
    cache_disk: int | None = None,
    resume: bool = False,
    patience: int | None = None,
    max_minutes: float | None = None,
    on_event: Callable[[RunEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Trains a classifier, keeps its best epoch, scores it on the test part and saves it.

    Args:
        data: Clean parts.
        config: The recipe.
        name: Name of the new model; by default made from the data's and the base model's.
        overwrite: Whether a model of that name may be replaced.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: Of the frozen layers: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        cache_memory: Bytes of memory that activations may take; by default half of what is free.
        cache_disk: Bytes that all activation files may take; by default half of what is free, at most 20 GB.
        resume: Whether to go on with the same training where an earlier run ended too early, if one did.
        patience: End after so many epochs without a better one.
        max_minutes: Stop after so many minutes of training; what is best so far is then saved.
        on_event: Called with whatever happens.
        should_stop: Asked after every step; what is best so far is then saved.

    Raises:
        EmoclassError: Of some kind, with what to do about it.
        StoppedError: It was stopped before the end of the first epoch.
    """
    base = resolve_base(config.base_model)
    torch_device = resolve_device(device)
    dtype = resolve_precision(precision, torch_device)
    states = RunStates(_key(data, config, base, torch_device, dtype))
    saved = states.load() if resume else None
    interim = None if saved is None else saved.facts["name"]
    if name is not None and name != interim:
        check_free(name, overwrite=overwrite)
    if patience is not None and patience < 1:
        raise ConfigError(f"--patience {patience} is less than 1")
    if max_minutes is not None and not max_minutes > 0:
        raise ConfigError(f"--max-minutes {max_minutes} is not above 0")
    # What comes from torch's own random numbers is seeded here, and the caller's are left as they were.
    with torch.random.fork_rng([torch_device] if torch_device.type == "cuda" else []), _told_what_to_lower():
        torch.manual_seed(config.seed)
        budget = default_budget(torch_device, memory=cache_memory, disk=cache_disk)
        run = _Run(data, config, base, torch_device, dtype, budget, states, on_event, should_stop)
        run.learn(saved, patience=patience, max_minutes=max_minutes)
        run.calibrate()
        test = run.test()
    if name is None:
        name = run.interim or free_name(f"{_stem(data.source)}-{_stem(base.name)}")
    elif not overwrite and name != run.interim:
        # It was free and may have been taken by now; the training must not be lost for that.
        name = free_name(name)
    overwrite = overwrite or name == run.interim
    stored = run.save(run.manifest(name, test), overwrite=overwrite)
    if run.stopped:
        states.rename(name)
    else:
        states.clear()
    return TrainResult(stored, tuple(run.history), run.best.epoch, run.parameters, test, run.stopped, run.failure)


def _key(data: TrainingData, config: TrainConfig, base: BaseModel, device: torch.device, dtype: torch.dtype) -> str:
    """What the result of a training depends on."""
    digest = hashlib.sha256()
    for part in (data.train, data.val):
        for text, label in zip(part.texts, part.labels, strict=True):
            digest.update(f"{len(text)} {len(label)} {text}{label}".encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    versions = [__version__, torch.__version__]
    return run_key(config.to_dict(), base.name, base.source, device.type, str(dtype), digest.hexdigest(), versions)


@contextmanager
def _told_what_to_lower() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            "out of memory; lower --batch-size, --max-length or --cache-memory, or train fewer layers (--unfreeze)"
        ) from error


class _Run:
    """The state of one training between its stages."""

    def __init__(
        self,
        data: TrainingData,
        config: TrainConfig,
        base: BaseModel,
        device: torch.device,
        dtype: torch.dtype,
        budget: CacheBudget,
        states: RunStates,
        on_event: Callable[[RunEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.data, self.config, self.base, self.device = data, config, base, device
        self.dtype, self.states = dtype, states
        self.interim: str | None = None
        self.failure: str | None = None
        self.best_tensors: dict[str, Tensor] = {}
        self.on_event, self.should_stop = on_event, should_stop
        self.tokenizer: HeadTailTokenizer = base.tokenizer(config.truncation)
        model, notes = base.load(len(data.labels), seed=config.seed)
        freeze(model, config.unfreeze, train_pooler=config.train_pooler)
        self.model: PackedBert = model.to(device)
        self.parameters = count_parameters(model)
        self._require_space()
        self._require_range()
        self.history: list[EpochDone] = []
        self.stopped = False
        texts = {"train": data.train.texts, "val": data.val.texts}
        tokenized = {part: self.tokenizer(texts[part]) for part in texts}
        self.on_event(self._prepared(tokenized, notes))
        self.temperature = 1.0
        self.cache = self._cache(budget, sum(map(len, tokenized.values())))
        self.sources = {part: self._source(texts) for part, texts in tokenized.items()}
        if self.cache is not None:
            self.on_event(PrefixDone(self.cache.use))

    def learn(self, saved: SavedState | None, *, patience: int | None, max_minutes: float | None) -> None:
        """Trains, from a saved state if there is one; afterwards the model has the weights of its best epoch."""
        labels = self.data.labels.encode(self.data.train.labels)
        val_labels = torch.from_numpy(self.data.labels.encode(self.data.val.labels))

        def evaluate() -> Scores:
            logits = compute_logits(self.model, self.sources["val"])
            accuracy = (logits.argmax(-1) == val_labels).float().mean()
            return Scores(float(functional.cross_entropy(logits, val_labels)), float(accuracy))

        state = LoopState(self.model, len(labels), self.config)
        if saved is not None:
            self._resume(state, saved)
        deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
        saved_at = time.monotonic()
        try:
            for event in training_loop(
                self.model, self.sources["train"], labels, self.config, evaluate=evaluate, state=state
            ):
                self.on_event(event)
                if isinstance(event, EpochDone):
                    self._end_epoch(event)
                at_end = len(self.history) == self.config.epochs
                self.stopped = not at_end and (self.should_stop() or time.monotonic() > deadline)
                if isinstance(event, EpochDone) or self.stopped or time.monotonic() - saved_at > _SAVE_SECONDS:
                    self._save_state(state)
                    saved_at = time.monotonic()
                if self.stopped or self._is_patient_no_more(patience):
                    break
        except LossError as error:
            if not self.history:
                raise
            self.failure = str(error)
        if not self.history:
            raise StoppedError(
                "stopped before the first epoch was over; run the same command with --resume to go on from there"
            )
        self.model.load_state_dict(self.best_tensors, strict=False)
        self.model.eval()

    def _end_epoch(self, event: EpochDone) -> None:
        self.history.append(event)
        if self.best is event:
            trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
            self.best_tensors = {n: p.detach().clone() for n, p in trained.items()}

    def _is_patient_no_more(self, patience: int | None) -> bool:
        return patience is not None and bool(self.history) and len(self.history) - self.best.epoch >= patience

    def _save_state(self, state: LoopState) -> None:
        tensors = state.tensors()
        # Right after the best epoch the best weights are the current ones.
        if self.history and not (self.best is self.history[-1] and state.step == 0):
            tensors |= {f"best.{name}": tensor for name, tensor in self.best_tensors.items()}
        facts = {**state.facts(), "history": [asdict(epoch) for epoch in self.history], "name": self.interim}
        try:
            self.states.save(tensors, facts)
        except OSError as error:
            if not self.stopped:
                self.on_event(StateNotSaved(f"{self.states.directory}: {error.strerror or error}"))

    def _resume(self, state: LoopState, saved: SavedState) -> None:
        state.restore(saved.tensors, saved.facts)
        self.history = [EpochDone(**epoch) for epoch in saved.facts["history"]]
        self.interim = saved.facts["name"]
        best = {n.removeprefix("best."): t for n, t in saved.tensors.items() if n.startswith("best.")}
        if self.history and not best:
            best = {n.removeprefix("model."): t for n, t in saved.tensors.items() if n.startswith("model.")}
        self.best_tensors = best
        self.on_event(Resumed(state.epoch, state.step, tuple(self.history)))

    def calibrate(self) -> None:
        """Fits a temperature on the validation part and puts it into the classifier's weights; frees the memory."""
        logits = compute_logits(self.model, self.sources["val"])
        self.temperature = fit_temperature(logits.numpy(), self.data.labels.encode(self.data.val.labels))
        with torch.no_grad():
            for parameter in self.model.classifier.parameters():
                parameter.div_(self.temperature)
        self.sources = {}

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

    @property
    def best(self) -> EpochDone:
        """The epoch with the best validation accuracy, the earliest on a tie."""
        return max(self.history, key=lambda epoch: epoch.val_accuracy)

    def test(self) -> Evaluation | None:
        """Scores on the test part."""
        if self.data.test is None:
            return None
        classifier = Classifier(
            self.model, self.tokenizer, self.data.labels.names, device=self.device, dtype=self.dtype
        )
        scoring = Scoring(
            classifier,
            training_hashes=text_hashes(self.data.train.texts),
            baseline=self.baseline,
            temperature=self.temperature,
            logits_of=lambda tokenized: compute_logits(self.model, self._source(tokenized)),
        )
        (evaluation,) = evaluate([scoring], self.data.test)
        return evaluation

    def manifest(self, name: str, test: Evaluation | None) -> Manifest:
        """The content of emoclass.json."""
        data, best = self.data, self.best
        parts = {"train": data.train, "val": data.val, "test": data.test}
        epoch = {key: value for key, value in asdict(best).items() if key not in ("epoch", "seconds")}
        return Manifest(
            name=name,
            created_at=datetime.now(timezone.utc).isoformat(),
            labels=data.labels.names,
            base_model={"name": self.base.name, "source": self.base.source},
            recipe=self.config,
            truncation=self.tokenizer.truncation,
            parameters={
                "trainable_parameters": self.parameters.trainable,
                "total_parameters": self.parameters.total,
            },
            metrics={"best_epoch": best.epoch, **epoch, "test": None if test is None else test.to_dict()},
            calibration={"method": "temperature", "temperature": self.temperature, "rows": len(data.val)},
            data={
                "source": data.source,
                "sha256": data.sha256,
                "rows": {part: len(rows) for part, rows in parts.items() if rows is not None},
                "removed_rows": data.removed_rows,
                "conflicts": data.conflicts,
                "leaked": data.leaked,
            },
            versions=_versions(self.device, self.dtype),
        )

    def save(self, manifest: Manifest, *, overwrite: bool) -> StoredModel:
        """Saves the model."""
        tensors = {n: p.detach().cpu().contiguous() for n, p in self.model.named_parameters()}
        return save_model(
            manifest,
            tensors=tensors,
            # The classifier is new, whether it trains or not; with it the calibration.
            trained={n for n, p in self.model.named_parameters() if p.requires_grad or n.startswith("classifier.")},
            config=self.base.classifier_config(self.data.labels.names),
            tokenizer_json=self.tokenizer.to_json(),
            tokenizer_config=self.base.tokenizer_config(self.tokenizer.truncation.max_length),
            history=[asdict(epoch) for epoch in self.history],
            card=model_card(manifest),
            training_hashes=text_hashes(self.data.train.texts),
            write_more=lambda directory: self.baseline.save(directory, layout.BASELINE),
            overwrite=overwrite,
        )

    def _prepared(self, tokenized: dict[str, TokenizedTexts], notes: tuple[str, ...]) -> Prepared:
        return Prepared(
            parameters=self.parameters,
            rows={part: len(texts) for part, texts in tokenized.items()},
            truncated=sum(int(texts.truncated.sum()) for texts in tokenized.values()),
            device=str(self.device),
            precision=_precision_name(self.dtype),
            base=f"{self.base.name} ({self.base.source})",
            notes=notes,
        )

    def _cache(self, budget: CacheBudget, total: int) -> ActivationCache | None:
        """Where the frozen layers' output is kept; ``None`` where there is nothing worth it."""
        depth = frozen_depth(self.model)
        if not depth:  # the embeddings alone are quicker to compute than to keep
            return None

        def on_texts(texts: int) -> None:
            if self.history:  # the test part, at the end
                return
            self.on_event(TextsEncoded(texts, total))
            if self.should_stop():
                raise StoppedError("stopped before training began; nothing was saved")

        prefix = FrozenPrefix(self.model, depth, self.dtype)
        return ActivationCache(prefix, self.device, budget, on_texts=on_texts)

    def _source(self, texts: TokenizedTexts) -> ActivationSource:
        if self.cache is not None:
            return self.cache.add(texts)
        compute = self._embed if frozen_depth(self.model) is None else FrozenPrefix(self.model, 0, self.dtype)
        return ComputedActivations(compute, 0, texts, self.device)

    def _embed(self, input_ids: Tensor, lengths: Any) -> Tensor:
        hidden: Tensor = self.model.bert.embeddings(input_ids, lengths)
        return hidden.to(self.dtype)

    def _require_space(self) -> None:
        # The model, and two states with weights, two moments and the best weights.
        needed = 4 * self.parameters.total + 2 * 16 * self.parameters.trainable + 16 * 1024**2
        directory = models_dir()
        free = free_disk(directory)
        if free < needed:
            raise ModelError(
                f"{directory}: the model needs {needed >> 20} MiB and the disk has {free >> 20} MiB left; "
                "free some, or set EMOCLASS_HOME to a directory on another disk"
            )

    def _require_range(self) -> None:
        depth = frozen_depth(self.model)
        if self.dtype == torch.float16 and (depth is None or depth < self.model.config.num_hidden_layers - 1):
            raise DeviceError("--precision fp16: gradients of more than one layer vanish in it; use bf16 or fp32")


def _stem(name: str) -> str:
    """A part of a model's name, from a path or hub id."""
    last = name.rstrip("/\\").replace("\\", "/").split("/")[-1].split(".")[0]
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in last).strip("-")
    return kept[:40] or "data"


def _precision_name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]


def _versions(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    versions = {"emoclass": __version__, "python": platform.python_version()}
    for package in ("torch", "transformers", "tokenizers", "safetensors"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # an unusual installation; nothing depends on it
            versions[package] = "unknown"
    return {**versions, "device": str(device), "precision": _precision_name(dtype)}
