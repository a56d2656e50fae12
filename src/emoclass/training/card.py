"""The model card: README.md of a model directory."""

from __future__ import annotations

import json

from emoclass.store.layout import Manifest


def model_card(manifest: Manifest) -> str:
    """A model card in Markdown, with the front matter that the hub reads."""
    recipe, metrics, data = manifest.recipe, manifest.metrics, manifest.data
    test = metrics.get("test")
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-classification",
        "tags: [emotion, emoclass]",
        "---",
        "",
        f"# {manifest.name}",
        "",
        f"A classifier of {len(manifest.labels)} classes, trained by emoclass {manifest.versions['emoclass']} "
        f"on {manifest.created_at[:10]} from `{manifest.base_model['name']}`.",
        "",
        "Classes: " + ", ".join(_code(label) for label in manifest.labels),
        "",
        "## Scores",
        "",
        "| part | rows | accuracy | macro F1 |",
        "|---|---|---|---|",
        f"| validation | {data['rows']['val']} | {metrics['val_accuracy']:.4f} | |",
    ]
    if test:
        lines.append(f"| test | {test['rows']} | {test['accuracy']:.4f} | {test['macro_f1']:.4f} |")
    lines += [
        "",
        "Texts that belong to none of the classes get one of them all the same; read the confidence.",
        "",
        "## Training",
        "",
        f"{data['rows']['train']} texts; {manifest.parameters['trainable_parameters']:,} of "
        f"{manifest.parameters['total_parameters']:,} parameters trained; epoch {metrics['best_epoch']} of "
        f"{recipe.epochs} was kept, chosen on the validation part.",
        "",
        "```json",
        json.dumps(recipe.to_dict(), indent=2),
        "```",
        "",
        f"Texts of more than {manifest.truncation.max_length} tokens are shortened to their first "
        f"{manifest.truncation.head_tokens} content tokens and the last ones that fit; other libraries do that "
        "differently.",
        "",
        "## Use",
        "",
        "    echo 'some text' | emoclass predict --model DIRECTORY",
        "",
        "In Python: `emoclass.load(directory).predict_text(text)`, or "
        '`transformers.pipeline("text-classification", directory)`.',
        "",
    ]
    return "\n".join(lines)


def _code(text: str) -> str:
    # A label may hold anything; a code span must not be broken by it.
    return "`" + " ".join(text.replace("`", "'").split()) + "`"
