"""``emoclass models``: list, show, path, export, push, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from emoclass.cli import _options as options
from emoclass.cli._commands import App
from emoclass.config import METRICS
from emoclass.errors import ConfigError

if TYPE_CHECKING:
    from emoclass.store.reading import StoredModel

EXPORT_FORMATS = ("safetensors", "onnx")
# Below this share of equal labels, quantization has changed the model.
_FEW_EQUAL = 0.99

app = App(help="List, show, export, push and remove trained models; alone, list them.", invoke_without_command=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A trained model, its directory, or USER/REPO on the hub.",
        autocompletion=options.complete_models,
    ),
]


@app.callback()
def _alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(json_: options.Json = False) -> None:
    """List all trained models, newest first, and the starter, which comes with emoclass."""
    from emoclass.cli import _console as console
    from emoclass.runtime import models_dir
    from emoclass.store import starter
    from emoclass.store.checkpoints import find_model, list_models

    models, notes = list_models()
    for message in notes:
        console.warn(message)
    if not models:
        console.note(f"there is no trained model in {models_dir()}")
    models.append(find_model(starter.NAME))
    if json_:
        console.print_json({"models": [_summary(model) for model in models]})
        return
    console.print_table(
        console.results(),
        console.table(
            "Models",
            ["name", "trained", "base model", "classes", "val", "test", "score", "size", "own"],
            [_row(_summary(model)) for model in models],
            text_columns=3,
        ),
    )


@app.command()
def show(name: Name, json_: options.Json = False) -> None:
    """Show how a model was trained, and its accuracy."""
    from emoclass.cli import _console as console
    from emoclass.encoders.bert.families import FAMILIES

    model = _noted(name)
    kind = model.model_type
    is_packed = kind in FAMILIES
    if json_:
        more = {} if model.origin is None else model.origin.to_dict()
        more |= {"path": str(model.directory), "model_type": kind, "runs_on": "packed" if is_packed else "transformers"}
        console.print_json({**more, **model.manifest.to_dict()})
        return
    manifest = model.manifest
    summary = _summary(model)
    details = {
        **{key.replace("_", " "): value for key, value in summary.items() if not key.startswith("test_")},
        "encoder": f"{kind}, {'on packed batches' if is_packed else 'through transformers'}",
        "labels": ", ".join(manifest.labels),
        **{key.replace("_", " "): value for key, value in manifest.recipe.to_dict().items() if key != "truncation"},
        "length limit": f"{manifest.truncation.max_length} tokens, {manifest.truncation.head_tokens} of them head",
        "trainable parameters": f"{manifest.parameters['trainable_parameters']:,}",
        "total parameters": f"{manifest.parameters['total_parameters']:,}",
        "best epoch": manifest.metrics.get("best_epoch"),
        **{key.replace("_", " "): value for key, value in summary.items() if key.startswith("test_")},
        "data": manifest.data.get("source"),
        "text column": manifest.columns and manifest.columns.text,
        "label column": manifest.columns and manifest.columns.label,
        "rows": ", ".join(f"{rows} {part}" for part, rows in manifest.data.get("rows", {}).items()),
        "versions": ", ".join(f"{package} {version}" for package, version in manifest.versions.items()),
    }
    rows = [[key, _shown(value)] for key, value in details.items()]
    console.print_table(console.results(), console.table(manifest.name, ["", ""], rows, text_columns=2))


@app.command()
def path(name: Name) -> None:
    """Print the directory of a model."""
    typer.echo(str(_noted(name).directory))


@app.command()
def export(
    name: Name,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="A new directory for the copy.")],
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            **options.one_of(EXPORT_FORMATS, metavar="FORMAT"),
            help="safetensors (the whole model) or onnx.",
        ),
    ] = EXPORT_FORMATS[0],
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="FILE",
            help="Lines or a table with texts, to which onnx must give the model's labels.",
            show_default="made texts",
        ),
    ] = None,
    check_column: Annotated[
        str | None,
        typer.Option(
            "--text-column", metavar="NAME", help="Column of --check with the texts.", show_default="detected"
        ),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize the weights of onnx to 8 bits; measured with --check.")
    ] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a self-contained copy of a model, for other machines and for transformers.

    With --format onnx, write a graph for ONNX Runtime instead, with the tokenizer and all that predictions need. It is
    written only if it gives the same labels as the model.
    """
    if kind not in EXPORT_FORMATS:
        raise ConfigError(f"--format {kind} is not known; use {' or '.join(EXPORT_FORMATS)}")
    if kind == "onnx":
        _export_onnx(name, directory, check=check, text_column=check_column, int8=int8, overwrite=overwrite)
        return
    for option, value in (("--check", check), ("--text-column", check_column), ("--int8", int8)):
        if value:
            raise ConfigError(f"{option} goes with --format onnx only")
    from emoclass.store.saving import export_model

    typer.echo(str(export_model(_noted(name), directory, overwrite=overwrite).directory))


