"""Export of a trained model to ONNX: a directory that is written only if the graph predicts what the model does."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from emoclass import runtime
from emoclass._version import __version__
from emoclass.data.options import DataOptions
from emoclass.encoders.tokenization import HeadTailTokenizer
from emoclass.encoders.weights import read_json
from emoclass.errors import ConfigError, ModelError
from emoclass.export.parity import Parity, compare, made_texts, read_texts
from emoclass.files import free_directory, new_directory
from emoclass.fingerprint import file_sha256
from emoclass.inference.predictor import load_model
from emoclass.store import layout
from emoclass.store.checkpoints import find_model
from emoclass.store.reading import StoredModel
from emoclass.store.saving import copy_model, write_json

GRAPH = "model.onnx"
MANIFEST = "emoclass_onnx.json"
FORMAT_VERSION = 1
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
# Of logits; rounding makes a hundredth of it.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class OnnxExport:
    """An exported model.

    Attributes:
        directory: Where it is.
        parity: How the graph compares with the model.
        int8: How the quantized graph, which is then the one in the directory, compares with the model.
        notes: How the texts were found in their file.
    """

    directory: Path
    parity: Parity
    int8: Parity | None
    notes: tuple[str, ...] = ()


def export_onnx(
    name: str | Path | StoredModel | None,
    directory: str | Path,
    *,
    check: str | None = None,
    text_column: str | None = None,
    int8: bool = False,
    overwrite: bool = False,
) -> OnnxExport:
    """Write a model as an ONNX graph, with its tokenizer and all else that predictions need.

    Args:
        name: The model.
        directory: A new directory.
        check: A file of lines or a table, with whose texts model and graph are compared; made texts if ``None``.
        text_column: The column with the texts.
        int8: Whether to quantize the weights; this needs ``check``.
        overwrite: Whether to replace another such export in that directory.

    Raises:
        ConfigError: A package is not installed, or there are no texts for ``int8``.
        ModelError: There is no such model, it cannot be exported, or the graph predicts something else.
        DataError: The texts cannot be read, or the directory cannot be written.
    """
    if int8 and check is None:  # made texts lie far from where classes meet, and all would keep their labels
        raise ConfigError("--int8 changes some labels: to measure how many, pass texts of your own with --check FILE")
    runtime.require_packages("--format onnx", "onnx", *_PACKAGES)
    model = find_model(name)
    target = runtime.expanded(directory)
    if target.resolve().parent == runtime.models_dir().resolve():
        raise ConfigError(f"{directory}: is a place of trained models; name a directory elsewhere")

    def exported(place: Path) -> bool:
        return (place / MANIFEST).is_file()

    def replaceable(place: Path) -> bool:
        return overwrite and exported(place)

    target = free_directory(target, "an export", replaceable=replaceable, overwritable=exported)
    reading = DataOptions(text_column=text_column, trained=model.manifest.columns)
    notes: list[str] = []
    texts = None if check is None else read_texts(check, reading, notes.append)
    with new_directory(target, "the export", name=directory, replaceable=replaceable) as aside:
        work = aside / "work"
        work.mkdir()
        copy = copy_model(model, work)
        parity, quantized = _write_graphs(copy, aside, texts, int8=int8)
        for file in (layout.CONFIG, layout.TOKENIZER, layout.TOKENIZER_CONFIG):
            (work / file).replace(aside / file)
        shutil.rmtree(work)
        _write_manifest(copy, aside, Path(check).name if check else None, parity, quantized)
    return OnnxExport(target, parity, quantized, tuple(notes))


def _write_graphs(
    model: StoredModel, directory: Path, texts: Sequence[str] | None, *, int8: bool
) -> tuple[Parity, Parity | None]:
    """Write the graph of a model, quantized or not, and compare it with the model.

    Raises:
        ModelError: The graph without quantization predicts something else.
    """
    from emoclass.export.engine import OnnxEngine
    from emoclass.export.graph import quantize, write_graph

    classifier = load_model(model, device="cpu", precision="fp32", engine="torch")
    tokenized = classifier.tokenizer(made_texts(classifier) if texts is None else texts)
    expected = classifier.logits(tokenized)
    padding = _padding_id(model.directory)

    def compared(path: Path) -> Parity:
        return compare(classifier, expected, OnnxEngine(path, padding).logits(tokenized))

    path = directory / GRAPH
    write_graph(model.directory, len(classifier.labels), path)
    parity = compared(path)
    if parity.differing or not parity.largest <= TOLERANCE:
        raise ModelError(
            f"{model.manifest.name}: the exported graph is not the model, so nothing was written: of {parity.texts} "
            f"texts {parity.differing} get other labels, and logits differ by up to {parity.largest:.2g}, where "
            f"{TOLERANCE:g} is allowed; try other versions of torch, onnxscript and onnxruntime"
        )
    if not int8:
        return parity, None
    (directory / "int8").mkdir()
    quantize(path, directory / "int8" / GRAPH)
    for file in directory.glob(f"{GRAPH}*"):
        file.unlink()
    for file in (directory / "int8").iterdir():
        file.replace(directory / file.name)
    (directory / "int8").rmdir()
    return parity, compared(path)


def _padding_id(directory: Path) -> int:
    return int(read_json(directory / layout.CONFIG).get("pad_token_id") or 0)


def _write_manifest(
    model: StoredModel, directory: Path, check: str | None, parity: Parity, int8: Parity | None
) -> None:
    """Write what predictions need to know beside the graph and the tokenizer."""
    manifest = model.manifest
    tokenizer = HeadTailTokenizer.from_file(directory / layout.TOKENIZER, manifest.truncation)
    first, last = tokenizer.kept
    content = {
        "format_version": FORMAT_VERSION,
        "emoclass_version": __version__,
        "name": manifest.name,
        "created_at": manifest.created_at,
        "task": manifest.task,
        "labels": manifest.labels,
        "thresholds": manifest.thresholds,
        "truncation": {"max_length": first + last, "first_tokens": first, "last_tokens": last},
        "padding_id": _padding_id(directory),
        "precision": "fp32" if int8 is None else "int8",
        "check": {"texts_from": check, **parity.to_dict()},
        "int8_check": int8 and int8.to_dict(),
        "versions": {name: version(name) for name in ("torch", "transformers", *_PACKAGES)},
        "checksums": {path.name: file_sha256(path) for path in sorted(directory.iterdir())},
    }
    write_json(directory / MANIFEST, content)
