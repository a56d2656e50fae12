"""What trains, and how much of the model that is."""

import pytest

from emoclass.encoders.bert.config import EncoderConfig
from emoclass.encoders.bert.model import PackedBert
from emoclass.encoders.freezing import count_parameters, freeze, frozen_depth
from emoclass.errors import ConfigError
from tests.conftest import TINY


def test_reference_recipe_trains_7095562_of_109489930_parameters() -> None:
    model = PackedBert(EncoderConfig(), 10)
    freeze(model, 1)
    counts = count_parameters(model)
    assert counts == (7_095_562, 109_489_930)
    assert f"{counts.share:.2%}" == "6.48%"


def trained(model: PackedBert) -> set[str]:
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {name.split(".")[0 if "classifier" in name else 1] for name in names} | {
        f"layer {name.split('.')[3]}" for name in names if "encoder" in name
    }


@pytest.mark.parametrize(
    ("unfreeze", "pooler", "expected", "depth"),
    [
        (0, False, {"classifier"}, 2),
        (0, True, {"classifier", "pooler"}, 2),
        (1, False, {"classifier", "encoder", "layer 1"}, 1),
        (2, True, {"classifier", "pooler", "encoder", "layer 0", "layer 1"}, 0),
        ("encoder", False, {"classifier", "encoder", "layer 0", "layer 1"}, 0),
        ("all", False, {"classifier", "pooler", "embeddings", "encoder", "layer 0", "layer 1"}, None),
    ],
)
def test_the_last_layers_train(unfreeze: int, pooler: bool, expected: set[str], depth: int | None) -> None:
    model = PackedBert(EncoderConfig(**TINY), 3)
    freeze(model, unfreeze, train_pooler=pooler)
    assert trained(model) == expected
    assert frozen_depth(model) == depth


def test_more_layers_than_there_are_is_an_error() -> None:
    with pytest.raises(ConfigError, match="--unfreeze 3: the base model has 2 layers"):
        freeze(PackedBert(EncoderConfig(**TINY), 3), 3)
