"""Models out of files, through transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from emoclass.encoders.generic.config import NEEDED, GenericConfig
from emoclass.encoders.generic.model import GenericModel
from emoclass.errors import ModelError, one_line
from emoclass.torch_state import seed_torch


def load_generic(
    directory: Path, config: GenericConfig, num_labels: int, *, seed: int = 0, attention: str | None = None
) -> GenericModel:
    """Load an encoder with a classifier through transformers, in float32; what the checkpoint lacks is new.

    Args:
        directory: The model directory; its code is never run, and pickles are never read.
        config: Its sizes.
        num_labels: Number of classes.
        seed: Of new weights.
        attention: transformers' name of an implementation of attention; its own choice if ``None``.

    Raises:
        ModelError: transformers cannot load it.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as NAMES
    from transformers.utils import logging

    if config.model_type not in NAMES:
        raise ModelError(f"transformers has no classifier for a model of type {config.model_type!r}; {NEEDED}")

    talk: Any = logging
    level, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        settings = AutoConfig.from_pretrained(directory, trust_remote_code=False, num_labels=num_labels)
        settings.use_cache = False
        if config.dropout is not None:
            for name in vars(settings):
                if "dropout" in name or name.endswith("_drop"):
                    setattr(settings, name, config.dropout)
        with torch.random.fork_rng(devices=[]):
            seed_torch(seed, torch.device("cpu"))
            model, found = AutoModelForSequenceClassification.from_pretrained(
                directory,
                config=settings,
                attn_implementation=attention,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
        changed = [entry[0] if isinstance(entry, tuple) else entry for entry in found["mismatched_keys"]]
        new = [*found["missing_keys"], *changed]
        return GenericModel(model.eval().requires_grad_(False), config, new=new)
    except ModelError:
        raise
    except Exception as error:  # what a model's own code raises
        raise ModelError(f"{directory}: transformers cannot load it as a classifier: {one_line(error)}") from None
    finally:
        talk.set_verbosity(level)
        if bars:
            talk.enable_progress_bar()
