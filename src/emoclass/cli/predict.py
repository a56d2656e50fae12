"""``emoclass predict``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from emoclass.cli import _options as options
from emoclass.errors import ConfigError

if TYPE_CHECKING:
    from emoclass.inference.predictor import Classifier, Prediction


def predict(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts.", show_default="lines on stdin")
    ] = None,
    model: options.Model = None,
    top_k: Annotated[int, typer.Option("--top-k", "-k", metavar="K", help="Name the K most probable classes.")] = 1,
    output_format: Annotated[
        str,
        typer.Option("--output-format", "-f", metavar="FORMAT", help="text (label, TAB, confidence) or jsonl."),
    ] = "text",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Predict the class of each TEXT, or of each line on stdin: one line out per line in, in order.

    With --top-k, text output has more pairs of label and confidence on the line, best first. An empty line gets
    an empty label.
    """
    from emoclass.cli import _console as console
    from emoclass.inference.predictor import load

    if top_k < 1:
        raise ConfigError(f"--top-k {top_k} is less than 1")
    if output_format not in _FORMATTERS:
        raise ConfigError(f"--output-format {output_format} is not known; use {' or '.join(_FORMATTERS)}")
    if not texts and sys.stdin.isatty():
        console.note("reading lines from the terminal; end with Ctrl-D")
    classifier = load(model, device=device, precision=precision)
    format_line = _FORMATTERS[output_format]
    rows = blank = 0
    for window in _windows(classifier, texts, top_k):
        for text, prediction in window:
            sys.stdout.write(format_line(text, prediction))
            blank += not prediction.label
        sys.stdout.flush()
        rows += len(window)
    if blank:
        console.note(f"{blank} of {rows} texts are empty and have no label")


def _windows(classifier: Classifier, texts: list[str] | None, top_k: int) -> Iterator[list[tuple[str, Prediction]]]:
    from emoclass.inference.streaming import predict_stream, read_lines

    return predict_stream(classifier, texts or read_lines(sys.stdin.buffer), top_k=top_k)


def _as_text(text: str, prediction: Prediction) -> str:
    pairs = prediction.top_k or (("", 0.0),)
    # A label with a tab or a line end in it must not look like two.
    return "\t".join(f"{' '.join(label.split())}\t{confidence:.4f}" for label, confidence in pairs) + "\n"


def _as_json(text: str, prediction: Prediction) -> str:
    record = {"text": text, "label": prediction.label, "confidence": round(prediction.confidence, 6)}
    top_k = [{"label": label, "confidence": round(confidence, 6)} for label, confidence in prediction.top_k]
    return json.dumps({**record, "top_k": top_k} if len(top_k) > 1 else record, ensure_ascii=False) + "\n"


_FORMATTERS: dict[str, Callable[[str, Prediction], str]] = {"text": _as_text, "jsonl": _as_json}
