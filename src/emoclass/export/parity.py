"""Whether a graph predicts what its model predicts: measured on texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from emoclass.data.options import DataOptions
from emoclass.data.tables.formats import STDIN
from emoclass.encoders.bert.numpy_model import sigmoid
from emoclass.errors import DataError
from emoclass.inference.classifiers import AnyClassifier, MultiLabelClassifier
from emoclass.inference.records import RecordInput

Floats = npt.NDArray[np.float32]

# As many texts are computed in seconds.
_MADE, _READ = 256, 500
_SEED = 1


@dataclass(frozen=True)
class Parity:
    """How far the predictions of two engines agree.

    Attributes:
        texts: Number of texts.
        differing: Texts with other labels.
        largest: Largest difference between two logits.
    """

    texts: int
    differing: int
    largest: float

    @property
    def equal(self) -> float:
        """Share of texts with the same labels."""
        return 1 - self.differing / self.texts

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"texts": self.texts, "equal_labels": self.equal, "largest_difference_of_logits": self.largest}


def compare(classifier: AnyClassifier, expected: Floats, found: Floats) -> Parity:
    """Compare logits, ``float32[texts, classes]``, and the labels that a classifier makes of them."""
    differing = (_decisions(classifier, expected) != _decisions(classifier, found)).any(axis=1)
    return Parity(len(expected), int(differing.sum()), float(np.abs(expected - found).max()))


def _decisions(classifier: AnyClassifier, logits: Floats) -> npt.NDArray[np.bool_]:
    """Return which labels are predicted, ``bool[texts, classes]``."""
    decisions: npt.NDArray[np.bool_]
    if isinstance(classifier, MultiLabelClassifier):
        decisions = sigmoid(logits) >= classifier.thresholds
    else:
        decisions = np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None]
    return decisions


def read_texts(source: str, options: DataOptions, on_note: Callable[[str], None]) -> list[str]:
    """Return the texts of a file of lines or a table; of a long one, some of all its parts.

    Raises:
        DataError: It cannot be read, or has no texts.
    """
    with RecordInput([source], options, on_note=on_note) as records:
        texts = [item.text for item in records if item.text.strip()]
    if not texts:
        name = "standard input" if source == STDIN else source
        raise DataError(f"{name}: has no texts; give a file with texts such as the model will get")
    return [texts[number] for number in np.linspace(0, len(texts) - 1, min(len(texts), _READ)).astype(int)]


def made_texts(classifier: AnyClassifier) -> Sequence[str]:
    """Return texts of random tokens, most of them short and some above the length limit."""
    tokenizer = Tokenizer.from_str(classifier.tokenizer.to_json())
    special = tokenizer.get_added_tokens_decoder()
    # Sorted, because the order of a vocabulary differs from process to process.
    ids = sorted(number for number in tokenizer.get_vocab().values() if number not in special)
    random = np.random.default_rng(_SEED)
    lengths = np.geomspace(1, 1.1 * classifier.tokenizer.max_content_tokens, _MADE).round().astype(int)
    return [str(tokenizer.decode(random.choice(ids, length).tolist())) for length in lengths]
