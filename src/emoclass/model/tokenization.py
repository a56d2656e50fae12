"""Texts become token ids; the one place that truncates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from emoclass.config import TruncationConfig
from emoclass.errors import ConfigError, ModelError


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of many texts, end to end, without padding.

    Attributes:
        input_ids: ``int32[tokens]``, special tokens included.
        offsets: ``int64[texts + 1]``; text ``i`` is ``input_ids[offsets[i]:offsets[i + 1]]``.
        truncated: ``bool[texts]``, which texts lost tokens.
    """

    input_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens per text, ``int64[texts]``."""
        return np.diff(self.offsets)

    def take(self, indices: npt.NDArray[np.int64]) -> TokenizedTexts:
        """The texts at these indices, in that order."""
        offsets = np.concatenate(([0], np.cumsum(self.lengths[indices])))
        positions = token_positions(self.offsets[indices], self.lengths[indices])
        return TokenizedTexts(self.input_ids[positions], offsets, self.truncated[indices])


def token_positions(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """``start, start + 1, …`` for each start, as many as its length, one after the other."""
    shifts = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return shifts + np.arange(len(shifts))


class HeadTailTokenizer:
    """A fast tokenizer that keeps the head and the tail of texts that are too long.

    Special tokens are those that the tokenizer itself adds around a single text.

    Args:
        tokenizer_json: Content of a ``tokenizer.json``; truncation and padding set in it are ignored.
        truncation: The length limit.

    Raises:
        ModelError: The tokenizer cannot be read.
        ConfigError: The length limit leaves no room.
    """

    def __init__(self, tokenizer_json: str, truncation: TruncationConfig) -> None:
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
        except Exception as error:  # the Rust side raises plain Exception
            raise ModelError(f"the tokenizer cannot be read: {error}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._prefix, self._suffix = self._special_tokens()
        budget = truncation.max_length - len(self._prefix) - len(self._suffix)
        if budget < 1:
            raise ConfigError(f"--max-length {truncation.max_length} leaves no room beside the special tokens")
        head = round(budget / 4) if truncation.head_tokens is None else truncation.head_tokens
        if head > budget:
            raise ConfigError(f"--head-tokens {head} is more than the {budget} content tokens of --max-length")
        self.max_content_tokens, self.head_tokens = budget, head
        self.truncation = TruncationConfig(max_length=truncation.max_length, head_tokens=head)

    @classmethod
    def from_file(cls, path: Path, truncation: TruncationConfig) -> HeadTailTokenizer:
        """Reads a ``tokenizer.json``.

        Raises:
            ModelError: The file is missing or damaged.
        """
        try:
            return cls(path.read_text(encoding="utf-8"), truncation)
        except (OSError, UnicodeDecodeError, ModelError) as error:
            raise ModelError(f"{path}: {error}") from None

    def __getstate__(self) -> tuple[str, TruncationConfig]:
        return self.to_json(), self.truncation

    def __setstate__(self, state: tuple[str, TruncationConfig]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def to_json(self) -> str:
        """The tokenizer as the content of a ``tokenizer.json``, without truncation and padding."""
        return str(self._tokenizer.to_str())

    @property
    def vocab_size(self) -> int:
        """Number of token ids, added tokens included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def truncate(self, content_ids: list[int]) -> list[int]:
        """The content tokens that are kept: all if they fit, else the first ``head_tokens`` and the last ones."""
        if len(content_ids) <= self.max_content_tokens:
            return content_ids
        tail = self.max_content_tokens - self.head_tokens
        return content_ids[: self.head_tokens] + content_ids[len(content_ids) - tail :]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Content tokens of each text before truncation, special tokens not counted."""
        return [len(ids) for ids in self._content_ids(texts)]

    def __call__(self, texts: Sequence[str]) -> TokenizedTexts:
        """Token ids of the texts, truncated, with special tokens."""
        content = self._content_ids(texts)
        sequences = [self._prefix + self.truncate(ids) + self._suffix for ids in content]
        offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
        np.cumsum([len(ids) for ids in sequences], out=offsets[1:])
        input_ids = np.fromiter((i for ids in sequences for i in ids), dtype=np.int32, count=int(offsets[-1]))
        truncated = np.fromiter((len(ids) > self.max_content_tokens for ids in content), np.bool_, len(content))
        return TokenizedTexts(input_ids, offsets, truncated)

    def _content_ids(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        bare = self._tokenizer.encode("a", add_special_tokens=False).ids
        full = self._tokenizer.encode("a").ids
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return full[:start], full[start + len(bare) :]
        raise ModelError("the tokenizer changes a text's tokens when it adds special tokens; that is not supported")
