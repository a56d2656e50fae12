"""The last phases of a training: calibrate, evaluate, save."""

from __future__ import annotations

import platform
import shlex
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emoclass._version import __version__
from emoclass.activations.logits import compute_logits
from emoclass.encoders.freezing import count_parameters
from emoclass.encoders.interface import Model
from emoclass.errors import EmoclassError, ModelError, NameTakenError
from emoclass.evaluation import report
from emoclass.evaluation.multilabel_baseline import MultiLabelBaseline
from emoclass.evaluation.multilabel_report import AnyEvaluation, evaluate_multilabel
from emoclass.evaluation.multilabel_scoring import MultiLabelScoring
from emoclass.evaluation.scoring import Scoring
from emoclass.inference.classifiers import Classifier, MultiLabelClassifier
from emoclass.inference.engines import TorchEngine
from emoclass.runtime import free_disk, models_dir, precision_name
from emoclass.store import layout
from emoclass.store.card import model_card
from emoclass.store.layout import Manifest
from emoclass.store.reading import StoredModel
from emoclass.store.runs import RunStates
from emoclass.store.saving import free_name, require_new, require_writable, save_model
from emoclass.training.context import Hardware
from emoclass.training.fitting import Fit
from emoclass.training.tasks import Calibrated


def calibrate(fitted: Fit, logits: Tensor) -> Calibrated:
    """Fit the calibration on the validation set and put it into the classifier's weights.

    Args:
        fitted: A complete training.
        logits: Its logits of the validation set, ``float32[texts, classes]``.
    """
    context, classifier = fitted.context, fitted.model.classifier
    found = context.task.calibrated(logits, context.targets("val"), with_offset=classifier.bias is not None)
    slopes, offsets = (torch.from_numpy(values).to(classifier.weight) for values in (found.slopes, found.offsets))
    with torch.no_grad():
        classifier.weight.mul_(slopes[:, None])
        if classifier.bias is not None:
            classifier.bias.mul_(slopes).add_(offsets)
    return found


def evaluate(fitted: Fit, calibrated: Calibrated) -> AnyEvaluation | None:
    """Return the scores on the test set; ``None`` if there is none."""
    context, model, data = fitted.context, fitted.model, fitted.context.data
    if data.test is None:
        return None
    hardware, baseline, names = context.hardware, context.baseline, data.labels.names
    engine = TorchEngine(model, device=hardware.device, dtype=hardware.dtype)
    common: dict[str, Any] = {
        "training_hashes": context.training_hashes,
        "logits_of": lambda tokenized: compute_logits(model, context.source_of(model, tokenized)).numpy(),
    }
    evaluation: AnyEvaluation
    if isinstance(baseline, MultiLabelBaseline):
        several = MultiLabelClassifier(engine, context.tokenizer, names, calibrated.thresholds.tolist())
        fitting = (calibrated.slopes, calibrated.offsets)
        several_scoring = MultiLabelScoring(several, baseline=baseline, calibration=fitting, **common)
        (evaluation,) = evaluate_multilabel([several_scoring], data.test)
        return evaluation
    scoring = Scoring(
        Classifier(engine, context.tokenizer, names),
        baseline=baseline,
        temperature=calibrated.record["temperature"],
        **common,
    )
    (evaluation,) = report.evaluate([scoring], data.test)
    return evaluation


def save(
    fitted: Fit, manifest: Manifest, states: RunStates, *, overwrite: bool, directory: str | Path | None = None
) -> StoredModel:
    """Save a trained model under its name, or a numbered one where the name has been taken meanwhile.

    A new directory, if one is given, takes the place of that name among the user's models.

    Raises:
        EmoclassError: It cannot be saved. The message says where the training is kept: in its checkpoints, or else as a
            model among the temporary files.
    """
    try:
        if directory is not None:
            return _save(fitted, manifest, directory=require_new(directory))
        while True:
            name = manifest.name if overwrite else free_name(manifest.name)
            with suppress(NameTakenError):
                return _save(fitted, replace(manifest, name=name), overwrite=overwrite)
    except EmoclassError as error:
        raise EmoclassError(f"{error}{_keep(fitted, manifest, states)}") from error


