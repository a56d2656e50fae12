"""Logits from an ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoclass.encoders.batching import longest_first
from emoclass.encoders.tokenization import TokenizedTexts

_CHUNK_TOKENS = 2048


class OnnxEngine:
    """ONNX Runtime on the CPU.

    Args:
        path: The graph.
        padding_id: The token id of padding.
    """

    def __init__(self, path: Path, padding_id: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._padding_id = padding_id

    def logits(self, texts: TokenizedTexts) -> npt.NDArray[np.float32]:
        """Return the logits, ``float32[texts, classes]``."""
        chunks = longest_first(texts.lengths, _CHUNK_TOKENS)
        logits = np.concatenate([self._batch(texts.take(indices)) for indices in chunks])
        return logits[np.argsort(np.concatenate(chunks))]

    def _batch(self, texts: TokenizedTexts) -> npt.NDArray[np.float32]:
        lengths = texts.lengths
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(mask.shape, self._padding_id, dtype=np.int64)
        ids[mask] = texts.input_ids
        given = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        logits: npt.NDArray[np.float32] = self._session.run(["logits"], given)[0]
        return logits
