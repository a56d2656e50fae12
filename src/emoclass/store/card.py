"""The model card: ``README.md`` of a model directory."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from emoclass.encoders.base import hub_id
from emoclass.errors import ModelError, one_line
from emoclass.store.layout import CARD, Manifest

if TYPE_CHECKING:
    from huggingface_hub import ModelCard, ModelCardData

_TASK = "text-classification"
_LIBRARY, _RELATION = "emoclass", "finetune"
_OF_PEOPLE = ("license", "license_name", "license_link", "language", "datasets")
# Scores in the front matter: metric of the hub, name, field and arguments.
_RESULTS: Mapping[str, list[tuple[str, str, str, dict[str, str] | None]]] = {
    "single": [
        ("accuracy", "Accuracy", "accuracy", None),
        ("f1", "Macro F1", "macro_f1", {"average": "macro"}),
        ("f1", "Weighted F1", "weighted_f1", {"average": "weighted"}),
    ],
    "multi": [
        ("f1", "Micro F1", "micro_f1", {"average": "micro"}),
        ("f1", "Macro F1", "macro_f1", {"average": "macro"}),
        ("accuracy", "Subset accuracy", "subset_accuracy", None),
    ],
}


def model_card(manifest: Manifest) -> str:
    """Return a model card in Markdown with the YAML front matter of the Hugging Face Hub.

    The card says nothing about the language, the license and the data set, which emoclass does not know.

    Args:
        manifest: The content of ``emoclass.json``.
    """
    sections = (_summary, _usage, _limitations, _evaluation, _training)
    body = "\n\n".join("\n".join(section(manifest)) for section in sections)
    return f"---\n{_front_matter(manifest).to_yaml()}\n---\n\n{body}\n"


def published_card(card: str, manifest: Manifest, repo: str, license: str | None, earlier: str | None = None) -> str:
    """Return the card of a model for a repository on the hub: what it says of its use names the repository.

    Args:
        card: The card in the model's directory.
        manifest: The content of ``emoclass.json``.
        repo: The repository.
        license: The license, as the hub names it; that of the card if ``None``.
        earlier: The card in the repository, for what only people know: license, languages, data sets.

    Raises:
        ModelError: The front matter cannot be read.
    """
    own = _parsed(card)
    own.data["library_name"] = _LIBRARY
    own.data["license"] = license or own.data.get("license")
    with suppress(ModelError):  # somebody has damaged it there
        known = _parsed(earlier or "").data
        for key in _OF_PEOPLE:
            own.data[key] = own.data.get(key) or known.get(key)
    base_id = _hub_id(manifest)
    if base_id is not None:
        own.data["base_model"], own.data["base_model_relation"] = base_id, _RELATION
    # Unless somebody has written something else there.
    usage, there = "\n".join(_usage(manifest)), "\n".join(_usage(manifest, where=repo))
    text = own.text.lstrip("\n").replace(usage, there, 1)
    return f"---\n{own.data.to_yaml()}\n---\n\n{text}"


def _parsed(card: str) -> ModelCard:
    """Return a card as the hub's client reads it.

    Raises:
        ModelError: The front matter cannot be read.
    """
    from huggingface_hub import ModelCard

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # a card without front matter is a card
    try:
        return ModelCard(card.removeprefix("\ufeff"), ignore_metadata_errors=True)
    except Exception as error:  # those of a YAML library
        raise ModelError(f"{CARD}: its front matter cannot be read: {one_line(error)}") from None
    finally:
        logger.setLevel(level)


def bare_name(path: str) -> str:
    """Return the last part of a path, which says nothing about the machine; of ``-``, what it stands for."""
    return "standard input" if path == "-" else re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _front_matter(manifest: Manifest) -> ModelCardData:
    # Importing the hub's client takes a moment, which only training has to spend.
    from huggingface_hub import EvalResult, ModelCardData

    test = manifest.metrics.get("test") or {}
    scores = _RESULTS[manifest.task]
    results = [
        EvalResult(
            task_type=_TASK,
            dataset_type="unknown",
            dataset_name=bare_name(str(manifest.data["source"])) or "unknown",
            dataset_split="test",
            metric_type=metric,
            metric_name=name,
            metric_value=test[field],
            metric_args=arguments,
        )
        for metric, name, field, arguments in (scores if test else ())
    ]
    base_id = _hub_id(manifest)
    return ModelCardData(
        base_model=base_id,
        base_model_relation=base_id and _RELATION,
        eval_results=results or None,
        library_name=_LIBRARY,
        metrics=list(dict.fromkeys(metric for metric, *_ in scores)),
        model_name=manifest.name,
        pipeline_tag=_TASK,
        tags=["emotion", "emoclass"],
    )


def _hub_id(manifest: Manifest) -> str | None:
    """Return the base model's id on the hub, or ``None`` if it is a local directory or a trained model."""
    is_local = manifest.has_local_base
    return None if is_local else hub_id(manifest.base_model["name"]).partition("@")[0]


