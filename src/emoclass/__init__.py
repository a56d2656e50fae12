"""Train, evaluate and use emotion classifiers on labelled sentences.

Example::

    import emoclass

    result = emoclass.train("emotions.csv", base_model="minilm", recipe="fast")
    classifier = emoclass.load()
    label, confidence = classifier.predict_text("what a lovely surprise")
"""

from typing import TYPE_CHECKING, Any

from emoclass._version import __version__

if TYPE_CHECKING:
    from emoclass.api import evaluate, predict_text, train
    from emoclass.errors import EmoclassError
    from emoclass.inference.predictor import load
    from emoclass.training.lines import progress_lines

__all__ = ["EmoclassError", "__version__", "evaluate", "load", "predict_text", "progress_lines", "train"]


def __getattr__(name: str) -> Any:
    # Importing emoclass stays fast: torch is imported on first use.
    if name == "EmoclassError":
        from emoclass.errors import EmoclassError

        return EmoclassError
    if name == "load":
        from emoclass.inference.predictor import load

        return load
    if name == "progress_lines":
        from emoclass.training.lines import progress_lines

        return progress_lines
    if name in __all__:
        from emoclass import api

        return getattr(api, name)
    raise AttributeError(f"module 'emoclass' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