def _export_onnx(name: str, directory: str, *, check: str | None, **settings: Any) -> None:
    from emoclass.cli import _console as console
    from emoclass.export.writing import export_onnx

    if settings["text_column"] and check is None:
        raise ConfigError("--text-column names a column of --check FILE, which is not given")
    result = export_onnx(_noted(name), directory, check=check, **settings)
    for note in result.notes:
        console.note(note)
    parity, int8 = result.parity, result.int8
    texts = f"{parity.texts:,} {'made ' if check is None else ''}texts"
    console.note(f"{texts}: the graph gives the model's labels, and logits within {parity.largest:.1g} of the model's")
    if int8 is not None:
        message = f"{texts}: with 8 bits, {int8.equal:.1%} get the model's labels"
        if int8.equal < _FEW_EQUAL:
            console.warn(f"{message}; without --int8 all do")
        else:
            console.note(message)
    typer.echo(str(result.directory))


@app.command()
def push(
    name: Name,
    repository: Annotated[str, typer.Argument(metavar="USER/REPO", help="A repository on the Hugging Face hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    license_: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="License for the model card, as the hub names it: apache-2.0."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be uploaded, and change nothing.")] = False,
    overwrite: options.Overwrite = False,
    json_: options.Json = False,
) -> None:
    """Push a model to the Hugging Face hub, in one commit, from where --model USER/REPO uses it.

    The repository is made if there is none. Sign in once with hf auth login, or set HF_TOKEN.
    """
    from emoclass.cli import _console as console
    from emoclass.store.publishing import PushOptions, push_model

    how = PushOptions(private=private, license=license_, overwrite=overwrite, dry_run=dry_run)
    pushed = push_model(_noted(name), repository, how)
    if json_:
        console.print_json(pushed.to_dict())
        return
    for file, size in pushed.uploaded.items():
        console.note(f"{'would upload' if dry_run else 'uploaded'} {file} ({size:,} bytes)")
    for file in pushed.removed:
        console.note(f"{'would remove' if dry_run else 'removed'} {file}, which the model does not have")
    if pushed.kept_card:
        what = "scores and license" if license_ else "scores"
        kept = "README.md was edited on the hub and stays as it is"
        console.note(f"{kept}: check its {what}, or pass --overwrite to write it anew")
    if not pushed.changed:
        console.note(f"nothing changed: {repository} holds this model already")
    if not dry_run:
        typer.echo(f"{pushed.url}\n{pushed.revision}")


@app.command()
def remove(name: Name) -> None:
    """Remove a model."""
    from emoclass.cli import _console as console
    from emoclass.store.saving import remove_model

    console.note(f"removed {remove_model(name)}")


def _noted(name: str) -> StoredModel:
    """Return a model, and note which commit of a repository on the hub it is."""
    from emoclass.cli import _console as console
    from emoclass.store.checkpoints import find_model, model_notes

    model = find_model(name)
    for note in model_notes(name, model):
        console.note(note)
    return model


def _summary(model: StoredModel) -> dict[str, Any]:
    manifest = model.manifest
    metrics, test = manifest.metrics, manifest.metrics.get("test") or {}
    # What selects an epoch unless --metric says otherwise.
    score = METRICS[manifest.task][0]
    return {
        "name": model.name,
        "path": str(model.directory),
        "created_at": manifest.created_at,
        "base_model": manifest.base_model.get("name", ""),
        "num_labels": len(manifest.labels),
        "task": manifest.task,
        f"val_{score}": metrics.get(f"val_{score}"),
        f"test_{score}": test.get(score),
        "size_bytes": model.size,
        "own_size_bytes": model.own_size,
    }


def _row(summary: dict[str, Any]) -> list[object]:
    score = METRICS[summary["task"]][0]
    return [
        summary["name"],
        summary["created_at"][:16].replace("T", " "),
        summary["base_model"],
        summary["num_labels"],
        *(_shown(summary[f"{split}_{score}"]) for split in ("val", "test")),
        score.replace("_f1", " F1"),
        f"{summary['size_bytes'] / 1e6:.0f} MB",
        f"{summary['own_size_bytes'] / 1e6:.0f} MB",
    ]


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