def _summary(manifest: Manifest) -> Iterable[str]:
    base_id = _hub_id(manifest)
    base = (
        f"[{base_id}](https://huggingface.co/{base_id})" if base_id else _code(bare_name(manifest.base_model["name"]))
    )
    yield f"# {manifest.name}"
    yield ""
    yield (
        f"An emotion classifier with {len(manifest.labels)} labels, fine-tuned from {base} with emoclass "
        f"{manifest.versions['emoclass']} on {manifest.created_at[:10]}."
    )
    yield ""
    yield "Labels: " + ", ".join(map(_code, manifest.labels))


def _usage(manifest: Manifest, *, where: str | None = None) -> Iterable[str]:
    quoted = f'"{where}"' if where else "DIRECTORY"
    yield "## Usage"
    yield ""
    yield "In a shell, with emoclass:"
    yield ""
    yield f'    emoclass predict --model {where or "DIRECTORY"} "some text"'
    yield ""
    yield "In Python, with emoclass or with transformers:"
    yield ""
    yield f"    emoclass.load({quoted}).predict_text(text)"
    yield f'    transformers.pipeline("{_TASK}", {quoted})(text)'


def _limitations(manifest: Manifest) -> Iterable[str]:
    truncation, calibration = manifest.truncation, manifest.calibration
    if manifest.task == "single":
        scope = "Every text gets one of the labels, even one that expresses none of them. Check the confidence."
        method = f"temperature scaling (temperature {calibration['temperature']:.3f})"
    else:
        scope = (
            "A text gets all labels whose probability reaches their threshold in `emoclass.json`, and may get none. "
            "transformers knows no thresholds: pass `top_k=None` to its pipeline and apply them."
        )
        method = "a slope and an offset for each label (Platt scaling)"
    yield "## Limitations"
    yield ""
    yield f"- {scope}"
    yield (
        f"- Confidences are calibrated by {method} on the validation set; "
        "expect them to be less accurate on other kinds of text."
    )
    yield (
        f"- emoclass shortens texts of more than {truncation.max_length} tokens to the first {truncation.head_tokens} "
        "content tokens and as many of the last ones as fit. Other libraries keep only the beginning."
    )


def _evaluation(manifest: Manifest) -> Iterable[str]:
    if manifest.task == "multi":
        yield from _multilabel_evaluation(manifest)
        return
    metrics, rows, test = manifest.metrics, manifest.data["rows"], manifest.metrics.get("test")
    val = ["validation", rows["val"], _figure(metrics["val_accuracy"]), _figure(metrics["val_macro_f1"]), ""]
    yield "## Evaluation"
    yield ""
    yield from _table(
        ["split", "texts", "accuracy", "macro F1", "weighted F1"],
        [val, *([["test", test["rows"], *_figures(test, "accuracy", "macro_f1", "weighted_f1")]] if test else [])],
    )
    if not test:
        return
    intervals, ece = test["intervals"], test["calibration"]["ece"]
    accuracy, macro_f1 = (
        "–".join(f"{bound:.3f}" for bound in intervals[metric]) for metric in ("accuracy", "macro_f1")
    )
    yield ""
    yield (
        f"95 % bootstrap intervals on the test set: accuracy {accuracy}, macro F1 {macro_f1}. Expected calibration "
        f"error: {ece:.4f}."
    )
    yield ""
    yield from _table(
        ["label", "precision", "recall", "F1", "support"],
        [
            [_code(each["label"]), *_figures(each, "precision", "recall", "f1"), each["support"]]
            for each in test["per_class"]
        ],
    )


