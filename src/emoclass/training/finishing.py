"""The end of a training: calibrated, scored, saved; and what must be there for that from the beginning."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from emoclass._version import __version__
from emoclass.activations.logits import compute_logits
from emoclass.data.similarity.folding import text_hashes
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.freezing import count_parameters
from emoclass.errors import ModelError
from emoclass.evaluation.calibration import fit_temperature
from emoclass.evaluation.report import Evaluation, evaluate
from emoclass.evaluation.scoring import Scoring
from emoclass.inference.predictor import Classifier
from emoclass.runtime import free_disk, models_dir, precision_name
from emoclass.store import layout
from emoclass.store.checkpoints import StoredModel, save_model
from emoclass.store.layout import Manifest
from emoclass.training.card import model_card
from emoclass.training.learning import Learning


class FinishedModel:
    """What a learning gave, calibrated, scored on the test part, and ready to be saved.

    Args:
        learning: Over; what it kept in memory is let go.
        logits: Its logits of the validation part, ``float32[texts, classes]``.
        found: Other things to be kept among its metrics, as plain JSON values by name.

    Attributes:
        temperature: By which logits are divided: in the classifier's weights.
        test: Scores on the test part, if there is one.
    """

    def __init__(self, learning: Learning, logits: Tensor, found: Mapping[str, Any]) -> None:
        self.learning, self.setup, self.model, self._found = learning, learning.setup, learning.model, found
        self.temperature = self._calibrate(logits)
        self.test = self._test()

    def _calibrate(self, logits: Tensor) -> float:
        data = self.setup.data
        temperature = fit_temperature(logits.numpy(), data.labels.encode(data.val.labels))
        with torch.no_grad():
            for parameter in self.model.classifier.parameters():
                parameter.div_(temperature)
        self.learning.sources = {}
        self.setup.free()
        return temperature

    def _test(self) -> Evaluation | None:
        setup = self.setup
        data = setup.data
        if data.test is None:
            return None
        classifier = Classifier(self.model, setup.tokenizer, data.labels.names, device=setup.device, dtype=setup.dtype)
        scoring = Scoring(
            classifier,
            training_hashes=text_hashes(data.train.texts),
            baseline=setup.baseline,
            temperature=self.temperature,
            logits_of=lambda tokenized: compute_logits(self.model, setup.source(self.model, tokenized)),
        )
        (evaluation,) = evaluate([scoring], data.test)
        return evaluation

    def _manifest(self, name: str) -> Manifest:
        setup, data, kept = self.setup, self.setup.data, self.learning.kept
        parts = {"train": data.train, "val": data.val, "test": data.test}
        epoch = {key: value for key, value in asdict(kept).items() if key not in ("epoch", "seconds")}
        epoch |= {key: value for key, value in (self._found.get("averaged") or {}).items() if key in epoch}
        parameters = count_parameters(self.model)
        return Manifest(
            name=name,
            created_at=datetime.now(timezone.utc).isoformat(),
            labels=data.labels.names,
            base_model={"name": setup.base.name, "source": setup.base.source},
            recipe=self.learning.config,
            truncation=setup.tokenizer.truncation,
            parameters={"trainable_parameters": parameters.trainable, "total_parameters": parameters.total},
            metrics={
                "best_epoch": kept.epoch,
                **epoch,
                "test": None if self.test is None else self.test.to_dict(),
                **self._found,
            },
            calibration={"method": "temperature", "temperature": self.temperature, "rows": len(data.val)},
            data={
                "source": data.source,
                "sha256": data.sha256,
                "rows": {part: len(rows) for part, rows in parts.items() if rows is not None},
                "removed_rows": data.removed_rows,
                "conflicts": data.conflicts,
                "leaked": data.leaked,
            },
            versions=_versions(setup.device, setup.dtype),
        )

    def save(self, name: str, *, overwrite: bool) -> StoredModel:
        """Saves the model."""
        setup, manifest = self.setup, self._manifest(name)
        tensors = {n: p.detach().cpu().contiguous() for n, p in self.model.named_parameters()}
        return save_model(
            manifest,
            tensors=tensors,
            # The classifier is new, whether it trains or not; with it the calibration.
            trained={n for n, p in self.model.named_parameters() if p.requires_grad or n.startswith("classifier.")},
            config=setup.base.classifier_config(manifest.labels),
            tokenizer_json=setup.tokenizer.to_json(),
            tokenizer_config=setup.base.tokenizer_config(manifest.truncation.max_length),
            history=[asdict(epoch) for epoch in self.learning.history],
            card=model_card(manifest),
            training_hashes=text_hashes(setup.data.train.texts),
            write_more=lambda directory: setup.baseline.save(directory, layout.BASELINE),
            overwrite=overwrite,
        )


def require_space(model: PackedBert) -> None:
    """Checks that there is room for what a training leaves on the disk.

    Raises:
        ModelError: There is not.
    """
    # The model, and two states with weights, two moments and the best weights.
    parameters = count_parameters(model)
    needed = 4 * parameters.total + 2 * 16 * parameters.trainable + 16 * 1024**2
    directory = models_dir()
    free = free_disk(directory)
    if free < needed:
        raise ModelError(
            f"{directory}: the model needs {needed >> 20} MiB and the disk has {free >> 20} MiB left; "
            "free some, or set EMOCLASS_HOME to a directory on another disk"
        )


def _versions(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    versions = {"emoclass": __version__, "python": platform.python_version()}
    for package in ("torch", "transformers", "tokenizers", "safetensors"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # an unusual installation; nothing depends on it
            versions[package] = "unknown"
    return {**versions, "device": str(device), "precision": precision_name(dtype)}
