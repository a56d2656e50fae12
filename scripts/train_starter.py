"""Train the starter: the model that comes with emoclass.

    python scripts/train_starter.py GOEMOTIONS --elsewhere tweeteval/test.csv

GOEMOTIONS is the directory data of https://github.com/google-research/google-research/tree/master/goemotions with
train.tsv, dev.tsv, test.tsv and emotions.txt, or a directory with train.csv, val.csv and test.csv in the seven classes.
Texts of several of the seven classes are left out. The model is written to src/emoclass/starter, without the frozen
weights, which come from MiniLM. --elsewhere measures it on other texts in the classes anger, joy, optimism and sadness;
optimism counts as joy. Training takes about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
# The taxonomy of Ekman as GoEmotions maps it (Demszky et al. 2020, arXiv:2005.00547).
CLASSES = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        "joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride", "admiration",
        "desire", "caring",
    ),
    "neutral": ("neutral",),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
}  # fmt: skip
CLASS_OF = {emotion: name for name, emotions in CLASSES.items() for emotion in emotions}
RECIPE = {"recipe": "fast", "metric": "macro_f1", "seeds": 3}
NEAR = 0.003
ABOUT = """
## Data and licence

Trained on GoEmotions (Demszky et al. 2020, [arXiv:2005.00547](https://arxiv.org/abs/2005.00547)): comments of Reddit in
English, by Google under [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/). Its 28 labels are mapped to seven
classes, six of Ekman's and neutral; comments with several of these are left out. The model is under the licence of
emoclass. The trained weights are rounded to bf16; the frozen ones are those of MiniLM.
"""
ELSEWHERE = """
On {rows:,} tweets of TweetEval (Barbieri et al. 2020), whose optimism counts as joy: accuracy {accuracy:.4f}, macro F1
{macro_f1:.4f} over anger, joy and sadness. {other:.0f} % of these tweets are classified as one of the other classes.
Texts of another kind than Reddit's need a model of their own.
"""


def main() -> None:
    """Train, write and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="GOEMOTIONS")
    parser.add_argument("--elsewhere", type=Path, help="a CSV file with the columns text and label")
    parser.add_argument("--output", type=Path, default=PROJECT / "src" / "emoclass" / "starter")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["EMOCLASS_HOME"] = home
        parts = arguments.data if (arguments.data / "train.csv").is_file() else mapped(arguments.data, Path(home))
        import emoclass

        result = emoclass.train(parts, base_model="minilm", name="starter-training", **RECIPE)
        write_thin(result.model.directory, arguments.output, str(parts))
        report = emoclass.evaluate(parts / "test.csv", model=arguments.output)
        check_rounding(result.test.metrics.macro_f1, report.metrics.macro_f1)
        about = ABOUT
        if arguments.elsewhere:
            about += elsewhere(arguments.elsewhere, arguments.output, Path(home))
        add_to_card(arguments.output, about)
    print(f"{arguments.output}: accuracy {report.metrics.accuracy:.4f}, macro F1 {report.metrics.macro_f1:.4f}")


def mapped(source: Path, home: Path) -> Path:
    """Write the texts of a single class, and return the directory."""
    import pandas as pd

    names = (source / "emotions.txt").read_text(encoding="utf-8").split()
    target = home / "goemotions"
    target.mkdir()
    for part, file in (("train", "train.tsv"), ("val", "dev.tsv"), ("test", "test.tsv")):
        frame = pd.read_csv(source / file, sep="\t", header=None, quoting=3, dtype=str, keep_default_na=False)
        classes = [{CLASS_OF[names[int(number)]] for number in cell.split(",")} for cell in frame[1]]
        single = [len(found) == 1 for found in classes]
        texts = frame[0][single]
        labels = [found.pop() for found in classes if len(found) == 1]
        pd.DataFrame({"text": texts, "label": labels}).to_csv(target / f"{part}.csv", index=False)
    return target


def write_thin(source: Path, target: Path, parts: str) -> None:
    """Copy a model without frozen weights and baseline, its trained weights rounded to bf16.

    Args:
        source: The model.
        target: Directory of the copy.
        parts: Directory of the training data, which is called goemotions in the copy.
    """
    import torch
    from safetensors.torch import load_file, save_file

    from emoclass.store import layout
    from emoclass.store.reading import open_model

    manifest = open_model(source).manifest
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    dropped = {layout.FROZEN, f"{layout.BASELINE}.json", f"{layout.BASELINE}.safetensors", layout.MANIFEST}
    for path in source.iterdir():
        if path.name not in dropped:
            shutil.copyfile(path, target / path.name)
    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(source / layout.TRAINED).items()}
    save_file(tensors, target / layout.TRAINED, metadata={"format": "pt"})
    (target / layout.TRAINED).chmod(0o644)
    index: dict[str, Any] = {"metadata": {}, "weight_map": dict.fromkeys(sorted(tensors), layout.TRAINED)}
    (target / layout.WEIGHTS_INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    card = renamed((target / layout.CARD).read_text(encoding="utf-8"), parts)
    (target / layout.CARD).write_text(card.replace("--model DIRECTORY", "--model starter"), encoding="utf-8")
    seal(target, json.loads(renamed(json.dumps(manifest.to_dict()), parts)))


def seal(model: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with the checksums of all other files."""
    from emoclass.fingerprint import file_sha256
    from emoclass.store import layout
    from emoclass.store.saving import write_json

    paths = [path for path in sorted(model.iterdir()) if path.name != layout.MANIFEST]
    write_json(model / layout.MANIFEST, {**manifest, "checksums": {path.name: file_sha256(path) for path in paths}})


def renamed(text: str, parts: str) -> str:
    """Replace the names of the training and of its data."""
    return (
        text.replace("starter-training", "starter").replace(parts, "goemotions").replace(Path(parts).name, "goemotions")
    )


def check_rounding(before: float, after: float) -> None:
    """Stop if rounding changed the score that the card reports."""
    if abs(before - after) > NEAR:
        raise SystemExit(f"rounding to bf16 changed macro F1 from {before:.4f} to {after:.4f}")


def elsewhere(path: Path, model: Path, home: Path) -> str:
    """Return what the card says of texts from elsewhere."""
    import pandas as pd

    import emoclass

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame["label"] = frame["label"].replace("optimism", "joy")
    frame.to_csv(home / "elsewhere.csv", index=False)
    metrics = emoclass.evaluate(home / "elsewhere.csv", model=model).metrics
    found = [each.label for each in emoclass.load(model).predict(frame["text"].tolist())]
    other = sum(label not in set(frame["label"]) for label in found) / len(found)
    return ELSEWHERE.format(rows=len(frame), accuracy=metrics.accuracy, macro_f1=metrics.macro_f1, other=100 * other)


def add_to_card(model: Path, about: str) -> None:
    """Put a section before that of the training, and renew the checksum."""
    from emoclass.store import layout
    from emoclass.store.reading import open_model

    card = (model / layout.CARD).read_text(encoding="utf-8")
    header = "license: apache-2.0\ndatasets:\n- google-research-datasets/go_emotions\n"
    card = card.replace("library_name:", f"{header}library_name:", 1).replace(
        "\n## Training\n", f"{about}\n## Training\n"
    )
    (model / layout.CARD).write_text(card, encoding="utf-8")
    seal(model, open_model(model).manifest.to_dict())


if __name__ == "__main__":
    main()