def _multilabel_evaluation(manifest: Manifest) -> Iterable[str]:
    metrics, rows, test = manifest.metrics, manifest.data["rows"], manifest.metrics.get("test")
    named = {"micro F1": "micro_f1", "macro F1": "macro_f1", "subset accuracy": "subset_accuracy"}
    val = ["validation", rows["val"], *_figures(metrics, "val_micro_f1", "val_macro_f1", "val_accuracy", "val_lrap")]
    yield "## Evaluation"
    yield ""
    yield from _table(
        ["split", "texts", "micro F1", "macro F1", "subset accuracy", "label ranking average precision"],
        [
            val,
            *(
                [["test", test["rows"], *_figures(test, "micro_f1", "macro_f1", "subset_accuracy", "lrap")]]
                if test
                else []
            ),
        ],
    )
    yield ""
    yield "The validation set has chosen the thresholds, so that its scores are optimistic."
    if not test:
        return
    intervals = ", ".join(
        f"{name} {'–'.join(_short(bound) for bound in test['intervals'][field])}" for name, field in named.items()
    )
    error = test["calibration"]["mean_error"]
    measured = "" if error is None else f" Mean calibration error of the labels with 50 texts or more: {error:.4f}."
    yield ""
    yield f"95 % bootstrap intervals on the test set: {intervals}.{measured}"
    yield ""
    yield from _table(
        ["label", "threshold", "precision", "recall", "F1", "average precision", "support"],
        [
            [
                _code(each["label"]),
                *_figures(each, "threshold", "precision", "recall", "f1", "average_precision"),
                each["support"],
            ]
            for each in test["per_label"]
        ],
    )


def _training(manifest: Manifest) -> Iterable[str]:
    recipe, parameters, averaged = manifest.recipe, manifest.parameters, manifest.metrics.get("averaged")
    weights = f"those of epoch {manifest.metrics['best_epoch']} of {recipe.epochs}"
    if averaged:
        weights = f"the mean of {averaged['seeds']} runs, each at its own best epoch"
    yield "## Training"
    yield ""
    yield (
        f"Trained on {manifest.data['rows']['train']:,} texts. {parameters['trainable_parameters']:,} of "
        f"{parameters['total_parameters']:,} parameters were trained; the others keep the base model's values. The "
        f"weights are {weights}, selected on the validation set."
    )
    yield ""
    yield "```json"
    yield json.dumps({**recipe.to_dict(), "base_model": _hub_id(manifest) or bare_name(recipe.base_model)}, indent=2)
    yield "```"
    yield ""
    yield "Environment: " + ", ".join(f"{name} {version}" for name, version in manifest.versions.items())


def _figure(value: float) -> str:
    return f"{value:.4f}"


def _short(value: float) -> str:
    return f"{value:.3f}"


def _figures(values: Mapping[str, float], *names: str) -> list[str]:
    return [_figure(values[name]) for name in names]


def _table(header: list[str], rows: Iterable[Iterable[Any]]) -> Iterable[str]:
    """Yield the lines of a Markdown table; all columns but the first are right-aligned."""
    for row in (header, ["---", *["---:"] * (len(header) - 1)], *rows):
        yield "| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |"


def _code(text: str) -> str:
    """Return a code span of any text: labels and file names may contain Markdown."""
    text = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in (text[:1], text[-1:]) else ""
    return f"{fence}{pad}{text}{pad}{fence}"
