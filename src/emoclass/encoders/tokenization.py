"""Texts to token ids: the only place that truncates."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from emoclass import lfs
from emoclass.config import TruncationConfig
from emoclass.errors import ConfigError, ModelError, one_line
from emoclass.runtime import was_forked_with

# BERT's words end at blanks, punctuation and Chinese characters.
_WORD_END = re.compile(r"[\W_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ceaf]")


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

    @classmethod
    def joined(cls, parts: Sequence[TokenizedTexts]) -> TokenizedTexts:
        """Return the texts of all parts in order; there is at least one part."""
        if len(parts) == 1:
            return parts[0]
        offsets = np.concatenate(([0], np.cumsum(np.concatenate([part.lengths for part in parts]))))
        ids, truncated = [part.input_ids for part in parts], [part.truncated for part in parts]
        return cls(np.concatenate(ids), offsets, np.concatenate(truncated))

    def take(self, indices: npt.NDArray[np.int64]) -> TokenizedTexts:
        """Return the texts at these indices, in that order."""
        offsets = np.concatenate(([0], np.cumsum(self.lengths[indices])))
        positions = token_positions(self.offsets[indices], self.lengths[indices])
        return TokenizedTexts(self.input_ids[positions], offsets, self.truncated[indices])


def token_positions(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return ``start, start + 1, …`` for each start, as many as its length, end to end."""
    shifts = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return shifts + np.arange(len(shifts))


# The tokenizer's encoding of a text takes some thirty times the memory of its ids.
_TEXTS_AT_ONCE = 8192
# Longer texts are tokenized in pieces of about this many characters, as far as needed.
_PIECE = 1 << 16


def _pieces(text: str) -> Iterator[str]:
    """Cut a text where a word ends; a word longer than a piece, which no vocabulary has, loses its end."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        boundary = _WORD_END.search(text, end) if end < len(text) else None
        following = len(text) if boundary is None else boundary.start()
        yield text[start : min(following, end + _PIECE)]
        start = following


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
            raise ModelError(f"the tokenizer cannot be read: {one_line(error)}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._prefix, self._suffix = self._special_tokens()
        if not self._prefix:
            raise ModelError(
                "the tokenizer adds no token such as [CLS] before a text, from which a classifier predicts"
            )
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        unknown_id = None if unknown is None else self._tokenizer.token_to_id(unknown)
        self._unknown = -1 if unknown_id is None else int(unknown_id)
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
        """Read a ``tokenizer.json``.

        Raises:
            ModelError: The file is missing or damaged.
        """
        try:
            return cls(path.read_text(encoding="utf-8"), truncation)
        except (OSError, UnicodeDecodeError, ModelError) as error:
            raise ModelError(lfs.explain(path, str(error))) from None

    def __getstate__(self) -> tuple[str, TruncationConfig]:
        return self.to_json(), self.truncation

    def __setstate__(self, state: tuple[str, TruncationConfig]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def to_json(self) -> str:
        """Return the content of a ``tokenizer.json``, without truncation and padding."""
        return str(self._tokenizer.to_str())

    @property
    def vocab_size(self) -> int:
        """Number of token ids, added tokens included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def token(self, token_id: int) -> str | None:
        """Return the token with an id, ``None`` if there is none."""
        token: str | None = self._tokenizer.id_to_token(token_id)
        return token

    @property
    def kept(self) -> tuple[int, int]:
        """How many of the first and of the last tokens of a text that is too long are kept, special tokens included."""
        tail = self.max_content_tokens - self.head_tokens
        return len(self._prefix) + self.head_tokens, tail + len(self._suffix)

    def truncate(self, content_ids: list[int]) -> list[int]:
        """Return the content tokens to keep: all if they fit, else the first ``head_tokens`` and the last ones."""
        if len(content_ids) <= self.max_content_tokens:
            return content_ids
        tail = self.max_content_tokens - self.head_tokens
        return content_ids[: self.head_tokens] + content_ids[len(content_ids) - tail :]

    def count(self, texts: Sequence[str]) -> tuple[list[int], list[int]]:
        """Return the number of content tokens of each text before truncation, and of unknown ones among them."""
        counts, unknown = [], []
        for text, short in zip(texts, self._short_content(texts), strict=True):
            pieces = [short] if len(text) <= _PIECE else (self._content_ids([piece])[0] for piece in _pieces(text))
            tokens = unknowns = 0
            for ids in pieces:
                tokens += len(ids)
                unknowns += ids.count(self._unknown)
            counts.append(tokens)
            unknown.append(unknowns)
        return counts, unknown

    def count_tokenized(self, texts: TokenizedTexts) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the content tokens of each text and the unknown ones among them, after truncation."""
        content = texts.lengths - len(self._prefix) - len(self._suffix)
        is_unknown = texts.input_ids == self._unknown
        if not is_unknown.any():
            return content, np.zeros_like(content)
        return content, np.diff(np.concatenate(([0], np.cumsum(is_unknown)))[texts.offsets])

    def __call__(self, texts: Sequence[str]) -> TokenizedTexts:
        """Return the token ids of the texts, truncated, with special tokens."""
        starts = range(0, max(1, len(texts)), _TEXTS_AT_ONCE)
        return TokenizedTexts.joined([self._tokenized(texts[start : start + _TEXTS_AT_ONCE]) for start in starts])

    def _tokenized(self, texts: Sequence[str]) -> TokenizedTexts:
        content = self._short_content(texts)
        for index, text in enumerate(texts):
            if len(text) > _PIECE:
                content[index] = self._ends(text)
        sequences = [self._prefix + self.truncate(ids) + self._suffix for ids in content]
        offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
        np.cumsum([len(ids) for ids in sequences], out=offsets[1:])
        input_ids = np.fromiter((i for ids in sequences for i in ids), dtype=np.int32, count=int(offsets[-1]))
        truncated = np.fromiter((len(ids) > self.max_content_tokens for ids in content), np.bool_, len(content))
        return TokenizedTexts(input_ids, offsets, truncated)

    def _ends(self, text: str) -> list[int]:
        """Return the content tokens of a very long text; if they are too many, some in its middle may be skipped."""
        pieces = deque(_pieces(text))
        head, tail = list[int](), list[int]()
        while pieces and len(head) <= self.max_content_tokens:
            head += self._content_ids([pieces.popleft()])[0]
        while pieces and len(tail) < self.max_content_tokens:
            tail = self._content_ids([pieces.pop()])[0] + tail
        return head + tail

    def _short_content(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the content tokens of the texts that are short enough to be tokenized at once; none for the others."""
        return self._content_ids([text if len(text) <= _PIECE else "" for text in texts])

    def _content_ids(self, texts: Sequence[str]) -> list[list[int]]:
        if was_forked_with("tokenizers") and "TOKENIZERS_PARALLELISM" in os.environ:
            # If it says true, a batch would wait for the threads of the parent process for ever.
            return [self._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        bare = self._tokenizer.encode("a", add_special_tokens=False).ids
        full = self._tokenizer.encode("a").ids
        for start in range(len(full) - len(bare) + 1):
            if full[start : start + len(bare)] == bare:
                return full[:start], full[start + len(bare) :]
        raise ModelError("the tokenizer changes a text's tokens when it adds special tokens; that is not supported")
