"""Families of encoders that are shaped like BERT: a declaration for each of how it differs; without torch.

All of emoclass knows an encoder by BERT's names. Only reading and writing its files translates. To add a family, add a
declaration here, and its tiny model to ``tests/encoders/test_families.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_OURS = "bert."
_POOLER, _CLASSIFIER = "bert.pooler.dense", "classifier"
# What the names of an encoder's own tensors begin with, where they have no prefix; others belong to other tasks.
_PARTS = ("embeddings.", "embeddings_project.", "encoder.", "transformer.")


@dataclass(frozen=True)
class Family:
    """How a family differs from BERT.

    Attributes:
        model_type: Its name in ``config.json``.
        prefix: What transformers puts before the names of the encoder's tensors.
        architecture: transformers' class of its classifiers.
        fields: BERT's names of fields of ``config.json``, with the family's where they differ.
        defaults: Sizes where ``config.json`` says nothing, by BERT's name of the field.
        names: Parts of the family's names of tensors with BERT's, those that contain others first.
        pooler: The family's name of the linear layer before the classifier.
        classifier: The family's name of the classifier.
        has_own_pooler: Whether base models have that linear layer. Else it is new, and always trains.
        pooler_activation: What follows it.
        drops_cls: Whether dropout precedes it, too.
        skips_padding: Whether positions are counted from the padding token's id on.
    """

    model_type: str
    prefix: str
    architecture: str
    fields: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, int] = field(default_factory=dict)
    names: tuple[tuple[str, str], ...] = ()
    pooler: str = "classifier.dense"
    classifier: str = "classifier.out_proj"
    has_own_pooler: bool = False
    pooler_activation: str = "tanh"
    drops_cls: bool = True
    skips_padding: bool = False

    def canonical_name(self, name: str) -> str | None:
        """Return BERT's name of a tensor; ``None`` if it belongs to the head of another task.

        Translates the names of encoders without a head (``encoder.layer...``) and of TensorFlow (``LayerNorm.gamma``).
        """
        name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
        name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
        for own, ours in self._heads:
            if name.startswith(f"{own}."):
                return ours + name.removeprefix(own)
        name = name.removeprefix(f"{self.prefix}.")
        if self.has_own_pooler and name.startswith("pooler."):
            return _OURS + name
        if not name.startswith(_PARTS) or name.endswith("position_ids"):
            return None
        for own, ours in self.names:
            name = name.replace(own, ours)
        return _OURS + name

    def own_name(self, name: str) -> str:
        """Return the family's name of a tensor from BERT's."""
        for own, ours in self._heads:
            if name.startswith(f"{ours}."):
                return own + name.removeprefix(ours)
        name = name.removeprefix(_OURS)
        for own, ours in self.names:
            name = name.replace(ours, own)
        return f"{self.prefix}.{name}"

    @property
    def _heads(self) -> tuple[tuple[str, str], ...]:
        return (self.pooler, _POOLER), (self.classifier, _CLASSIFIER)


def _roberta(model_type: str, name: str) -> Family:
    return Family(model_type, "roberta", f"{name}ForSequenceClassification", skips_padding=True)


BERT = Family(
    "bert",
    "bert",
    "BertForSequenceClassification",
    pooler=_POOLER,
    classifier=_CLASSIFIER,
    has_own_pooler=True,
    drops_cls=False,
)
_DISTILBERT = Family(
    "distilbert",
    "distilbert",
    "DistilBertForSequenceClassification",
    fields={
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "attention_dropout",
        "classifier_dropout": "seq_classif_dropout",
    },
    defaults={"type_vocab_size": 0},
    names=(
        ("transformer.layer.", "encoder.layer."),
        ("attention.q_lin", "attention.self.query"),
        ("attention.k_lin", "attention.self.key"),
        ("attention.v_lin", "attention.self.value"),
        ("attention.out_lin", "attention.output.dense"),
        ("sa_layer_norm", "attention.output.LayerNorm"),
        ("ffn.lin1", "intermediate.dense"),
        ("ffn.lin2", "output.dense"),
        ("output_layer_norm", "output.LayerNorm"),
    ),
    pooler="pre_classifier",
    classifier=_CLASSIFIER,
    pooler_activation="relu",
    drops_cls=False,
)
_ELECTRA = Family(
    "electra",
    "electra",
    "ElectraForSequenceClassification",
    defaults={"embedding_size": 128},
    names=(("embeddings_project.", "embeddings.project."),),
    pooler_activation="gelu",
)
FAMILIES = {
    family.model_type: family
    for family in (
        BERT,
        _roberta("roberta", "Roberta"),
        _roberta("xlm-roberta", "XLMRoberta"),
        _roberta("camembert", "Camembert"),
        _DISTILBERT,
        _ELECTRA,
    )
}