def _keep(fitted: Fit, manifest: Manifest, states: RunStates) -> str:
    """Keep what was trained although it cannot be saved; return where it is."""
    if states.exist:
        return f"; its training is kept in {states.directory}: the same command with --resume goes on from there"
    with suppress(EmoclassError, OSError):
        place = Path(tempfile.mkdtemp(prefix="emoclass-")) / manifest.name
        _save(fitted, manifest, directory=place)
        return f"; it is kept in {place}: emoclass predict --model {shlex.quote(str(place))} uses it"
    return ""


def _save(fitted: Fit, manifest: Manifest, *, overwrite: bool = False, directory: Path | None = None) -> StoredModel:
    context, model = fitted.context, fitted.model
    own_name, head = model.own_name, {id(p) for p in model.classifier.parameters()}
    kept = model.state_dict().keys()
    buffers = [(name, buffer) for name, buffer in model.named_buffers() if name in kept]
    return save_model(
        manifest,
        tensors={own_name(n): p.detach().cpu().contiguous() for n, p in [*model.named_parameters(), *buffers]},
        # The classifier is new, whether it trains or not, and holds the calibration.
        trained={own_name(n) for n, p in model.named_parameters() if p.requires_grad or id(p) in head},
        config=context.base.classifier_config(manifest.labels, f"{manifest.task}_label_classification"),
        tokenizer_json=context.tokenizer.to_json(),
        tokenizer_config=context.base.tokenizer_config(context.tokenizer),
        history=[epoch.to_dict() for epoch in fitted.history],
        card=model_card(manifest),
        training_hashes=context.training_hashes,
        write_more=lambda directory: context.baseline.save(directory, layout.BASELINE),
        overwrite=overwrite,
        directory=directory,
    )


def make_manifest(
    name: str, fitted: Fit, calibrated: Calibrated, test: AnyEvaluation | None, selection: Mapping[str, Any]
) -> Manifest:
    """Describe a trained model.

    Args:
        name: Name of the model.
        fitted: Its training.
        calibrated: Its calibration.
        test: Its scores on the test set.
        selection: How it was selected, as plain JSON values: ``tuning``, ``probes`` and ``averaged``.
    """
    context, data, kept = fitted.context, fitted.context.data, fitted.kept
    splits = {"train": data.train, "val": data.val, "test": data.test}
    epoch = {key: value for key, value in kept.to_dict().items() if key not in ("epoch", "seconds")}
    epoch |= {key: value for key, value in (selection.get("averaged") or {}).items() if key in epoch}
    parameters = count_parameters(fitted.model)
    return Manifest(
        name=name,
        created_at=datetime.now(timezone.utc).isoformat(),
        labels=data.labels.names,
        base_model={"name": context.base.name, "source": context.base.source},
        recipe=fitted.config,
        truncation=context.tokenizer.truncation,
        parameters={"trainable_parameters": parameters.trainable, "total_parameters": parameters.total},
        metrics={
            "best_epoch": kept.epoch,
            **epoch,
            "test": None if test is None else test.to_dict(),
            **selection,
        },
        task=data.labels.task,
        thresholds=tuple(calibrated.thresholds.tolist()),
        calibration=calibrated.record,
        data={
            "source": data.source,
            "sha256": data.sha256,
            "columns": data.train.columns.to_dict(),
            "rows": {split: len(rows) for split, rows in splits.items() if rows is not None},
            "removed_rows": data.removed_rows,
            "conflicts": data.conflicts,
            "leaked": data.leaked,
        },
        versions=_versions(context.hardware),
    )


def require_space(model: Model) -> None:
    """Check that there is room for what a training writes to disk.

    Raises:
        ModelError: There is not.
    """
    # The model, and two checkpoints with weights, two moments and the best weights.
    parameters = count_parameters(model)
    sizes = (4 * parameters.total, 16 * parameters.trainable, 16 * parameters.trainable, 16 * 1024**2)
    needed = sum(sizes)
    directory = models_dir()
    free = free_disk(directory)
    if free < needed:
        raise ModelError(
            f"{directory}: the model needs {needed >> 20} MiB and the disk has {free >> 20} MiB left; "
            "free some, or set EMOCLASS_HOME to a directory on another disk"
        )
    require_writable(*sizes)


def _versions(hardware: Hardware) -> dict[str, str]:
    versions = {"emoclass": __version__, "python": platform.python_version()}
    for package in ("torch", "transformers", "tokenizers", "safetensors"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # an unusual installation; nothing depends on it
            versions[package] = "unknown"
    return {**versions, "device": str(hardware.device), "precision": precision_name(hardware.dtype)}
