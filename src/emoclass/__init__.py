"""Turn a table of labelled sentences into a fast, honest emotion classifier.

import emoclass

result = emoclass.train("emotions.csv", base_model="minilm", learning_rate=1e-3)
classifier = emoclass.load()
label, confidence = classifier.predict_text("what a lovely surprise")
"""

from typing import TYPE_CHECKING, Any

from emoclass._version import __version__

if TYPE_CHECKING:
    from emoclass.api import evaluate, load, predict_text, train
    from emoclass.errors import EmoclassError

__all__ = ["EmoclassError", "__version__", "evaluate", "load", "predict_text", "train"]


def __getattr__(name: str) -> Any:
    # Importing emoclass must be quick: torch is loaded when something is used.
    if name == "EmoclassError":
        from emoclass.errors import EmoclassError

        return EmoclassError
    if name in __all__:
        from emoclass import api

        return getattr(api, name)
    raise AttributeError(f"module 'emoclass' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
